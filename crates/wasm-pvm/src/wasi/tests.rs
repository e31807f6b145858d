//! The adapter is valid with and without files, has all functions of preview 1, and links into commands and reactors.

use std::collections::BTreeMap;

use wasmparser::{Validator, WasmFeatures};

use super::*;

/// The functions of WASI preview 1 with their signatures: `i` is an i32, `I` an i64.
const PREVIEW1_FUNCTIONS: &[(&str, &str)] = &[
    ("args_get", "ii>i"),
    ("args_sizes_get", "ii>i"),
    ("environ_get", "ii>i"),
    ("environ_sizes_get", "ii>i"),
    ("clock_res_get", "ii>i"),
    ("clock_time_get", "iIi>i"),
    ("fd_advise", "iIIi>i"),
    ("fd_allocate", "iII>i"),
    ("fd_close", "i>i"),
    ("fd_datasync", "i>i"),
    ("fd_fdstat_get", "ii>i"),
    ("fd_fdstat_set_flags", "ii>i"),
    ("fd_fdstat_set_rights", "iII>i"),
    ("fd_filestat_get", "ii>i"),
    ("fd_filestat_set_size", "iI>i"),
    ("fd_filestat_set_times", "iIIi>i"),
    ("fd_pread", "iiiIi>i"),
    ("fd_prestat_get", "ii>i"),
    ("fd_prestat_dir_name", "iii>i"),
    ("fd_pwrite", "iiiIi>i"),
    ("fd_read", "iiii>i"),
    ("fd_readdir", "iiiIi>i"),
    ("fd_renumber", "ii>i"),
    ("fd_seek", "iIii>i"),
    ("fd_sync", "i>i"),
    ("fd_tell", "ii>i"),
    ("fd_write", "iiii>i"),
    ("path_create_directory", "iii>i"),
    ("path_filestat_get", "iiiii>i"),
    ("path_filestat_set_times", "iiiiIIi>i"),
    ("path_link", "iiiiiii>i"),
    ("path_open", "iiiiiIIii>i"),
    ("path_readlink", "iiiiii>i"),
    ("path_remove_directory", "iii>i"),
    ("path_rename", "iiiiii>i"),
    ("path_symlink", "iiiii>i"),
    ("path_unlink_file", "iii>i"),
    ("poll_oneoff", "iiii>i"),
    ("proc_exit", "i>"),
    ("proc_raise", "i>i"),
    ("sched_yield", ">i"),
    ("random_get", "ii>i"),
    ("sock_accept", "iii>i"),
    ("sock_recv", "iiiiii>i"),
    ("sock_send", "iiiii>i"),
    ("sock_shutdown", "ii>i"),
];

const SERVICE: Host = Host::Service { entries: EntryMode::Auto, result: ResultConvention::Length };

fn with_files() -> Wasi {
    let inner = BTreeMap::from([("b.txt".to_owned(), Node::File(b"inner".to_vec()))]);
    let entries = BTreeMap::from([
        ("a.txt".to_owned(), Node::File(b"\"outer\\\0".to_vec())),
        ("d".to_owned(), Node::Directory(inner)),
    ]);
    Wasi {
        args: vec!["prog".into(), "\u{e9}\"".into()],
        directories: vec![Directory { guest: "/".into(), entries }],
        ..Wasi::default()
    }
}

/// A module that imports every function, or those that `_start` needs.
fn importer(export: &str) -> Vec<u8> {
    let imports: String = PREVIEW1_FUNCTIONS
        .iter()
        .map(|(name, signature)| {
            let (params, results) = signature.split_once('>').expect("a signature");
            let types = |letters: &str| -> String {
                letters.chars().map(|letter| if letter == 'i' { " i32" } else { " i64" }).collect()
            };
            let (params, results) = (types(params), types(results));
            format!(r#"(import "{PREVIEW1}" "{name}" (func (param{params}) (result{results})))"#)
        })
        .collect();
    wat::parse_str(format!(r#"(module {imports} (memory (export "memory") 1) (func (export "{export}")))"#))
        .expect("well-formed")
}

fn valid(wasm: &[u8]) {
    let features = WasmFeatures::WASM2 | WasmFeatures::MULTI_MEMORY;
    Validator::new_with_features(features).validate_all(wasm).expect("valid");
}

/// Imports and exported functions.
fn interface(wasm: &[u8]) -> (Vec<String>, BTreeSet<String>) {
    let imports = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload {
        Ok(Payload::ImportSection(imports)) => Some(imports.into_imports().flatten()),
        _ => None,
    });
    let imports = imports.flatten().map(|import| import.name.to_owned()).collect();
    (imports, Facts::of(wasm).expect("well-formed").exports)
}

#[test]
fn every_function_is_there_with_its_type() {
    let hosts = [
        (SERVICE, vec!["host_call_5", "pvm_ptr", "host_halt", "pvm_ptr_1"], ENTRY),
        (Host::Firmware, FIRMWARE_NAMES[1..].to_vec(), FIRMWARE_ENTRY),
    ];
    for (host, expected_imports, entry) in hosts {
        for wasi in [Wasi::default(), with_files()] {
            for export in [START, INITIALIZE, "refine"] {
                let linked = wasi.link(&importer(export), host).expect("all types match");
                valid(&linked);
                let (imports, exports) = interface(&linked);
                assert_eq!(imports, expected_imports);
                let expected = match export {
                    START => vec![entry.to_owned()],
                    INITIALIZE => vec![],
                    other => vec![other.to_owned()],
                };
                assert_eq!(exports.into_iter().collect::<Vec<_>>(), expected);
            }
        }
    }
}

#[test]
fn a_module_without_a_memory_links() {
    let wasm = wat::parse_str(format!(
        r#"(module (import "{PREVIEW1}" "proc_exit" (func (param i32))) (func (export "_start")))"#
    ));
    let wasm = wasm.expect("well-formed");
    let service = Host::Service { entries: EntryMode::Auto, result: ResultConvention::End };
    for host in [service, Host::Firmware] {
        valid(&Wasi::default().link(&wasm, host).expect("links"));
    }
}

#[test]
fn what_a_program_cannot_be_given_is_refused() {
    let refused = |wasi: Wasi| wasi.check().expect_err("refused").to_string();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert!(refused(Wasi { args: vec!["a\0b".into()], ..Wasi::default() }).contains("NUL"));
    let environment = vec![variable("A", "1"), variable("A", "2")];
    assert!(refused(Wasi { environment, ..Wasi::default() }).contains("A is given twice"));
    let environment = vec![variable("", "1")];
    assert!(refused(Wasi { environment, ..Wasi::default() }).contains("has no name"));
    let directory = |guest: &str, name: &str| Directory {
        guest: guest.into(),
        entries: BTreeMap::from([(name.into(), Node::File(Vec::new()))]),
    };
    let directories = vec![directory("/a", "x"), directory("/a/", "x")];
    assert!(refused(Wasi { directories, ..Wasi::default() }).contains("/a/ is given twice"));
    for name in ["", ".", "..", "a/b", "a\0"] {
        let directories = vec![directory("/", name)];
        assert!(refused(Wasi { directories, ..Wasi::default() }).contains("can't be a file's name"));
    }
}

#[test]
fn modules_that_do_not_fit_are_refused() {
    let link = |text: &str| {
        let wasm = wat::parse_str(text).expect("well-formed");
        let linked = Wasi::default().link(&wasm, SERVICE);
        linked.expect_err("refused").to_string()
    };
    let old = r#"(module (import "wasi_unstable" "fd_seek" (func (param i32 i64 i32 i32) (result i32))))"#;
    assert!(link(old).contains("uses fd_seek of wasi_unstable"));
    let wrong = format!(r#"(module (import "{PREVIEW1}" "fd_write" (func (param i64))))"#);
    assert!(link(&wrong).contains("fd_write as (i64) -> ()"));
    assert!(link("(module (memory i64 1))").contains("64-bit"));
}
