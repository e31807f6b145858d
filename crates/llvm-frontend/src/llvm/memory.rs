//! Exhausted memory in LLVM.
//!
//! LLVM asks `malloc` and C++'s `operator new` for memory, and ends the process with an abort when there is none. Both have
//! a hook for a program that has something better to say. LLVM's hook is no part of its C interface, so both are named by
//! their symbols.

use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

/// What to do instead.
static HANDLER: OnceLock<fn() -> !> = OnceLock::new();

#[cfg_attr(target_os = "linux", link(name = "stdc++"))]
unsafe extern "C" {
    #[link_name = "_ZN4llvm31install_bad_alloc_error_handlerEPFvPvPKcbES0_"]
    fn install_bad_alloc_error_handler(
        handler: extern "C" fn(*mut c_void, *const c_char, bool),
        data: *mut c_void,
    );
    #[link_name = "_ZSt15set_new_handlerPFvvE"]
    fn set_new_handler(handler: extern "C" fn()) -> *const c_void;
}

/// Calls `handler` when LLVM or another C++ library gets no memory. The first handler of a process stays.
pub fn on_exhausted_memory(handler: fn() -> !) {
    if HANDLER.set(handler).is_ok() {
        // SAFETY: Both take a function for the rest of the process, which these are, with the types of their declarations.
        unsafe {
            install_bad_alloc_error_handler(in_llvm, std::ptr::null_mut());
            set_new_handler(in_cxx);
        }
    }
}

extern "C" fn in_llvm(_: *mut c_void, _: *const c_char, _: bool) {
    in_cxx();
}

extern "C" fn in_cxx() {
    HANDLER.get().expect("it was set before")()
}
