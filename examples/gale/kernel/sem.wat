;; A counting semaphore: the part of an RTOS kernel that decides, over objects that native code owns.
;;
;; Addresses come from native code, so the module is compiled with native memory and has no data of its own. What needs
;; the scheduler is imported under the kernel's names. `k_timeout_t` is one 64-bit number.
;;
;;   struct k_sem { void *queue_head, *queue_tail; unsigned count, limit; }
(module
  (import "env" "k_spin_lock" (func $k_spin_lock (param $lock i32) (result i32)))
  (import "env" "k_spin_unlock" (func $k_spin_unlock (param $lock i32) (param $key i32)))
  (import "env" "z_unpend_first_thread" (func $z_unpend_first_thread (param $queue i32) (result i32)))
  (import "env" "arch_thread_return_value_set" (func $arch_thread_return_value_set (param i32 i32)))
  (import "env" "z_ready_thread" (func $z_ready_thread (param $thread i32)))
  (import "env" "z_reschedule" (func $z_reschedule (param $lock i32) (param $key i32) (result i32)))
  (import "env" "z_pend_curr" (func $z_pend_curr
    (param $lock i32) (param $key i32) (param $queue i32) (param $timeout i64) (result i32)))
  ;; Exported, so that the memory is the program's; with native memory it takes no bytes.
  (memory (export "memory") 1)

  ;; Wakes the first waiter, or counts up to the limit.
  (func (export "z_impl_k_sem_give") (param $sem i32)
    (local $key i32) (local $thread i32)
    (local.set $key (call $k_spin_lock (local.get $sem)))
    (local.set $thread (call $z_unpend_first_thread (local.get $sem)))
    (if (local.get $thread)
      (then
        (call $arch_thread_return_value_set (local.get $thread) (i32.const 0))
        (call $z_ready_thread (local.get $thread)))
      (else
        (i32.store offset=8 (local.get $sem)
          (i32.add (i32.load offset=8 (local.get $sem))
            (i32.ne (i32.load offset=8 (local.get $sem)) (i32.load offset=12 (local.get $sem)))))))
    (drop (call $z_reschedule (local.get $sem) (local.get $key))))

  ;; Counts down; at 0 it waits, or fails with -EBUSY if it must not.
  (func (export "z_impl_k_sem_take") (param $sem i32) (param $timeout i64) (result i32)
    (local $key i32)
    (local.set $key (call $k_spin_lock (local.get $sem)))
    (if (i32.load offset=8 (local.get $sem))
      (then
        (i32.store offset=8 (local.get $sem) (i32.sub (i32.load offset=8 (local.get $sem)) (i32.const 1)))
        (call $k_spin_unlock (local.get $sem) (local.get $key))
        (return (i32.const 0))))
    (if (i64.eqz (local.get $timeout))
      (then
        (call $k_spin_unlock (local.get $sem) (local.get $key))
        (return (i32.const -16))))
    (call $z_pend_curr (local.get $sem) (local.get $key) (local.get $sem) (local.get $timeout))))
