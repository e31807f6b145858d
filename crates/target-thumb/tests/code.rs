//! Expected properties of generated code. The differential tests check that the code is correct.

use ssa::{canonicalize, estimate_frequencies, parse_module, verify};
use target_thumb::{MemoryMode, Options, print};

/// The final instructions of a program.
fn assembly(text: &str) -> String {
    assembly_in(MemoryMode::Symbol, text)
}

fn assembly_in(memory: MemoryMode, text: &str) -> String {
    let mut module = parse_module(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    for func in module.functions.values_mut().flatten() {
        canonicalize(func);
        estimate_frequencies(func);
    }
    verify(&module).unwrap_or_else(|error| panic!("{error}\n{text}"));
    print(module, &Options { threads: 1, memory, ..Options::default() }, None).expect("it compiles")
}

#[test]
fn two_branches_on_one_comparison_compare_once() {
    let code = assembly(
        "sig (i32) -> (i32)\nimport $f \"env\" \"f\" (i32) -> (i32)\n\
         func $g (i32) -> (i32) optsize {\nb0(v0: i32):\n  v1 = const.i32 5\n  v2 = icmp.eq.i32 v0, v1\n  \
         branch v2, b1, b2\nb1:\n  v3 = const.i32 7\n  return v3\nb2:\n  v4 = icmp.lt_u.i32 v0, v1\n  \
         branch v4, b3, b4\nb3:\n  v5 = call $f(v1)\n  return v5\nb4:\n  v6 = call $f(v0)\n  v7 = add.i32 v6, v6\n  return v7\n}\n",
    );
    assert_eq!(code.matches("cmp").count(), 1, "{code}");
}

#[test]
fn a_call_whose_result_is_returned_is_a_jump() {
    let code = assembly(
        "sig (i32) -> (i32)\nimport $f \"env\" \"f\" (i32) -> (i32)\n\
         func $g (i32) -> (i32) optsize {\nb0(v0: i32):\n  v1 = call $f(v0)\n  return v1\n}\n",
    );
    assert!(code.contains("tail_call") && !code.contains("push"), "{code}");
}

#[test]
fn a_call_stays_where_the_callee_may_use_the_frame() {
    let code = assembly(
        "sig (i32) -> (i32)\nmemory @m size=0 align=16 min=65536 page_log2=16 native_stack=1024\n\
         import $f \"env\" \"f\" (i32) -> (i32)\n\
         func $g (i32) -> (i32) optsize {\n  slot s0 size=8 align=8\nb0(v0: i32):\n  v1 = frame_addr s0\n  \
         v2 = call $f(v1)\n  return v2\n}\n",
    );
    assert!(!code.contains("tail_call"), "{code}");
}

#[test]
fn the_address_of_a_stack_object_is_made_for_each_call() {
    let code = assembly_in(
        MemoryMode::Native,
        "sig (i32) -> (i32)\nmemory @m size=0 align=16 min=65536 page_log2=16 native_stack=1024\n\
         import $f \"env\" \"f\" (i32) -> (i32)\n\
         func $g () -> (i32) optsize {\n  slot s0 size=16 align=8\nb0:\n  v0 = frame_addr s0\n  v1 = const.i32 4\n  \
         v2 = add.i32 v0, v1\n  v3 = call $f(v2)\n  v4 = call $f(v2)\n  return v4\n}\n",
    );
    assert_eq!(code.matches("add r0, r13, #4").count(), 2, "{code}");
    assert!(!code.contains("r4"), "{code}");
}

#[test]
fn fields_of_a_structure_share_the_sum_of_symbol_and_index() {
    let code = assembly(
        "sig (i32) -> (i32)\nmemory @m size=0 align=16 min=65536 page_log2=16\n\
         func $f (i32) -> (i32) {\nb0(v0: i32):\n  v1 = load.u32.i32 [@m + v0 + 4]\n  \
         v2 = load.u32.i32 [@m + v0 + 8]\n  v3 = add.i32 v1, v2\n  return v3\n}\n",
    );
    assert_eq!(code.matches("movw").count(), 1, "{code}");
    assert!(code.contains("#4]") && code.contains("#8]"), "{code}");
}

/// A function of three words with these instructions.
fn function(memory: MemoryMode, body: &str) -> String {
    let text = format!(
        "sig (i32, i32, i32) -> (i32)\nmemory @m size=0 align=16 min=65536 page_log2=16\n\
         func $f (i32, i32, i32) -> (i32) optsize {{\nb0(v0: i32, v1: i32, v2: i32):\n{body}}}\n"
    );
    assembly_in(memory, &text)
}

#[test]
fn neighbouring_constants_are_stored_at_once() {
    let stores = "  v3 = const.i32 7\n  v4 = const.i32 0\n  store.u8 v3, [@m + v0 + 4]\n  \
                  store.u8 v4, [@m + v0 + 5]\n  store.u16 v4, [@m + v0 + 6]\n  return v0\n";
    let code = function(MemoryMode::Symbol, stores);
    assert_eq!(code.matches("str").count(), 1, "{code}");
    let code = function(MemoryMode::Native, stores);
    assert_eq!(code.matches("str").count(), 3, "it may be a device: {code}");
}

#[test]
fn a_field_between_other_bits_is_inserted() {
    let fields = [
        "  v3 = const.i32 -4081\n  v4 = const.i32 4080\n  v5 = const.i32 4\n  v6 = and.i32 v0, v3\n  \
         v7 = shl.i32 v1, v5\n  v8 = and.i32 v7, v4\n  v9 = or.i32 v6, v8\n  return v9\n",
        "  v3 = const.i32 -4081\n  v4 = const.i32 255\n  v5 = const.i32 4\n  v6 = and.i32 v0, v3\n  \
         v7 = and.i32 v1, v4\n  v8 = shl.i32 v7, v5\n  v9 = or.i32 v8, v6\n  return v9\n",
        "  v3 = const.i32 -256\n  v4 = const.i32 255\n  v6 = and.i32 v0, v3\n  \
         v8 = and.i32 v1, v4\n  v9 = or.i32 v6, v8\n  return v9\n",
        "  v3 = const.i32 65535\n  v4 = const.i32 16\n  v6 = and.i32 v0, v3\n  \
         v8 = shl.i32 v1, v4\n  v9 = or.i32 v6, v8\n  return v9\n",
    ];
    for field in fields {
        let code = function(MemoryMode::Symbol, field);
        assert!(code.contains("bfi"), "{code}");
        assert!(!code.contains("orr") && !code.contains("bic"), "{code}");
    }
    let code = function(MemoryMode::Symbol, &fields[1].replace("const.i32 255", "const.i32 127"));
    assert!(!code.contains("bfi"), "the field has a hole: {code}");
}

#[test]
fn a_full_product_is_added_where_it_is_computed() {
    let code = assembly(
        "sig (i32, i32, i64) -> (i64)\nfunc $f (i32, i32, i64) -> (i64) {\nb0(v0: i32, v1: i32, v2: i64):\n  \
         v3 = zext.i64 v0\n  v4 = zext.i64 v1\n  v5 = mul.i64 v3, v4\n  v6 = add.i64 v5, v2\n  return v6\n}\n",
    );
    assert!(code.contains("umlal") && !code.contains("adc"), "{code}");
}

#[test]
fn a_range_of_bits_is_saturated_to() {
    for (low, high, expected) in [(0, 255, "usat"), (-128, 127, "ssat")] {
        let body = format!(
            "  v3 = const.i32 {low}\n  v4 = const.i32 {high}\n  v5 = max_s.i32 v0, v3\n  \
             v6 = min_s.i32 v5, v4\n  return v6\n"
        );
        let code = function(MemoryMode::Symbol, &body);
        assert!(code.contains(expected) && !code.contains("cmp"), "{code}");
    }
    let other = "  v3 = const.i32 0\n  v4 = const.i32 254\n  v5 = max_s.i32 v0, v3\n  \
                 v6 = min_s.i32 v5, v4\n  return v6\n";
    assert!(!function(MemoryMode::Symbol, other).contains("sat"));
}

#[test]
fn elements_of_a_stack_object_need_no_base() {
    let code = assembly(
        "sig (i32, i32) -> (i32)\nmemory @m size=0 align=16 min=65536 page_log2=16 native_stack=1024\n\
         func $f (i32, i32) -> (i32) optsize {\n  slot s0 size=64 align=8\nb0(v0: i32, v1: i32):\n  \
         v2 = frame_addr s0\n  v3 = add.i32 v2, v0\n  v4 = add.i32 v2, v1\n  v5 = const.i32 7\n  \
         store.u8 v5, [@m + v3 + 1]\n  v6 = load.u8.i32 [@m + v4 + 2]\n  return v6\n}\n",
    );
    assert!(!code.contains('=') && code.matches("sub").count() == 1, "{code}");
}

#[test]
fn both_halves_of_a_product_are_computed_at_once() {
    let code = assembly(
        "sig (i64, i64) -> (i64)\nfunc $f (i64, i64) -> (i64) {\nb0(v0: i64, v1: i64):\n  \
         v2 = mulh_u.i64 v0, v1\n  v3 = sub.i64 v2, v0\n  v4 = mul.i64 v0, v1\n  v5 = xor.i64 v3, v4\n  return v5\n}\n",
    );
    assert_eq!((code.matches("umull").count(), code.matches("mla ").count()), (1, 0), "{code}");
}

#[test]
fn shifted_words_are_operands() {
    let code = assembly(
        "sig (i64) -> (i64)\nfunc $f (i64) -> (i64) {\nb0(v0: i64):\n  v1 = const.i64 12\n  \
         v2 = shr_u.i64 v0, v1\n  v3 = xor.i64 v2, v0\n  return v3\n}\n",
    );
    assert_eq!(code.matches("eor").count(), 3, "{code}");
    assert!(!code.contains("orr") && !code.contains("lsr r"), "{code}");
}

/// The code of a loop over a pointer in native memory.
fn pointer_loop(body: &str) -> String {
    let text = format!(
        "sig (i32, i32, i32) -> (i32)\nmemory @m size=0 align=16 min=65536 page_log2=16\n\
         func $f (i32, i32, i32) -> (i32) optsize {{\nb0(v0: i32, v1: i32, v2: i32):\n  v3 = const.i32 -1\n  \
         v4 = const.i32 4\n  jump b1(v0, v1, v2)\nb1(v10: i32, v11: i32, v12: i32):\n{body}  \
         v15 = add.i32 v11, v3\n  v5 = const.i32 0\n  v6 = icmp.ne.i32 v15, v5\n  branch v6, b2, b3\nb2:\n  jump b1(v14, v15, v13)\nb3:\n  return v13\n}}\n"
    );
    assembly_in(MemoryMode::Native, &text)
}

#[test]
fn a_pointer_moves_on_with_the_access() {
    let behind =
        pointer_loop("  v16 = load.u8.i32 [@m + v10]\n  v13 = add.i32 v12, v16\n  v14 = add.i32 v10, v4\n");
    assert!(behind.contains("], #4") && behind.matches("add").count() == 1, "{behind}");
    let before =
        pointer_loop("  v14 = add.i32 v10, v4\n  v16 = load.s16.i32 [@m + v14]\n  v13 = add.i32 v12, v16\n");
    assert!(before.contains("#4]!") && before.matches("add").count() == 1, "{before}");
}

#[test]
fn words_of_the_frame_are_accessed_by_twos() {
    let code = assembly(
        "sig (i64) -> (i64)\nsig () -> ()\nmemory @m size=0 align=16 min=65536 page_log2=16 native_stack=1024\n\
         import $g \"env\" \"g\" () -> ()\n\
         func $f (i64) -> (i64) {\n  slot s0 size=16 align=8\nb0(v0: i64):\n  v1 = frame_addr s0\n  \
         store.i64 v0, [@m + v1]\n  call $g()\n  v2 = load.i64.i64 [@m + v1 + 8]\n  return v2\n}\n",
    );
    assert!(code.contains("strd") && code.contains("ldrd"), "{code}");
}

#[test]
fn early_exits_save_no_registers() {
    let body = "b0(v0: i32, v1: i32):\n  v2 = const.i32 0\n  v3 = icmp.eq.i32 v0, v2\n  branch v3, b1, b2\nb1:\n  \
                v4 = const.i32 -1\n  jump b3(v4)\nb2:\n  v5 = call $g(v1)\n  v6 = add.i32 v5, v0\n  jump b3(v6)\n\
                b3(v7: i32):\n  return v7\n";
    for level in ["", "optsize "] {
        let code = assembly(&format!(
            "sig (i32, i32) -> (i32)\nsig (i32) -> (i32)\nimport $g \"env\" \"g\" (i32) -> (i32)\n\
             func $f (i32, i32) -> (i32) {level}{{\n{body}}}\n"
        ));
        let (early, rest) = code.split_once("push").expect("the call needs a frame");
        assert!(early.contains("cbz") || early.contains("cbnz"), "{code}");
        assert!(code.contains("  return") && rest.contains("pop"), "{code}");
    }
}

#[test]
fn registers_change_places_without_the_stack() {
    let code = assembly(
        "sig (i32, i32) -> (i32)\nsig (i32) -> (i32)\nimport $g \"env\" \"g\" (i32) -> (i32)\n\
         func $f (i32, i32) -> (i32) optsize {\nb0(v0: i32, v1: i32):\n  v2 = call $g(v1)\n  v3 = call $g(v0)\n  \
         v4 = add.i32 v2, v3\n  return v4\n}\n",
    );
    assert!(!code.contains("[sp") && !code.contains("[r13"), "{code}");
}

#[test]
fn a_counter_is_compared_by_its_subtraction() {
    let code = pointer_loop(
        "  v16 = load.u32.i32 [@m + v10 + 8]\n  v13 = add.i32 v12, v16\n  v14 = add.i32 v10, v4\n",
    );
    assert!(!code.contains("cmp") && !code.contains("cbz"), "{code}");
    let differs = function(MemoryMode::Native, "  v3 = icmp.ne.i32 v0, v1\n  return v3\n");
    assert!(differs.contains("subs") && !differs.contains("cmp"), "{differs}");
}

#[test]
fn far_branches_share_a_jump() {
    let mut body = String::new();
    let mut next = 10;
    for n in 0..40 {
        let word = if n == 0 { "v0".to_owned() } else { format!("v{}", next - 3) };
        let constant = 0x0101_0101 * (n + 3);
        body.push_str(&format!(
            "  v{} = const.i32 {constant}\n  v{} = mul.i32 {word}, v{next}\n  v{} = const.i32 {}\n  \
             v{} = icmp.eq.i32 v{}, v{}\n  branch v{}, b{}, b{}\nb{}:\n  jump b100(v{})\nb{}:\n",
            next,
            next + 1,
            next + 2,
            n + 7,
            next + 3,
            next + 1,
            next + 2,
            next + 3,
            2 * n + 1,
            2 * n + 2,
            2 * n + 1,
            next + 1,
            2 * n + 2,
        ));
        next += 4;
    }
    let text = |level: &str| {
        format!(
            "sig (i32) -> (i32)\nimport $g \"env\" \"g\" (i32) -> (i32)\nfunc $f (i32) -> (i32) {level}{{\nb0(v0: i32):\n{body}  \
         return v0\nb100(v1: i32):\n  v2 = call $g(v1)\n  v3 = add.i32 v2, v1\n  return v3\n}}\n"
        )
    };
    let jumps = |code: &str| code.matches("; freq 0\n    => ").count();
    let small = assembly(&text("optsize "));
    assert!((1..4).contains(&jumps(&small)), "{small}");
    assert_eq!(jumps(&assembly(&text(""))), 0);
}

#[test]
fn words_arrive_as_words() {
    let code = assembly(
        "sig (i32, i64) -> (i64)\nfunc $f (i32, i64) -> (i64) optsize {\nb0(v0: i32, v1: i64):\n  v2 = const.i32 7\n  \
         v3 = icmp.eq.i32 v0, v2\n  branch v3, b1, b2\nb1:\n  v4 = const.i64 4000000000\n  jump b3(v4)\nb2:\n  \
         v5 = zext.i64 v0\n  jump b3(v5)\nb3(v6: i64):\n  v7 = or.i64 v6, v1\n  return v7\n}\n",
    );
    assert!(!code.contains("#0") && code.matches("orr").count() == 1, "{code}");
}

#[test]
fn the_complement_of_a_bit_is_tested_as_the_bit() {
    let code = assembly(
        "sig (i32) -> (i32)\nimport $g \"env\" \"g\" (i32) -> (i32)\nfunc $f (i32) -> (i32) optsize {\nb0(v0: i32):\n  \
         v1 = const.i32 1\n  v2 = and.i32 v0, v1\n  v3 = xor.i32 v2, v1\n  branch v3, b1, b2\nb1:\n  \
         v4 = call $g(v0)\n  return v4\nb2:\n  return v1\n}\n",
    );
    assert!(!code.contains("eor") && !code.contains("and"), "{code}");
}
