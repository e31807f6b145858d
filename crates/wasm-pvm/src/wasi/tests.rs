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

/// Functions of WASI 0.2 with their signatures in the canonical ABI.
const PREVIEW2_FUNCTIONS: &[(&str, &str)] = &[
    ("wasi:cli/environment#get-arguments", "i>"),
    ("wasi:cli/environment#get-environment", "i>"),
    ("wasi:cli/environment#initial-cwd", "i>"),
    ("wasi:cli/exit#exit", "i>"),
    ("wasi:cli/exit#exit-with-code", "i>"),
    ("wasi:cli/stderr#get-stderr", ">i"),
    ("wasi:cli/stdin#get-stdin", ">i"),
    ("wasi:cli/stdout#get-stdout", ">i"),
    ("wasi:cli/terminal-input#[resource-drop]terminal-input", "i>"),
    ("wasi:cli/terminal-stderr#get-terminal-stderr", "i>"),
    ("wasi:cli/terminal-stdin#get-terminal-stdin", "i>"),
    ("wasi:cli/terminal-stdout#get-terminal-stdout", "i>"),
    ("wasi:clocks/monotonic-clock#now", ">I"),
    ("wasi:clocks/monotonic-clock#resolution", ">I"),
    ("wasi:clocks/monotonic-clock#subscribe-duration", "I>i"),
    ("wasi:clocks/monotonic-clock#subscribe-instant", "I>i"),
    ("wasi:clocks/wall-clock#now", "i>"),
    ("wasi:clocks/wall-clock#resolution", "i>"),
    ("wasi:filesystem/preopens#get-directories", "i>"),
    ("wasi:filesystem/types#[method]descriptor.open-at", "iiiiiii>"),
    ("wasi:filesystem/types#[resource-drop]descriptor", "i>"),
    ("wasi:filesystem/types#filesystem-error-code", "ii>"),
    ("wasi:io/error#[method]error.to-debug-string", "ii>"),
    ("wasi:io/error#[resource-drop]error", "i>"),
    ("wasi:io/poll#[method]pollable.block", "i>"),
    ("wasi:io/poll#[method]pollable.ready", "i>i"),
    ("wasi:io/poll#[resource-drop]pollable", "i>"),
    ("wasi:io/poll#poll", "iii>"),
    ("wasi:io/streams#[method]input-stream.blocking-read", "iIi>"),
    ("wasi:io/streams#[method]input-stream.blocking-skip", "iIi>"),
    ("wasi:io/streams#[method]input-stream.read", "iIi>"),
    ("wasi:io/streams#[method]input-stream.skip", "iIi>"),
    ("wasi:io/streams#[method]input-stream.subscribe", "i>i"),
    ("wasi:io/streams#[method]output-stream.blocking-flush", "ii>"),
    ("wasi:io/streams#[method]output-stream.blocking-splice", "iiIi>"),
    ("wasi:io/streams#[method]output-stream.blocking-write-and-flush", "iiii>"),
    ("wasi:io/streams#[method]output-stream.check-write", "ii>"),
    ("wasi:io/streams#[method]output-stream.flush", "ii>"),
    ("wasi:io/streams#[method]output-stream.splice", "iiIi>"),
    ("wasi:io/streams#[method]output-stream.subscribe", "i>i"),
    ("wasi:io/streams#[method]output-stream.write", "iiii>"),
    ("wasi:random/insecure#get-insecure-random-bytes", "Ii>"),
    ("wasi:random/insecure#get-insecure-random-u64", ">I"),
    ("wasi:random/insecure-seed#insecure-seed", "i>"),
    ("wasi:random/random#get-random-bytes", "Ii>"),
    ("wasi:random/random#get-random-u64", ">I"),
    ("wasi:sockets/instance-network#instance-network", ">i"),
    ("wasi:sockets/ip-name-lookup#resolve-addresses", "iiii>"),
    ("wasi:sockets/tcp#[method]tcp-socket.start-listen", "ii>"),
    ("wasi:sockets/tcp-create-socket#create-tcp-socket", "ii>"),
    ("wasi:sockets/udp-create-socket#create-udp-socket", "ii>"),
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

/// An import with a signature.
fn import(module: &str, name: &str, signature: &str) -> String {
    let (params, results) = signature.split_once('>').expect("a signature");
    let types = |letters: &str| -> String {
        letters.chars().map(|letter| if letter == 'i' { " i32" } else { " i64" }).collect()
    };
    let (params, results) = (types(params), types(results));
    format!(r#"(import "{module}" "{name}" (func (param{params}) (result{results})))"#)
}

/// A module that imports every function, or those that `_start` needs.
fn importer(export: &str) -> Vec<u8> {
    let imports: String =
        PREVIEW1_FUNCTIONS.iter().map(|(name, signature)| import(PREVIEW1, name, signature)).collect();
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
fn every_function_of_preview2_is_there_with_its_type() {
    let run = r#"(func (export "wasi:cli/run@0.2.9#run") (result i32) (i32.const 0))"#;
    let realloc = r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))"#;
    for (entry, others) in [(run, realloc), (run, ""), ("", realloc)] {
        let imports: String = ["0.2.0", "0.2.12"]
            .into_iter()
            .flat_map(|version| PREVIEW2_FUNCTIONS.iter().map(move |function| (version, function)))
            .map(|(version, (name, signature))| {
                let (interface, name) = name.split_once('#').expect("an interface");
                import(&format!("{interface}@{version}"), name, signature)
            })
            .collect();
        let wasm =
            wat::parse_str(format!(r#"(module {imports} (memory (export "memory") 1) {entry} {others})"#));
        let wasi = Wasi {
            args: vec!["p".into(), "a\"".into()],
            environment: vec![("A".into(), "1".into())],
            ..Wasi::default()
        };
        let wasm = wasm.expect("well-formed");
        let linked = wasi.link(&wasm, SERVICE).expect("all types match");
        valid(&linked);
        let (imports, exports) = interface(&linked);
        assert!(imports.iter().all(|name| !name.contains('[') && !name.contains('-')), "{imports:?}");
        let entries = if entry.is_empty() { vec![] } else { vec![ENTRY.to_owned()] };
        assert_eq!(exports.into_iter().collect::<Vec<_>>(), entries);
    }
}

#[test]
fn versions_and_interfaces_are_told_apart() {
    for module in ["wasi:cli/exit@0.2.0", "wasi:cli/exit@0.2.12"] {
        assert!(provides(module, "exit"), "{module}");
    }
    assert!(provides("wasi:sockets/udp@0.2.1", "[method]udp-socket.stream"));
    assert!(!provides("wasi:io/streams@0.2.0", "[method]output-stream.write-zeroes"));
    for module in
        ["wasi:cli/exit@0.2.0-rc-2023-11-10", "wasi:cli/exit@0.3.0", "wasi:cli/exit", "other:cli/exit@0.2.0"]
    {
        assert!(!provides(module, "exit"), "{module}");
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
    let exit = r#"(module (import "wasi:cli/exit@0.2.0" "exit" (func)))"#;
    assert!(link(exit).contains("exit@0.2.0.exit as () -> ()"));
    let wasm = wat::parse_str(exit.replace("(func)", "(func (param i32))")).expect("well-formed");
    let refused = with_files().link(&wasm, SERVICE);
    assert_eq!(refused, Err(WasiError::Files));
    assert_eq!(Wasi::default().link(&wasm, Host::Firmware), Err(WasiError::Firmware));
}
