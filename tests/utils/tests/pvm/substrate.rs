//! Runtimes with `--profile substrate` under the conventions of Substrate's executor for PolkaVM, written here once more on
//! the `polkavm` crate: memory is cleared, the input is put at the start of the heap by moving its end, the entry is
//! called with the machine address and the length, and its result is `address | length << 32`. Allocation moves the end
//! of the heap, and freeing is not implemented.

use anyhow::{Result, anyhow, ensure};
use polkavm::{Caller, Linker, ProgramBlob, Reg};
use testkit::polkavm::{Program, engines};
use testkit::runtimes::{call_reference, decompress, files, folder};
use wasm_pvm::{Floats, Format, GpVersion, OptLevel, Options, Profile, PvmOptions};

/// Messages of the runtime, and the blocks it got.
#[derive(Default)]
struct State {
    log: Vec<String>,
    blocks: Vec<u32>,
}

fn text(caller: &mut Caller<State>, slice: u64) -> Result<String, String> {
    let bytes = caller.instance.read_memory(slice as u32, (slice >> 32) as u32);
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| error.to_string())
}

fn host_function(name: &str, caller: &mut Caller<State>) -> Result<(), String> {
    match name {
        "ext_allocator_malloc_version_1" => {
            let size = caller.instance.reg(Reg::A0) as u32;
            let pointer = caller.instance.sbrk(0).map_err(|error| error.to_string())?.expect("known");
            let end = caller.instance.sbrk(size).map_err(|error| error.to_string())?;
            end.ok_or("allocation error")?;
            caller.instance.set_reg(Reg::A0, pointer.into());
            caller.user_data.blocks.push(pointer);
        }
        "ext_logging_max_level_version_1" => caller.instance.set_reg(Reg::A0, 0),
        "ext_logging_log_version_1" => {
            let message = caller.instance.reg(Reg::A2);
            let message = text(caller, message)?;
            caller.user_data.log.push(message);
        }
        _ => return Err(format!("the entry calls {name}")),
    }
    Ok(())
}

/// A linker with every symbol of the file.
fn linker(file: &[u8]) -> Result<Linker<State, String>> {
    let mut linker = Linker::new();
    for symbol in ProgramBlob::parse(file.to_vec().into())?.imports().iter().flatten() {
        let name = String::from_utf8(symbol.as_bytes().to_vec())?;
        linker
            .define_untyped(name.clone(), move |mut caller: Caller<State>| host_function(&name, &mut caller))
            .map_err(|error| anyhow!("{error}"))?;
    }
    Ok(linker)
}

fn call(program: &mut Program<State>, state: &mut State, entry: &str, input: &[u8]) -> Result<Vec<u8>> {
    let failed = |error: polkavm::Error| anyhow!("{error}");
    program.instance.reset_memory().map_err(failed)?;
    program.instance.sbrk(input.len() as u32).map_err(failed)?.expect("there is a heap");
    let at = program.module.memory_map().heap_base();
    program.instance.write_memory(at, input).map_err(|error| anyhow!("{error}"))?;
    let pc = program.export(entry)?;
    let result = program.instance.call_typed(state, pc, (at, input.len() as u32));
    result.map_err(|error| anyhow!("{entry}: {error:?}"))?;
    let result = program.instance.reg(Reg::A0);
    let bytes = program.instance.read_memory(result as u32, (result >> 32) as u32);
    bytes.map_err(|error| anyhow!("{entry}: {error}"))
}

fn compile(wasm: &[u8], gp: GpVersion, level: OptLevel) -> Result<Vec<u8>> {
    let profile = Some(Profile::Substrate);
    let pvm = PvmOptions { gp, profile, format: Format::PolkaVm, ..PvmOptions::default() };
    let options = Options { level, floats: Some(Floats::Trap), ..Options::new(pvm) };
    let output = wasm_pvm::compile(wasm, &options)?;
    let report = output.report.pvm().expect("a program");
    ensure!(report.linear_base == 0, "wasm addresses are the machine's");
    Ok(output.bytes)
}

/// Reverses its input into a block of its own, after blocks of odd sizes that it frees.
const RUNTIME: &str = r#"(module
  (import "env" "memory" (memory 18))
  (import "env" "ext_allocator_malloc_version_1" (func $malloc (param i32) (result i32)))
  (import "env" "ext_allocator_free_version_1" (func $free (param i32)))
  (import "env" "ext_logging_log_version_1" (func $log (param i32 i64 i64)))
  (import "env" "ext_storage_get_version_1" (func $get (param i64) (result i64)))
  (global $__stack_pointer (mut i32) (i32.const 1048576))
  (global (export "__heap_base") i32 (i32.const 1114112))
  (data (i32.const 1048580) "reversing")
  (func (export "reverse") (param $in i32) (param $len i32) (result i64)
    (local $out i32) (local $n i32)
    (call $log (i32.const 1) (i64.const 0) (i64.const 0x900100004))
    (call $free (call $malloc (i32.const 3)))
    (i32.store8 (i32.const 1048576) (i32.add (i32.load8_u (i32.const 1048576)) (i32.const 1)))
    (local.set $out (call $malloc (i32.add (local.get $len) (i32.const 1))))
    (if (i32.and (local.get $out) (i32.const 7)) (then (unreachable)))
    (i32.store8 (local.get $out) (i32.load8_u (i32.const 1048576)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $n) (local.get $len)))
        (i32.store8 offset=1 (i32.add (local.get $out) (local.get $n))
          (i32.load8_u (i32.sub (i32.add (local.get $in) (local.get $len)) (i32.add (local.get $n) (i32.const 1)))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (i64.or (i64.extend_i32_u (local.get $out))
      (i64.shl (i64.extend_i32_u (i32.add (local.get $len) (i32.const 1))) (i64.const 32))))
  (func (export "stored") (param i32 i32) (result i64) (call $get (i64.const 7))))"#;

#[test]
fn the_host_allocates_at_machine_addresses() {
    let wasm = wat::parse_str(RUNTIME).unwrap();
    for gp in [GpVersion::V072, GpVersion::V08] {
        for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
            let file = compile(&wasm, gp, level).unwrap();
            let linker = linker(&file).unwrap();
            for ((_, engine), page_size) in engines().unwrap().iter().zip([0x1000, 0x4000]) {
                let mut program = Program::new(engine, &file, page_size, &linker).unwrap();
                // Memory is cleared before each call.
                for _ in 0..2 {
                    let mut state = State::default();
                    let output = call(&mut program, &mut state, "reverse", b"abcde").unwrap();
                    assert_eq!(output, b"\x01edcba", "{gp} {level:?}");
                    assert_eq!((state.log, state.blocks.len()), (vec!["reversing".to_owned()], 2));
                    assert_eq!(call(&mut program, &mut State::default(), "reverse", b"").unwrap(), [1]);
                }
                let error = call(&mut program, &mut State::default(), "stored", b"").expect_err("unknown");
                assert!(error.to_string().contains("calls ext_storage_get_version_1"), "{error}");
            }
        }
    }
}

#[test]
fn a_runtime_answers_what_the_reference_engine_answers() {
    let files = files(&folder()).unwrap();
    let Some((name, path)) = files.iter().find(|(name, _)| name.starts_with("westend")) else {
        return needs::skip("no runtime westend in ../shared/corpus/runtimes");
    };
    let wasm = decompress(&std::fs::read(path).unwrap()).unwrap();
    let file = compile(&wasm, GpVersion::V072, OptLevel::O0).unwrap();
    let linker = linker(&file).unwrap();
    println!("{name}: {} bytes of wasm, {} of PolkaVM", wasm.len(), file.len());
    for (_, engine) in engines().unwrap() {
        let mut program = Program::new(&engine, &file, 0x4000, &linker).unwrap();
        for entry in ["Core_version", "Metadata_metadata"] {
            let expected = call_reference(&wasm, entry, &[]).unwrap();
            let output = call(&mut program, &mut State::default(), entry, &[]).unwrap();
            assert!(output == expected, "{entry}: another result than the reference engine's");
        }
    }
}
