//! Which checks become clamps, and of which accesses.

use std::collections::BTreeMap;

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
    let main = module.decls.iter().find(|(_, decl)| decl.name == "main").expect("it is there").0;
    let entered = BTreeMap::from([(main, false)]);
    assert!(clamp_accesses(&mut module, memory, &ProgramLayout::SPI, &entered).is_some());
    ssa::verify(&module).expect("the pass keeps the invariants");
    function(&module)
}

fn function(module: &Module) -> String {
    let func = module.functions.values().flatten().next().expect("it has functions");
    let text = ssa::print_function(module, func);
    assert!(!text.contains("$check"), "{text}");
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

#[test]
fn an_address_near_one_in_memory_is_not_clamped() {
    let start = check(2, "v1", 0, false) + "  store.u32 v0, [@m + v1]\n";
    let near = |mask: i32| format!("  v5 = const.i32 {mask}\n  v6 = and.i32 v0, v5\n  v7 = add.i32 v1, v6\n");
    let load = "  v9 = load.u32.i32 [@m + v7]\n  return v9";
    let text = clamped(&(start.clone() + &near(1020) + &check(8, "v7", 0, false) + load));
    assert!(count(&text, "min_u") == 1 && count(&text, "load") == 1, "{text}");
    // 256 MiB above memory may be the stack.
    let text = clamped(&(start + &near(0x0fff_fff0) + &check(8, "v7", 0, false) + load));
    assert_eq!(count(&text, "min_u"), 2, "{text}");
    // Nothing is known about the first address before the access to it.
    let late = check(2, "v1", 0, false) + &near(1020) + &check(8, "v7", 0, false);
    let text = clamped(&(late + "  store.u32 v0, [@m + v7]\n  store.u32 v0, [@m + v1]\n  return v0"));
    assert_eq!(count(&text, "min_u"), 2, "{text}");
}

/// A loop that loads at `v1 + v5`, where `v5` is `first` at first, grows by 4, and `next` is compared with `end`.
fn turning(first: i32, next: &str, cond: &str, end: &str) -> String {
    clamped(
        &(format!("  v3 = const.i32 {first}\n  v4 = const.i32 4\n")
            + &check(2, "v1", 0, false)
            + "  store.u32 v0, [@m + v1]\n  jump b1(v3)\nb1(v5: i32):\n  v6 = add.i32 v1, v5\n"
            + &check(7, "v6", 0, false)
            + &format!(
                "  v8 = load.u32.i32 [@m + v6]\n  v9 = add.i32 v5, v4\n  v11 = const.i32 {end}\n  \
                 v12 = icmp.{cond}.i32 {next}, v11\n  branch v12, b2, b3\nb2:\n  return v8\nb3:\n  jump b1(v9)"
            )),
    )
}

#[test]
fn loops_with_a_known_number_of_turns_are_bounded() {
    for (first, next, cond, end) in
        [(0, "v9", "eq", "64"), (0, "v5", "eq", "64"), (0, "v9", "gt_u", "64"), (8, "v5", "ge_u", "64")]
    {
        let text = turning(first, next, cond, end);
        assert_eq!(count(&text, "min_u"), 1, "{text}");
    }
    // It steps over the end, goes below the start, or ends after any number of turns.
    for (first, next, cond, end) in
        [(0, "v9", "eq", "63"), (-8, "v9", "eq", "64"), (0, "v9", "eq", "0"), (0, "v9", "gt_u", "-2")]
    {
        let text = turning(first, next, cond, end);
        assert_eq!(count(&text, "min_u"), 2, "{text}");
    }
}

#[test]
fn checks_of_arguments_are_made_together() {
    let two = check(2, "v0", 0, true) + &check(3, "v0", 60, true);
    let loads = "  v4 = load.u32.i32 [@m + v0 + 60]\n  v5 = load.u32.i32 [@m + v0]\n";
    let text = clamped(&(two.clone() + loads + "  v6 = add.i32 v4, v5\n  return v6"));
    assert!(count(&text, "min_u") == 1 && count(&text, "select") == 1, "{text}");
    assert!(count(&text, "data_addr") == 1 && text.contains("@m + 16842815"), "{text}");
    // The lowest byte is loaded in any case: the address may be just below the arguments.
    let text = clamped(&(two + "  v4 = load.u32.i32 [@m + v0 + 60]\n  return v4"));
    assert!(count(&text, "select") == 1 && text.contains("load.u8.i32"), "{text}");
}

#[test]
fn certain_loads_of_an_entry_need_its_length() {
    let text = format!(
        "memory @m size=0 align=1 min=65536 page_log2=16\nvar @limits size=16 align=4\n\
         intrinsic $check \"{}\" (i32, i32) -> ()\nfunc $main (i32, i32) -> (i32) {{\nb0(v0: i32, v1: i32):\n{}{}  \
         v4 = load.u32.i32 [@m + v0 + 8]\n  return v4\n}}\nexport \"main\" $main\nhost_arguments @limits\n",
        CheckedAccess::SYMBOL,
        check(2, "v0", 0, true),
        check(3, "v0", 8, true)
    );
    for (is_only, bytes) in [(true, Some(12)), (false, None)] {
        let mut module = parse_module(&text).expect("it parses");
        let memory = linear_memory(&module).expect("it has one");
        let main = module.decls.iter().find(|(_, decl)| decl.name == "main").expect("it is there").0;
        let entered = BTreeMap::from([(main, is_only)]);
        let least =
            clamp_accesses(&mut module, memory, &ProgramLayout::SPI, &entered).expect("there are marks");
        assert_eq!(least.least_arguments.get(&main).copied(), bytes);
        assert_eq!(function(&module).contains("select"), !is_only);
    }
}

/// The lowest address of a program whose entry has this body, which may use the constant `v3 = 60` and a result in `v4`.
fn lowest(body: &str, others: &str) -> u32 {
    let text = format!(
        "memory @m size=0 align=1 min=65536 page_log2=16\nvar @limits size=16 align=4\nvar @g size=4 align=4\n\
         intrinsic $check \"{}\" (i32, i32) -> ()\n{others}func $main (i32, i32) -> (i64) {{\nb0(v0: i32, v1: i32):\n  \
         v3 = const.i32 60\n  v4 = const.i64 21474856480\n{body}}}\nexport \"main\" $main\nhost_arguments @limits\n",
        CheckedAccess::SYMBOL
    );
    let mut module = parse_module(&text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let memory = linear_memory(&module).expect("it has one");
    let main = module.decls.iter().find(|(_, decl)| decl.name == "main").expect("it is there").0;
    let entered = BTreeMap::from([(main, true)]);
    clamp_accesses(&mut module, memory, &ProgramLayout::SPI, &entered).expect("there are marks").lowest
}

#[test]
fn the_lowest_address_is_that_of_static_data() {
    let masked = "  v5 = and.i32 v0, v3\n  v6 = load.u32.i32 [@m + v5 + 16384]\n  store.u32 v6, [@g]\n";
    let constant = "  v7 = load.u32.i32 [@m + 400]\n  store.u32 v7, [@g]\n";
    let argument = check(8, "v0", 4, true) + "  v9 = load.u32.i32 [@m + v0 + 4]\n  store.u32 v9, [@g]\n";
    let end = "  return v4\n";
    assert_eq!(lowest(&format!("{argument}{masked}{end}"), ""), 16384);
    assert_eq!(lowest(&format!("{masked}{constant}{end}"), ""), 400);
    // 20000 is the address of the result.
    assert_eq!(lowest(&format!("{argument}{end}"), ""), 20000);
    // A variable address, one that is checked only, one of the result, one for a function, and a host that may get one.
    let variable = check(8, "v1", 0, false) + "  v9 = load.u32.i32 [@m + v1]\n  store.u32 v9, [@g]\n";
    let unused = check(8, "v1", 0, false);
    let computed = "  v8 = data_addr @m + 16384\n  store.u32 v8, [@g]\n";
    for body in [variable + end, unused + end, format!("{masked}{computed}{end}")] {
        assert_eq!(lowest(&body, ""), 0, "{body}");
    }
    assert_eq!(lowest(&format!("{masked}  v8 = zext.i64 v1\n  return v8\n"), ""), 0);
    assert_eq!(lowest(&format!("{masked}{end}"), "import $host \"m\" \"host\" (i32) -> ()\n"), 0);
}

/// The text of `$inner` after the pass; `$f` calls it.
fn called(calls: &str, others: &str) -> String {
    let inner = "sig (i32) -> (i32)\nfunc $inner (i32) -> (i32) {\nb0(v0: i32):\n".to_owned()
        + &check(1, "v0", 8, false)
        + "  v2 = load.u32.i32 [@m + v0 + 8]\n  return v2\n}\n";
    let text = format!(
        "sig (i32, i32) -> (i32)\nsig (i32, i32) -> ()\nmemory @m size=0 align=1 min=65536 page_log2=16 native_stack=4096\n\
         intrinsic $check \"{}\" (i32, i32) -> ()\n{inner}\
         func $f (i32, i32) -> (i32) {{\n  slot s0 size=16 align=16\nb0(v0: i32, v1: i32):\n{calls}\n}}\n{others}\
         export \"main\" $f\n",
        CheckedAccess::SYMBOL
    );
    let mut module = parse_module(&text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let memory = linear_memory(&module).expect("it has one");
    assert!(clamp_accesses(&mut module, memory, &ProgramLayout::SPI, &BTreeMap::new()).is_some());
    ssa::verify(&module).expect("the pass keeps the invariants");
    function(&module)
}

#[test]
fn a_parameter_is_known_from_all_calls() {
    let known = check(2, "v0", 0, false) + "  store.u32 v1, [@m + v0]\n  v5 = call $inner(v0)\n";
    let slot = "  v6 = frame_addr s0\n  v7 = call $inner(v6)\n";
    let text = called(&(known.clone() + slot + "  return v7"), "");
    assert!(count(&text, "min_u") == 0 && count(&text, "load") == 1, "{text}");
    // One call with another address is enough.
    let text = called(&(known.clone() + slot + "  v8 = call $inner(v1)\n  return v8"), "");
    assert!(count(&text, "min_u") == 1, "{text}");
    // So is one before the address is known.
    let early = "  v9 = call $inner(v0)\n".to_owned() + &known + "  return v5";
    assert!(count(&called(&early, ""), "min_u") == 1);
    // A function that is called through a reference may get anything.
    let table = "  v8 = func_ref $inner\n  store.i64 v8, [@m + v0]\n  return v5";
    let text = called(&(known.clone() + table), "");
    assert!(count(&text, "min_u") == 1, "{text}");
    // Calls of functions that nothing calls don't count.
    let dead =
        "func $dead (i32, i32) -> (i32) {\nb0(v0: i32, v1: i32):\n  v2 = call $inner(v1)\n  return v2\n}\n";
    let text = called(&(known + "  return v5"), dead);
    assert!(count(&text, "min_u") == 0, "{text}");
}

#[test]
fn a_function_that_calls_itself_knows_nothing() {
    let again = "sig (i32) -> (i32)\nfunc $again (i32) -> (i32) {\nb0(v0: i32):\n  v1 = call $inner(v0)\n  v2 = call $again(v1)\n  return v2\n}\n";
    let calls = check(2, "v0", 0, false) + "  store.u32 v1, [@m + v0]\n  v5 = call $again(v0)\n  return v5";
    assert!(count(&called(&calls, again), "min_u") == 1);
}

#[test]
fn an_address_is_known_where_known_ones_meet() {
    let text = |last: &str| {
        let both = check(2, "v0", 0, false)
            + "  store.u32 v1, [@m + v0]\n  v5 = frame_addr s0\n  branch v1, b1(), b2()\n\
               b1():\n  jump b3(v5)\nb2():\n";
        both + last + "b3(v6: i32):\n  v7 = call $inner(v6)\n  return v7"
    };
    assert!(count(&called(&text("  jump b3(v0)\n"), ""), "min_u") == 0);
    assert!(count(&called(&text("  jump b3(v1)\n"), ""), "min_u") == 1);
}
