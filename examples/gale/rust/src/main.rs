//! Firmware around the semaphore module: a scheduler with one lock and one queue, and a scenario that prints what happens.
//!
//! It prints the same as the firmware in C. The vectors and the code before `main` are the same, too.

#![no_std]
#![no_main]

use core::ffi::{CStr, c_char};
use core::fmt::{self, Write};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

core::arch::global_asm!(include_str!("../../firmware/start.s"));

/// A thread that can wait.
#[repr(C)]
pub struct Thread {
    name: *const c_char,
    result: u32,
    is_ready: bool,
}

/// A semaphore as the module knows it: the queue of the threads that wait, and its count.
#[repr(C)]
pub struct Semaphore {
    head: *mut Thread,
    tail: *mut Thread,
    count: u32,
    limit: u32,
}

/// The module.
mod module {
    use super::Semaphore;

    unsafe extern "C" {
        pub fn z_impl_k_sem_give(sem: *mut Semaphore);
        pub fn z_impl_k_sem_take(sem: *mut Semaphore, timeout: i64) -> i32;
    }
}

// ---- Output ----

unsafe extern "C" {
    safe fn semihosting_write(text: *const c_char);
}

/// The host's console.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.as_bytes().chunks(63) {
            let mut bytes = [0; 64];
            bytes[..part.len()].copy_from_slice(part);
            let text = CStr::from_bytes_until_nul(&bytes).map_err(|_| fmt::Error)?;
            semihosting_write(text.as_ptr());
        }
        Ok(())
    }
}

fn print(text: &str, number: i64) {
    let _ = writeln!(Console, "{text} {number}");
}

// ---- What the module imports ----

static LOCKED: AtomicU32 = AtomicU32::new(0);
static UNLOCKED: AtomicU32 = AtomicU32::new(0);

#[unsafe(no_mangle)]
extern "C" fn gale_w_spin_lock(_lock: *mut u8) -> u32 {
    0x100 + LOCKED.fetch_add(1, Ordering::Relaxed)
}

#[unsafe(no_mangle)]
extern "C" fn gale_w_spin_unlock(_lock: *mut u8, key: u32) {
    if key == 0x100 + UNLOCKED.load(Ordering::Relaxed) {
        UNLOCKED.fetch_add(1, Ordering::Relaxed);
    }
}

#[unsafe(no_mangle)]
extern "C" fn gale_w_reschedule(lock: *mut u8, key: u32) -> i32 {
    gale_w_spin_unlock(lock, key);
    0
}

/// Takes the threads out of a queue.
///
/// # Safety
/// The semaphore is one of this program's.
#[unsafe(no_mangle)]
unsafe extern "C" fn gale_w_unpend_first_thread(queue: *mut Semaphore) -> *mut Thread {
    // SAFETY: the module passes on the semaphore that `main` gave it, and nothing else refers to it meanwhile.
    let queue = unsafe { &mut *queue };
    queue.tail = ptr::null_mut();
    core::mem::replace(&mut queue.head, ptr::null_mut())
}

/// Sets what the thread's call returns.
///
/// # Safety
/// The thread is one of a queue.
#[unsafe(no_mangle)]
unsafe extern "C" fn gale_w_arch_thread_return_value_set(thread: *mut Thread, value: u32) {
    // SAFETY: the module passes on the thread that it got from the queue.
    unsafe { (*thread).result = value };
}

/// Lets a thread run again.
///
/// # Safety
/// The thread is one of a queue.
#[unsafe(no_mangle)]
unsafe extern "C" fn gale_w_ready_thread(thread: *mut Thread) {
    // SAFETY: the module passes on the thread that it got from the queue.
    let thread = unsafe { &mut *thread };
    thread.is_ready = true;
    semihosting_write(c"ready: ".as_ptr());
    semihosting_write(thread.name);
    semihosting_write(c"\n".as_ptr());
}

/// Waits in vain.
#[unsafe(no_mangle)]
extern "C" fn gale_w_pend_curr(lock: *mut u8, key: u32, _queue: *mut Semaphore, timeout: i64) -> i32 {
    print("pend, ticks above 2^32:", timeout - (1 << 32));
    gale_w_spin_unlock(lock, key);
    -11
}

// ---- The scenario ----

fn give(sem: &mut Semaphore) {
    // SAFETY: it is a semaphore, and the module doesn't keep its address.
    unsafe { module::z_impl_k_sem_give(sem) }
}

fn take(sem: &mut Semaphore, timeout: i64) -> i64 {
    // SAFETY: as above.
    i64::from(unsafe { module::z_impl_k_sem_take(sem, timeout) })
}

#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let mut sem = Semaphore { head: ptr::null_mut(), tail: ptr::null_mut(), count: 0, limit: 2 };
    give(&mut sem);
    print("count after give:", sem.count.into());
    give(&mut sem);
    give(&mut sem);
    print("count at the limit:", sem.count.into());
    print("take:", take(&mut sem, 0));
    print("take:", take(&mut sem, 0));
    print("count:", sem.count.into());
    print("take without waiting:", take(&mut sem, 0));
    print("take with a timeout:", take(&mut sem, (1 << 32) + 5));
    let mut waiter = Thread { name: c"waiter".as_ptr(), result: u32::MAX, is_ready: false };
    sem.head = &raw mut waiter;
    sem.tail = sem.head;
    give(&mut sem);
    print("result of the waiter:", waiter.result.into());
    print("count:", sem.count.into());
    let held = LOCKED.load(Ordering::Relaxed) - UNLOCKED.load(Ordering::Relaxed);
    print("locks held at the end:", held.into());
    i32::from(!waiter.is_ready || held != 0)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
