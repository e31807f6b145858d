//! Which checks become clamps, and which keep their branch.

use ssa::{Module, parse_module};

use super::clamp_accesses;
use crate::memory::{ProgramLayout, linear_memory};

/// The text of function `$f` of a module with 64 KiB of memory, after the pass.
fn clamped(body: &str) -> String {
    let text = format!(
        "sig (i32, i32) -> (i32)\nmemory @m size=0 align=1 min=65536 page_log2=16\n\
         var @limits size=16 align=4\nvar @g size=4 align=4\n\
         func $f (i32, i32) -> (i32) {{\n{body}\n}}\n\
         func $main (i32, i32) -> (i32) {{\nb0(v0: i32, v1: i32):\n  v2 = call $f(v0, v1)\n  return v2\n}}\n\
         export \"main\" $main\nhost_arguments @limits\n"
    );
    let mut module = parse_module(&text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let memory = linear_memory(&module).expect("it has one");
    clamp_accesses(&mut module, memory, &ProgramLayout::SPI);
    ssa::verify(&module).expect("the pass keeps the invariants");
    function(&module)
}

fn function(module: &Module) -> String {
    let (_, func) = module.functions.iter().next().expect("it has functions");
    ssa::print_function(module, func.as_ref().expect("it has a body"))
}

/// A check of `v1`, then `rest`; `v1` is the second parameter, which is no pointer to the arguments.
fn checked(bound: i32, rest: &str) -> String {
    clamped(&format!(
        "b0(v0: i32, v1: i32):\n  v2 = const.i32 {bound}\n  v3 = icmp.gt_u.i32 v1, v2\n  branch v3, b1, b2\n\
         b1:\n  trap memory_out_of_bounds\nb2:\n{rest}"
    ))
}

#[test]
fn an_access_at_the_end_of_its_span_gets_a_minimum() {
    let text = checked(65532, "  v4 = load.u32.i32 [@m + v1]\n  return v4");
    assert!(text.contains("min_u.i32 v1") && !text.contains("branch"), "{text}");
}

#[test]
fn an_access_before_the_end_of_its_span_gets_a_select() {
    let text = checked(65528, "  store.u32 v0, [@m + v1]\n  store.u32 v0, [@m + v1 + 4]\n  return v0");
    assert!(text.contains("select.i32") && !text.contains("branch"), "{text}");
}

#[test]
fn a_known_address_needs_no_check() {
    // Eight bytes at the address are in memory, so four of them are.
    let rest = "  v4 = load.i64.i64 [@m + v1]\n  v5 = trunc.i32 v4\n  store.u32 v5, [@g]\n\
                \x20 v6 = const.i32 4\n  v7 = add.i32 v1, v6\n  v8 = const.i32 65532\n  v9 = icmp.gt_u.i32 v7, v8\n\
                \x20 branch v9, b3, b4\nb3:\n  trap memory_out_of_bounds\nb4:\n  v10 = load.u32.i32 [@m + v7]\n  return v10";
    let text = checked(65528, rest);
    assert!(text.matches("min_u").count() == 1 && !text.contains("branch"), "{text}");
    // The address below is not known to be in memory: it wraps for small ones.
    let below = rest.replace("const.i32 4", "const.i32 -4");
    let text = checked(65528, &below);
    assert_eq!(text.matches("min_u").count(), 2, "{text}");
}

#[test]
fn a_check_stays_before_an_effect_and_without_its_access() {
    let text = checked(65532, "  store.u32 v0, [@g]\n  v4 = load.u32.i32 [@m + v1]\n  return v4");
    assert!(text.contains("branch"), "{text}");
    let text = checked(65532, "  return v0");
    assert!(text.contains("branch"), "{text}");
    // An access of another address proves nothing.
    let text = checked(65532, "  v4 = load.u32.i32 [@m + v0]\n  return v4");
    assert!(text.contains("branch"), "{text}");
}

#[test]
fn an_unused_access_is_kept() {
    let text = checked(65532, "  v4 = load.u32.i32 [@m + v1]\n  return v0");
    assert!(text.contains("volatile") && !text.contains("branch"), "{text}");
}

/// A load of four bytes through parameter `pointer` that may be from the arguments.
fn argument_load(pointer: &str) -> String {
    clamped(&format!(
        "b0(v0: i32, v1: i32):\n  v2 = const.i32 65532\n  v3 = icmp.gt_u.i32 {pointer}, v2\n  v4 = data_addr @m + 16842752\n\
         \x20 v5 = add.i32 {pointer}, v4\n  v6 = load.s32.i32 [@limits + 8] align=4\n  v7 = icmp.lt_u.i32 v5, v6\n\
         \x20 v8 = const.i32 1\n  v9 = xor.i32 v7, v8\n  v10 = and.i32 v3, v9\n  branch v10, b1, b2\n\
         b1:\n  trap memory_out_of_bounds\nb2:\n  v11 = load.u32.i32 [@m + {pointer}]\n  return v11"
    ))
}

#[test]
fn only_pointers_of_entries_are_compared_with_the_arguments() {
    let pointer = argument_load("v0");
    assert!(
        pointer.contains("@limits") && pointer.contains("select.i32") && !pointer.contains("branch"),
        "{pointer}"
    );
    let other = argument_load("v1");
    assert!(!other.contains("@limits") && other.contains("min_u.i32 v1"), "{other}");
}
