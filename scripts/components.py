#!/usr/bin/env python3
"""Records what wasmtime makes of the components in a folder of tests/fixtures/programs: `stdout` and `exit` of each case
in `cases.json`. Arguments, environment and standard input are those of the case.

    components.py FOLDER...
"""

import json
import pathlib
import sys
import tempfile

import wasmtime
from wasmtime import component


def run(path, case):
    engine = wasmtime.Engine()
    linker = component.Linker(engine)
    linker.add_wasip2()
    with tempfile.TemporaryDirectory() as scratch:
        stdin, stdout = (pathlib.Path(scratch) / name for name in ("in", "out"))
        stdin.write_text(case.get("stdin", ""))
        stdout.touch()
        config = wasmtime.WasiConfig()
        config.argv = ["program", *case.get("args", [])]
        config.env = list(case.get("env", {}).items())
        config.stdin_file = str(stdin)
        config.stdout_file = str(stdout)
        store = wasmtime.Store(engine)
        store.set_wasi(config)
        instance = linker.instantiate(store, component.Component.from_file(engine, str(path)))
        interface = next(name for name in (f"wasi:cli/run@0.2.{n}" for n in range(100))
                         if instance.get_export_index(store, name))
        function = instance.get_func(
            store, instance.get_export_index(store, "run", instance.get_export_index(store, interface)))
        try:
            result = function(store)
            code = int(isinstance(result, component.Variant) and result.tag == "err")
        except wasmtime.ExitTrap as exit_trap:
            code = exit_trap.code
        del instance, store
        return {"stdout": stdout.read_text(), "exit": code}


for folder in map(pathlib.Path, sys.argv[1:]):
    cases = json.loads((folder / "cases.json").read_text())
    for case in cases:
        results = [run(path, case) for path in sorted(folder.glob("*component.wasm"))]
        # Core modules of the folder are recorded before.
        recorded = {key: case[key] for key in ("stdout", "exit") if len(list(folder.glob("*.wasm"))) > len(results)}
        if any(result != (recorded or results[0]) for result in results):
            sys.exit(f"{folder.name}: the modules disagree")
        case.update(results[0])
    (folder / "cases.json").write_text(json.dumps(cases, indent=2, ensure_ascii=False) + "\n")
    print(f"{folder.name}: {len(cases)} cases")
