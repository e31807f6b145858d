//! Joining parts: each addition of a part gets an id of its own.

use inkwell::context::Context;

use crate::read::testing::{call, function, machine, parse, read_parts};

/// A part with a constant array, a function and a signature that the program doesn't know.
fn part(n: u32) -> String {
    format!(
        "target datalayout = \"e-m:e-p:32:32-i64:64-i128:128-n32:64-S128\"
@table = private constant [3 x i32] [i32 {n}0, i32 {n}1, i32 {n}2]
define internal i64 @new.helper(i64 %a, i32 %i, i64 %b) {{
  %p = getelementptr i32, ptr @table, i32 %i
  %v = load i32, ptr %p, align 4
  %w = zext i32 %v to i64
  %s = add i64 %a, %w
  %r = add i64 %s, %b
  ret i64 %r
}}
define i32 @get.{n}(i32 %i) {{
  %v = call i64 @new.helper(i64 1000, i32 %i, i64 {n}00000)
  %r = trunc i64 %v to i32
  ret i32 %r
}}
define i32 @address.{n}() {{
  ret i32 ptrtoint (ptr @table to i32)
}}
define i32 @through.{n}(i64 %f, i32 %i) {{
  %n = trunc i64 %f to i32
  %p = inttoptr i32 %n to ptr
  %r = call i32 %p(i32 %i, double 0.0, float {n}.0)
  ret i32 %r
}}"
    )
}

#[test]
fn additions_of_parts_stay_apart() {
    let context = Context::create();
    let parts = [1, 2].map(|n| parse(&context, &part(n)));
    let program = read_parts(&[&parts[0], &parts[1]]).unwrap_or_else(|error| panic!("{error}"));
    let mut machine = machine(&program);
    for (name, expected) in [("get.1", 101_011), ("get.2", 201_021)] {
        let result = call(&mut machine, &program.decls, function(&program, name), &[1]);
        assert_eq!(result, Ok(vec![expected]), "{name}");
    }
    for (name, expected) in [("address.1", 10), ("address.2", 20)] {
        let result = call(&mut machine, &program.decls, function(&program, name), &[]);
        let address = result.expect("it returns an address")[0] as u32;
        assert_eq!(machine.memory.read(address, 4), Some(expected), "{name}");
    }
    let names: std::collections::BTreeSet<_> = program.decls.values().map(|decl| &decl.name).collect();
    assert_eq!(names.len(), program.decls.len(), "names of functions are unique");
    let names: std::collections::BTreeSet<_> = program.data.values().map(|object| &object.name).collect();
    assert_eq!((names.len(), program.data.len()), (2, 2), "each part has its own constant");
    // The signature of the indirect calls is the same in both parts.
    let doubles = program.signatures.values().filter(|sig| sig.params.contains(&ssa::Type::F64)).count();
    assert_eq!(doubles, 1);
}

#[test]
fn joining_in_the_same_order_gives_the_same_program() {
    let texts: Vec<String> = (0..2)
        .map(|_| {
            let context = Context::create();
            let parts = [1, 2].map(|n| parse(&context, &part(n)));
            let program = read_parts(&[&parts[0], &parts[1]]).unwrap_or_else(|error| panic!("{error}"));
            program.to_string()
        })
        .collect();
    assert_eq!(texts[0], texts[1]);
}
