//! Each clean-up pass on a small function; and large functions, which must not take quadratic time or deep recursion.

use ssa::testing::Rng;
use ssa::{
    Block, BlockCall, Cond, Function, InstData, Module, Signature, TrapCode, Type, Value, parse_module,
    passes, print_function, verify,
};

/// Runs `pass` on `func $f (i32, i32) -> (i32)` with this body and returns the body.
fn after(pass: fn(&mut Function), body: &str) -> String {
    let text = format!("func $f (i32, i32) -> (i32) {{\nb0(v0: i32, v1: i32):\n{body}}}\n");
    let mut module = parse_module(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut func = module.functions.values_mut().next().and_then(Option::take).expect("it has a body");
    pass(&mut func);
    let text = print_function(&module, &func);
    let lines: Vec<&str> = text.lines().skip(2).collect();
    lines[..lines.len() - 1].join("\n") + "\n"
}

#[test]
fn loops_to_the_entry_get_a_block() {
    let body = "  jump b0(v1, v0)\n";
    assert_eq!(after(ssa::canonicalize, body), "  jump b1\nb1:\n  jump b1\n");
    let body = "  branch v0, b0(v1, v0), b1\nb1:\n  return v0\n";
    let expected = "  jump b1(v0, v1)
b1(v2: i32, v3: i32):
  branch v2, b3, b2
b2:
  return v2
b3 freq=0.5:
  jump b1(v3, v2)
";
    assert_eq!(after(ssa::canonicalize, body), expected);
}

#[test]
fn the_new_block_defines_the_old_parameters() {
    let text = "func $f (i32) -> () {\nb0(v0: i32):\n  jump b0(v0)\n}";
    let mut module = parse_module(text).expect("it parses");
    module.functions.values_mut().flatten().for_each(passes::isolate_entry);
    verify(&module).expect("it verifies");
}

#[test]
fn branches_one_way_become_jumps() {
    let fold = |terminator: &str| {
        let body =
            format!("  v2 = const.i32 1\n  {terminator}\nb1(v3: i32):\n  return v3\nb2:\n  return v0\n");
        after(passes::fold_branches, &body).lines().nth(1).expect("it has a terminator").trim().to_owned()
    };
    assert_eq!(fold("branch v2, b1(v0), b2"), "jump b1(v0)");
    assert_eq!(fold("branch v0, b1(v0), b1(v0)"), "jump b1(v0)");
    assert_eq!(fold("branch v0, b1(v0), b1(v1)"), "branch v0, b1(v0), b1(v1)");
    assert_eq!(fold("switch.i32 v2, [0: b2, 1: b1(v1)], b2"), "jump b1(v1)");
    assert_eq!(fold("switch.i32 v2, [0: b1(v0), 2: b1(v1)], b2"), "jump b2");
    assert_eq!(fold("switch.i32 v0, [0: b2, 1: b1(v1), 2: b2], b2"), "switch.i32 v0, [1: b1(v1)], b2");
    assert_eq!(fold("switch.i32 v0, [0: b2, 2: b2], b2"), "jump b2");
}

#[test]
fn redundant_parameters_go_even_around_cycles() {
    let body = "  jump b1(v0, v0, v0)
b1(v2: i32, v3: i32, v4: i32):
  branch v1, b2(v3), b4
b2(v5: i32):
  branch v1, b3(v5), b3(v2)
b3(v6: i32):
  jump b1(v6, v5, v1)
b4:
  v7 = add.i32 v2, v3
  v8 = add.i32 v7, v4
  return v8
";
    let expected = "  jump b1(v0)
b1(v4: i32):
  branch v1, b2, b4
b2:
  branch v1, b3, b3
b3:
  jump b1(v1)
b4:
  v7 = add.i32 v0, v0
  v8 = add.i32 v7, v4
  return v8
";
    assert_eq!(after(passes::remove_redundant_params, body), expected);
}

#[test]
fn different_parameters_stay() {
    let body = "  jump b1(v0, v1)
b1(v2: i32, v3: i32):
  branch v0, b1(v3, v2), b2
b2:
  return v2
";
    assert_eq!(after(passes::remove_redundant_params, body), body);
}

#[test]
fn dead_code_goes_even_around_cycles() {
    let body = "  v2 = add.i32 v0, v1
  v3 = load.u8.i32 [v0]
  jump b1(v0, v2, v1)
b1(v4: i32, v5: i32, v6: i32):
  v7 = add.i32 v5, v4
  store.u32 v6, [v0]
  branch v0, b1(v7, v4, v6), b2
b2:
  return v0
";
    let expected = "  v3 = load.u8.i32 [v0]
  jump b1(v1)
b1(v6: i32):
  store.u32 v6, [v0]
  branch v0, b1(v6), b2
b2:
  return v0
";
    assert_eq!(after(passes::remove_dead, body), expected);
}

#[test]
fn straight_lines_become_one_block() {
    let body = "  jump b1(v0)
b1(v2: i32):
  v3 = add.i32 v2, v1
  jump b2(v3, v2)
b2(v4: i32, v5: i32):
  v6 = add.i32 v4, v5
  branch v6, b3, b4
b3:
  return v4
b4:
  return v6
";
    let expected = "  v2 = add.i32 v0, v1
  v3 = add.i32 v2, v0
  branch v3, b2, b1
b1:
  return v3
b2:
  return v2
";
    let merge = |func: &mut Function| {
        passes::merge_blocks(func);
        passes::compact(func);
    };
    assert_eq!(after(merge, body), expected);
}

#[test]
fn critical_edges_get_blocks_and_cases_share_them() {
    let body = "  switch.i32 v0, [1: b1(v0), 2: b1(v1), 3: b1(v0), 4: b2], b2
b1(v2: i32):
  return v2
b2:
  return v1
";
    let expected = "  switch.i32 v0, [1: b3, 2: b4, 3: b3, 4: b2], b2
b1(v2: i32):
  return v2
b2:
  return v1
b3 freq=0.4:
  jump b1(v0)
b4 freq=0.2:
  jump b1(v1)
";
    assert_eq!(after(passes::split_critical_edges, body), expected);
}

/// A function under construction whose only type is `i32`.
struct Big {
    module: Module,
    func: Function,
    entry: Block,
    param: Value,
}

impl Big {
    fn new() -> Self {
        let mut module = Module::default();
        let sig = module.intern_signature(Signature { params: vec![Type::I32], results: vec![Type::I32] });
        let mut func = Function::new("big", sig);
        let entry = func.add_block();
        let param = func.add_param(entry, Type::I32);
        Self { module, func, entry, param }
    }

    fn check(mut self, at_least: usize) {
        ssa::canonicalize(&mut self.func);
        ssa::estimate_frequencies(&mut self.func);
        assert!(self.func.blocks.len() >= at_least, "{} blocks", self.func.blocks.len());
        ssa::verify_function(&self.module, &self.func).expect("it verifies");
        let text = print_function(&self.module, &self.func);
        assert_eq!(ssa::parse_function(&self.module, &text).as_ref(), Ok(&self.func));
    }

    /// `branch param == number, away, next`; returns next.
    fn check_number(&mut self, block: Block, number: usize, away: BlockCall) -> Block {
        let number = InstData::Const { ty: Type::I32, bits: number as i64 };
        let number = self.func.append_value(block, number, Type::I32);
        let test = InstData::Icmp { cond: Cond::Eq, ty: Type::I32, args: [self.param, number] };
        let cond = self.func.append_value(block, test, Type::I32);
        let next = self.func.add_block();
        let if_false = BlockCall { block: next, args: Vec::new() };
        self.func.append(block, InstData::Branch { cond, if_true: away, if_false }, &[]);
        next
    }
}

const MANY: usize = 100_000;

#[test]
fn many_branches_to_one_trap() {
    let mut big = Big::new();
    let trap = big.func.add_block();
    big.func.append(trap, InstData::Trap { code: TrapCode::Unreachable }, &[]);
    let mut block = big.entry;
    for n in 0..MANY {
        block = big.check_number(block, n, BlockCall { block: trap, args: Vec::new() });
    }
    big.func.append(block, InstData::Return { args: vec![big.param] }, &[]);
    big.check(2 * MANY);
}

#[test]
fn a_long_chain_of_joins_and_loops() {
    let mut big = Big::new();
    let mut rng = Rng::new(1);
    let (mut block, mut value) = (big.entry, big.param);
    for n in 0..MANY / 2 {
        let next = big.func.add_block();
        let joined = big.func.add_param(next, Type::I32);
        big.func.append(block, InstData::Jump { to: BlockCall { block: next, args: vec![value] } }, &[]);
        // Back to the join, mostly with the value it had: a redundant parameter.
        let again = if rng.one_in(10) { big.param } else { joined };
        block = big.check_number(next, n, BlockCall { block: next, args: vec![again] });
        value = joined;
    }
    big.func.append(block, InstData::Return { args: vec![value] }, &[]);
    big.check(MANY / 2);
}

#[test]
fn a_deep_nest_of_loops() {
    let mut big = Big::new();
    let depth = 3_000;
    let mut headers = Vec::new();
    let mut block = big.entry;
    for _ in 0..depth {
        let header = big.func.add_block();
        let to = BlockCall { block: header, args: Vec::new() };
        big.func.append(block, InstData::Jump { to }, &[]);
        // A store keeps headers apart.
        let addr = ssa::Addr { base: None, index: Some(big.param), offset: 0 };
        let store =
            InstData::Store { mem: ssa::MemType::U32, addr, value: big.param, flags: Default::default() };
        big.func.append(header, store, &[]);
        headers.push(header);
        block = header;
    }
    for (n, header) in headers.into_iter().rev().enumerate() {
        block = big.check_number(block, n, BlockCall { block: header, args: Vec::new() });
    }
    big.func.append(block, InstData::Return { args: vec![big.param] }, &[]);
    big.check(depth);
}

#[test]
fn a_switch_with_many_cases() {
    let mut big = Big::new();
    let (join, other) = (big.func.add_block(), big.func.add_block());
    let joined = big.func.add_param(join, Type::I32);
    big.func.append(join, InstData::Return { args: vec![joined] }, &[]);
    big.func.append(other, InstData::Trap { code: TrapCode::Unreachable }, &[]);
    let mut cases = Vec::new();
    for n in 0..MANY {
        let bits = n as i64 % 1000;
        let value = big.func.append_value(big.entry, InstData::Const { ty: Type::I32, bits }, Type::I32);
        cases.push((n as i64, BlockCall { block: join, args: vec![value] }));
    }
    let default = BlockCall { block: other, args: Vec::new() };
    let data = InstData::Switch { ty: Type::I32, value: big.param, cases, default };
    big.func.append(big.entry, data, &[]);
    big.check(MANY);
}

#[test]
fn an_empty_module_is_fine() {
    verify(&Module::default()).expect("it verifies");
}
