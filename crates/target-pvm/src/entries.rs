//! Entry points: the jumps at the start of the code and the functions behind them.
//!
//! A host enters a program at fixed positions. Entry `k` is a jump of five bytes at `5 k`; which export it leads to:
//!
//! - [`EntryMode::Auto`]: a service has `main` (or `refine`, `refine_ext`, `is_authorized`, `is_authorized_ext`) at 0
//!   and `accumulate` (or `accumulate_ext`, `main2`) at 5, and nothing else can be entered. A module with none of
//!   these names gets one entry per exported function in export order.
//! - [`EntryMode::Raw`]: one entry per exported function in export order, without conversion.
//!
//! A host passes PVM addresses in 64-bit registers, r7 = pointer and r8 = length of the arguments, and reads the
//! result from where r7 and r8 say. The wasm function wants wasm addresses in `i32`s and returns
//! `pointer | length << 32`. So in automatic mode an export whose signature fits is entered through a wrapper, an SSA
//! function like any other:
//!
//! | wasm results | r7 | r8 |
//! |---|---|---|
//! | `i64` | low half as an address | high half |
//! | `i32 i32` | first as an address | second |
//! | none (services only) | 0 | 0 |
//!
//! Parameters are `(i32, i32)`; the entries of services may also take fewer. Any other export is entered as it is, in
//! the calling convention of the compiler.
//!
//! A start function must have run before any export. A wrapper in front of each entry checks a flag, so that it runs
//! once even if the host keeps the program's memory between calls.

use pvm_isa::metadata::ResultConvention;
use ssa::{
    Addr, BinaryOp, Block, BlockCall, DataId, DataKind, DataObject, ExportItem, FuncDecl, FuncId, FuncKind, Function,
    InstData, MemFlags, MemType, Module, Signature, Type, UnaryOp, Value,
};

/// Bytes of an entry's jump.
pub const ENTRY_BYTES: u32 = 5;

const MAIN_NAMES: [&str; 5] = ["main", "refine", "refine_ext", "is_authorized", "is_authorized_ext"];
const SECOND_NAMES: [&str; 3] = ["accumulate", "accumulate_ext", "main2"];

/// Which exports can be entered, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EntryMode {
    /// By the conventions of services where the names fit, with wrappers where the signatures fit.
    #[default]
    Auto,
    /// Every exported function as it is.
    Raw,
}

/// An entry point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The exported name; empty for a position that only fills the table.
    pub name: String,
    /// What the jump leads to; `None` panics.
    pub target: Option<FuncId>,
    /// Signature of the wasm function, in the letters of the metadata.
    pub signature: String,
}

/// Chooses the entry points of a module and adds their wrappers to it.
pub fn make_entries(module: &mut Module, mode: EntryMode, result: ResultConvention) -> Vec<Entry> {
    let exports: Vec<(String, FuncId)> = module
        .exports
        .iter()
        .filter_map(|export| match export.item {
            ExportItem::Func(func) => Some((export.name.clone(), func)),
            ExportItem::Data(_) => None,
        })
        .collect();
    let flag = module.start.map(|_| add_flag(module));
    let mut maker = WrapperMaker { module, flag, result };
    let first_of = |names: &[&str]| names.iter().find_map(|name| exports.iter().find(|(export, _)| export == name));
    let service = [first_of(&MAIN_NAMES), first_of(&SECOND_NAMES)];
    if mode == EntryMode::Auto && service.iter().any(Option::is_some) {
        let entry = |export: Option<&(String, FuncId)>| match export {
            Some((name, func)) => maker.entry(name, *func, Some(service_convention)),
            None => Entry { name: String::new(), target: None, signature: String::new() },
        };
        return service.map(entry).into();
    }
    let convention = (mode == EntryMode::Auto).then_some(export_convention as fn(&Signature) -> Option<Results>);
    exports.iter().map(|(name, func)| maker.entry(name, *func, convention)).collect()
}

/// The letters of a signature in the metadata.
fn signature_letters(sig: &Signature) -> String {
    let letter = |ty: &Type| match ty {
        Type::I32 => 'i',
        Type::I64 => 'I',
        Type::F32 => 'f',
        Type::F64 => 'F',
    };
    sig.params.iter().map(letter).chain(['>']).chain(sig.results.iter().map(letter)).collect()
}

/// How the results of an export say where the result is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Results {
    None,
    Packed,
    Pair,
}

fn results_of(sig: &Signature) -> Option<Results> {
    match sig.results[..] {
        [] => Some(Results::None),
        [Type::I64] => Some(Results::Packed),
        [Type::I32, Type::I32] => Some(Results::Pair),
        _ => None,
    }
}

/// Exports with the name of a service entry: they may take less than both arguments and return nothing.
fn service_convention(sig: &Signature) -> Option<Results> {
    let fits = sig.params.len() <= 2 && sig.params.iter().all(|&ty| ty == Type::I32);
    results_of(sig).filter(|_| fits)
}

/// Other exports: only the exact signature tells that pointers are meant.
fn export_convention(sig: &Signature) -> Option<Results> {
    let fits = sig.params == [Type::I32, Type::I32] && sig.results == [Type::I64];
    fits.then_some(Results::Packed)
}

fn add_flag(module: &mut Module) -> DataId {
    module.data.push(DataObject {
        name: "__start_done".into(),
        kind: DataKind::Variable,
        size: 1,
        align: 1,
        init: Vec::new(),
        relocs: Vec::new(),
    })
}

struct WrapperMaker<'a> {
    module: &'a mut Module,
    /// Whether the start function has run, if there is one.
    flag: Option<DataId>,
    result: ResultConvention,
}

impl WrapperMaker<'_> {
    fn entry(&mut self, name: &str, func: FuncId, convention: Option<fn(&Signature) -> Option<Results>>) -> Entry {
        let sig = self.module.signature_of(func).clone();
        let signature = signature_letters(&sig);
        let target = match convention.and_then(|convention| convention(&sig)) {
            Some(results) => self.wrapper(name, func, &sig, results),
            None if self.flag.is_some() => self.gate(name, func, &sig),
            None => func,
        };
        Entry { name: name.to_owned(), target: Some(target), signature }
    }

    /// Converts arguments and results between the host's and wasm's view.
    fn wrapper(&mut self, name: &str, func: FuncId, sig: &Signature, results: Results) -> FuncId {
        let own = Signature { params: vec![Type::I64; 2], results: vec![Type::I64; 2] };
        let mut body = Function::new(format!("entry {name}"), self.module.intern_signature(own.clone()));
        let entry = body.add_block();
        let [pointer, length] = [0, 1].map(|_| body.add_param(entry, Type::I64));
        let block = self.run_start(&mut body, entry);
        let memory = self.module.memory().map(|(id, _)| id);
        let mut code = Builder { func: &mut body, block, memory };
        let args = [Builder::wasm_address, Builder::truncate];
        let args = args.iter().zip([pointer, length]).take(sig.params.len());
        let args = args.map(|(convert, value)| convert(&mut code, value)).collect();
        let call = code.func.append(block, InstData::Call { func, args }, &sig.results);
        let values = code.func.results[call].clone();
        let args = code.results(results, &values, self.result);
        code.func.append(block, InstData::Return { args }, &[]);
        self.add(body)
    }

    /// Only makes sure that the start function has run.
    fn gate(&mut self, name: &str, func: FuncId, sig: &Signature) -> FuncId {
        let mut body = Function::new(format!("entry {name}"), self.module.decls[func].sig);
        let entry = body.add_block();
        let args = sig.params.iter().map(|&ty| body.add_param(entry, ty)).collect();
        let block = self.run_start(&mut body, entry);
        body.append(block, InstData::TailCall { func, args }, &[]);
        self.add(body)
    }

    /// Appends the check of the flag to `entry` and returns the block to go on in.
    fn run_start(&self, body: &mut Function, entry: Block) -> Block {
        let (Some(flag), Some(start)) = (self.flag, self.module.start) else { return entry };
        let addr = Addr { base: Some(flag), index: None, offset: 0 };
        let flags = MemFlags::default();
        let load = InstData::Load { mem: MemType::U8, ty: Type::I32, addr, flags };
        let done = body.append_value(entry, load, Type::I32);
        let [skip, first, rest] = [0; 3].map(|_| body.add_block());
        let to = |block| BlockCall { block, args: Vec::new() };
        body.append(entry, InstData::Branch { cond: done, if_true: to(skip), if_false: to(first) }, &[]);
        body.append(skip, InstData::Jump { to: to(rest) }, &[]);
        let value = body.append_value(first, InstData::Const { ty: Type::I32, bits: 1 }, Type::I32);
        body.append(first, InstData::Store { mem: MemType::U8, addr, value, flags }, &[]);
        body.append(first, InstData::Call { func: start, args: Vec::new() }, &[]);
        body.append(first, InstData::Jump { to: to(rest) }, &[]);
        rest
    }

    fn add(&mut self, mut body: Function) -> FuncId {
        ssa::canonicalize(&mut body);
        let kind = FuncKind::Local;
        let id = self.module.decls.push(FuncDecl { name: body.name.clone(), sig: body.sig, kind });
        self.module.functions.push(Some(body));
        id
    }
}

/// Appends straight-line code to a block.
struct Builder<'a> {
    func: &'a mut Function,
    block: Block,
    memory: Option<DataId>,
}

impl Builder<'_> {
    fn unary(&mut self, op: UnaryOp, arg: Value, ty: Type) -> Value {
        self.func.append_value(self.block, InstData::Unary { op, ty, arg }, ty)
    }

    fn binary(&mut self, op: BinaryOp, ty: Type, args: [Value; 2]) -> Value {
        self.func.append_value(self.block, InstData::Binary { op, ty, args }, ty)
    }

    fn zero(&mut self) -> Value {
        self.func.append_value(self.block, InstData::Const { ty: Type::I64, bits: 0 }, Type::I64)
    }

    fn truncate(&mut self, word: Value) -> Value {
        self.unary(UnaryOp::Trunc, word, Type::I32)
    }

    /// Adds or subtracts the base of linear memory.
    fn rebase(&mut self, op: BinaryOp, addr: Value) -> Value {
        let Some(data) = self.memory else { return addr };
        let base = self.func.append_value(self.block, InstData::DataAddr { data, offset: 0 }, Type::I32);
        self.binary(op, Type::I32, [addr, base])
    }

    /// The wasm address of a PVM address in a 64-bit register.
    fn wasm_address(&mut self, word: Value) -> Value {
        let addr = self.truncate(word);
        self.rebase(BinaryOp::Sub, addr)
    }

    /// r7 and r8 for the results of a function.
    fn results(&mut self, results: Results, values: &[Value], convention: ResultConvention) -> Vec<Value> {
        let (pointer, length) = match results {
            Results::None => return vec![self.zero(), self.zero()],
            Results::Packed => {
                let bits = InstData::Const { ty: Type::I64, bits: 32 };
                let bits = self.func.append_value(self.block, bits, Type::I64);
                (self.truncate(values[0]), self.binary(BinaryOp::ShrU, Type::I64, [values[0], bits]))
            }
            Results::Pair => (values[0], self.unary(UnaryOp::Zext, values[1], Type::I64)),
        };
        let address = self.rebase(BinaryOp::Add, pointer);
        let address = self.unary(UnaryOp::Zext, address, Type::I64);
        let second = match convention {
            ResultConvention::Length => length,
            ResultConvention::End => self.binary(BinaryOp::Add, Type::I64, [address, length]),
        };
        vec![address, second]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssa::EntityId;

    const EXPORTS: &str = r#"
memory @mem size=0 align=16 min=65536 page_log2=16
func $work (i32, i32) -> (i64) {
b0(v0: i32, v1: i32):
  v2 = const.i64 7
  return v2
}
func $one (i32) -> (i32) {
b0(v0: i32):
  return v0
}
func $setup () -> () {
b0:
  return
}
export "memory" @mem
"#;

    fn module(tail: &str) -> Module {
        ssa::parse_module(&format!("{EXPORTS}{tail}")).expect("parses")
    }

    fn entries(tail: &str, mode: EntryMode) -> (Module, Vec<Entry>) {
        let mut module = module(tail);
        let entries = make_entries(&mut module, mode, ResultConvention::Length);
        ssa::verify(&module).expect("verifies");
        (module, entries)
    }

    fn names(module: &Module, entries: &[Entry]) -> Vec<(String, String)> {
        let target = |entry: &Entry| entry.target.map_or_else(String::new, |id| module.decls[id].name.clone());
        entries.iter().map(|entry| (entry.name.clone(), target(entry))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    #[test]
    fn services_have_two_entries() {
        let (module, found) = entries("export \"x\" $one\nexport \"main\" $work\n", EntryMode::Auto);
        assert_eq!(names(&module, &found), pairs(&[("main", "entry main"), ("", "")]));
        let (module, found) = entries("export \"accumulate\" $one\n", EntryMode::Auto);
        assert_eq!(names(&module, &found), pairs(&[("", ""), ("accumulate", "one")]));
    }

    #[test]
    fn other_modules_have_one_entry_per_export() {
        let tail = "export \"b\" $one\nexport \"a\" $work\n";
        let (module, found) = entries(tail, EntryMode::Auto);
        assert_eq!(names(&module, &found), pairs(&[("b", "one"), ("a", "entry a")]));
        assert_eq!(found[1].signature, "ii>I");
        let (module, found) = entries(&format!("{tail}export \"main\" $work\n"), EntryMode::Raw);
        assert_eq!(names(&module, &found), pairs(&[("b", "one"), ("a", "work"), ("main", "work")]));
    }

    #[test]
    fn start_functions_are_gated() {
        let (module, found) = entries("export \"b\" $one\nexport \"a\" $work\nstart $setup\n", EntryMode::Raw);
        assert_eq!(names(&module, &found), pairs(&[("b", "entry b"), ("a", "entry a")]));
        let gate = module.functions[found[0].target.expect("entered")].as_ref().expect("made");
        let calls = gate.insts.values().filter(|inst| matches!(inst, InstData::Call { .. } | InstData::TailCall { .. }));
        assert_eq!(calls.count(), 2);
    }

    #[test]
    fn wrappers_convert_addresses() {
        let (module, found) = entries("export \"main\" $work\n", EntryMode::Auto);
        let wrapper = module.functions[found[0].target.expect("entered")].as_ref().expect("made");
        let text = ssa::print_function(&module, wrapper);
        let expected = "\
func $\"entry main\" (i64, i64) -> (i64, i64) {
b0(v0: i64, v1: i64):
  v2 = trunc.i32 v0
  v3 = data_addr @mem
  v4 = sub.i32 v2, v3
  v5 = trunc.i32 v1
  v6 = call $work(v4, v5)
  v7 = const.i64 32
  v8 = trunc.i32 v6
  v9 = shr_u.i64 v6, v7
  v10 = data_addr @mem
  v11 = add.i32 v8, v10
  v12 = zext.i64 v11
  return v12, v9
}
";
        assert_eq!(text, expected);
        assert_eq!(wrapper.entry(), Block::new(0));
    }
}
