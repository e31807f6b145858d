//! The end of a process that gets no memory: a message and the exit code of a failure, on whichever thread and in whichever
//! library it happens.
//!
//! Rust's own reaction is an abort, which looks like a bug of this tool. A panic could not be reported either, since its
//! report needs memory. So the allocator ends the process, without running anything else of it: no output file has been
//! written by then, and other threads may be in the middle of anything.
#![expect(unsafe_code, reason = "an allocator, and the end of a process without its destructors")]

use std::alloc::{GlobalAlloc, Layout};
use std::io::Write as _;

use mimalloc::MiMalloc;

const MESSAGE: &[u8] =
    b"error: out of memory: the input needs more than this process may have (`ulimit -v`, or the limit of a container)\n";

unsafe extern "C" {
    fn _exit(code: i32) -> !;
}

/// An allocator that never fails: without memory the process ends.
///
/// It defines `malloc`, so it is LLVM's, too. LLVM allocates much and small: with the C library's allocator compilation takes
/// a third longer.
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: Each function has the contract of the function of `MiMalloc` that it calls, and returns what that returns.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: The caller keeps the contract, which is the same.
        given(unsafe { MiMalloc.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: Likewise.
        given(unsafe { MiMalloc.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: Likewise.
        given(unsafe { MiMalloc.realloc(old, layout, size) })
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: Likewise.
        unsafe { MiMalloc.dealloc(old, layout) }
    }
}

/// The memory, if there is any.
fn given(memory: *mut u8) -> *mut u8 {
    if memory.is_null() { exhausted() } else { memory }
}

/// Handles memory that other libraries don't get, too.
pub fn report_exhaustion() {
    wasm_pvm::on_exhausted_memory(exhausted);
}

#[cold]
fn exhausted() -> ! {
    // Standard error has no buffer, so this needs no memory.
    let _ = std::io::stderr().write_all(MESSAGE);
    // SAFETY: It neither needs memory nor returns.
    unsafe { _exit(1) }
}
