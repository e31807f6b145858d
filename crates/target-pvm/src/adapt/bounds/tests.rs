//! Which checks become clamps, and of which accesses.

use ssa::{CheckedAccess, Module, parse_module};

use super::clamp_accesses;
use crate::memory::{ProgramLayout, linear_memory};

/// The text of function `$f` of a module with 64 KiB of memory, after the pass. Its second parameter is no pointer to the
/// arguments.
fn clamped(body: &str) -> String {
    let text = format!(
        "sig (i32, i32) -> (i32)\nsig (i32, i32) -> ()\nmemory @m size=0 align=1 min=65536 page_log2=16\n\
         var @limits size=16 align=4\nvar @g size=4 align=4\nintrinsic $check \"{}\" (i32, i32) -> ()\n\
         func $f (i32, i32) -> (i32) {{\nb0(v0: i32, v1: i32):\n{body}\n}}\n\
         func $main (i32, i32) -> (i32) {{\nb0(v0: i32, v1: i32):\n  v2 = call $f(v0, v1)\n  return v2\n}}\n\
         export \"main\" $main\nhost_arguments @limits\n",
        CheckedAccess::SYMBOL
    );
    let mut module = parse_module(&text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let memory = linear_memory(&module).expect("it has one");
    assert!(clamp_accesses(&mut module, memory, &ProgramLayout::SPI));
    ssa::verify(&module).expect("the pass keeps the invariants");
    function(&module)
}

fn function(module: &Module) -> String {
    let func = module.functions.values().flatten().next().expect("it has functions");
    let text = ssa::print_function(module, func);
    assert!(!text.contains("$check") && !text.contains("branch"), "{text}");
    text
}

/// The check of four bytes at an address; the access may be a load.
fn check(number: u32, address: &str, offset: u32, reads_arguments: bool) -> String {
    let bits = CheckedAccess { offset, width: 4, reads_arguments }.to_bits();
    format!("  v{number} = const.i32 {bits}\n  call $check({address}, v{number})\n")
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn the_access_of_a_check_is_clamped() {
    let text = clamped(&(check(2, "v1", 8, false) + "  v4 = load.u32.i32 [@m + v1 + 8]\n  return v4"));
    assert!(count(&text, "min_u.i32 v1") == 1 && count(&text, "load") == 1, "{text}");
    // Stores and other checks may come between.
    let two = check(2, "v1", 0, false) + &check(3, "v1", 4, false);
    let stores =
        "  store.u32 v0, [@g]\n  store.u32 v0, [@m + v1 + 4]\n  store.u32 v0, [@m + v1]\n  return v0";
    let text = clamped(&(two + stores));
    assert!(count(&text, "min_u") == 1 && count(&text, "load") == 0, "{text}");
}

#[test]
fn the_lowest_address_is_clamped() {
    let sum = "  v5 = const.i32 16\n  v6 = add.i32 v1, v5\n".to_owned();
    let checks = sum + &check(2, "v6", 0, false) + &check(3, "v1", 0, false);
    let loads =
        "  v7 = load.u32.i32 [@m + v6]\n  v8 = load.u32.i32 [@m + v1]\n  v9 = add.i32 v7, v8\n  return v9";
    let text = clamped(&(checks + loads));
    assert!(count(&text, "min_u") == 1 && count(&text, "volatile") == 0, "{text}");
}

#[test]
fn a_known_address_needs_no_check() {
    // Eight bytes at the address are in memory, so the last four are.
    let first = check(2, "v1", 4, false) + "  v4 = load.u32.i32 [@m + v1 + 4]\n  store.u32 v4, [@g]\n";
    let sum = |by: i32| format!("  v5 = const.i32 {by}\n  v6 = add.i32 v1, v5\n");
    let call = "  v8 = call $f(v4, v4)\n";
    let above = first.clone() + call + &sum(4) + &check(3, "v6", 0, false);
    let text = clamped(&(above + "  v7 = load.u32.i32 [@m + v6]\n  return v7"));
    assert!(count(&text, "min_u") == 1, "{text}");
    // The address below wraps for small ones.
    let below = first + call + &sum(-4) + &check(3, "v6", 0, false);
    let text = clamped(&(below + "  v7 = load.u32.i32 [@m + v6]\n  return v7"));
    assert_eq!(count(&text, "min_u"), 2, "{text}");
    // A byte is an address within memory.
    let byte = "  v5 = const.i32 255\n  v6 = and.i32 v1, v5\n".to_owned() + &check(3, "v6", 0, false);
    let text = clamped(&(byte + "  v7 = load.u32.i32 [@m + v6]\n  return v7"));
    assert_eq!(count(&text, "min_u"), 0, "{text}");
}

#[test]
fn a_check_without_its_access_loads_the_last_byte() {
    let text = clamped(&(check(2, "v1", 8, false) + "  return v0"));
    assert!(text.contains("load.u8.i32") && text.contains("+ 11] volatile"), "{text}");
    // The host may see what a call does, so the access after it is too late.
    let call =
        check(2, "v1", 0, false) + "  v4 = call $f(v0, v0)\n  v5 = load.u32.i32 [@m + v1]\n  return v5";
    let text = clamped(&call);
    assert!(count(&text, "volatile") == 1, "{text}");
    // An access of another address proves nothing.
    let text = clamped(&(check(2, "v1", 0, false) + "  v4 = load.u32.i32 [@m + v0]\n  return v4"));
    assert!(count(&text, "volatile") == 1, "{text}");
}

#[test]
fn an_unused_access_is_kept() {
    let text = clamped(&(check(2, "v1", 0, false) + "  v4 = load.u32.i32 [@m + v1]\n  return v0"));
    assert!(count(&text, "volatile") == 1 && count(&text, "load") == 1, "{text}");
}

#[test]
fn an_access_before_its_check_is_clamped() {
    let load = "  v4 = load.u32.i32 [@m + v1 + 8]\n".to_owned();
    let text = clamped(&(load + &check(2, "v1", 8, false) + "  return v4"));
    assert!(count(&text, "min_u.i32 v1") == 1 && count(&text, "load") == 1, "{text}");
    // A store has a clamp of its own though its check comes too late.
    let store = "  store.u32 v0, [@m + v1 + 8]\n  v4 = call $f(v0, v0)\n".to_owned();
    let text = clamped(&(store + &check(2, "v1", 8, false) + "  return v4"));
    assert!(count(&text, "min_u") == 2 && count(&text, "volatile") == 1, "{text}");
}

#[test]
fn only_pointers_of_entries_are_compared_with_the_arguments() {
    let pointer = clamped(&(check(2, "v0", 0, true) + "  v4 = load.u32.i32 [@m + v0]\n  return v4"));
    assert!(pointer.contains("@limits") && pointer.contains("select.i32"), "{pointer}");
    let other = clamped(&(check(2, "v1", 0, true) + "  v4 = load.u32.i32 [@m + v1]\n  return v4"));
    assert!(!other.contains("@limits") && other.contains("min_u.i32 v1"), "{other}");
}
