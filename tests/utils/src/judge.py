"""Runs modules in wasmtime for `judge.rs`: a request per line of standard input, an answer per line of standard output.

`{"load": HEX, "functions": [[NAME, [BITS, ...]], ...], "globals": [[NAME, BITS], ...], "memories": [NAME, ...]}`
instantiates a module, some of whose exports are named, and answers with its state, or with `null` if that traps.
`{"call": NAME, "args": [WORD, ...]}` calls an exported function and answers with the outcome and the state. A state is
what the module has in these memories and globals, and the calls of imports since the last answer. Words are unsigned.
"""

import ctypes
import json
import sys

import wasmtime

MASK = (1 << 64) - 1
FUEL = 100_000_000
UNCAUGHT = "thrown Wasm exception"
BITS = {"i32": 32, "i64": 64}


def engine():
    config = wasmtime.Config()
    config.consume_fuel = True
    config.cranelift_opt_level = "none"
    for feature in (
        "threads tail_call reference_types simd bulk_memory multi_value multi_memory memory64 relaxed_simd exceptions "
        "function_references gc wide_arithmetic custom_page_sizes"
    ).split():
        setattr(config, f"wasm_{feature}", True)
    config.shared_memory = True
    return wasmtime.Engine(config)


def signed(word, bits):
    word &= (1 << bits) - 1
    return word - (1 << bits) if word >> (bits - 1) else word


def import_result(index, args):
    word = 0x9E3779B97F4A7C15 * (index + 1) & MASK
    for arg in args:
        word = (word ^ arg) * 0xFF51AFD7ED558CCD & MASK
        word = (word << 29 | word >> 35) & MASK
    return word


class Instance:
    def __init__(self, engine, request):
        module = wasmtime.Module(engine, bytes.fromhex(request["load"]))
        self.params = dict(request["functions"])
        self.globals = request["globals"]
        self.memories = request["memories"]
        self.store = wasmtime.Store(engine)
        self.store.set_fuel(FUEL)
        self.calls = []
        linker = wasmtime.Linker(engine)
        functions = [item for item in module.imports if isinstance(item.type, wasmtime.FuncType)]
        for index, item in enumerate(functions):
            results = [str(ty) for ty in item.type.results]
            function = wasmtime.Func(self.store, item.type, self.imported(index, results))
            linker.define(self.store, item.module, item.name, function)
        instance = linker.instantiate(self.store, module)
        self.exports = instance.exports(self.store)

    def imported(self, index, results):
        def call(*args):
            words = [arg & MASK for arg in args]
            self.calls.append([index, words])
            result = import_result(index, words)
            return signed(result, BITS[results[0]]) if results else None

        return call

    def state(self):
        memories = {}
        for name in self.memories:
            memory = self.exports[name]
            store = () if isinstance(memory, wasmtime.SharedMemory) else (self.store,)
            memories[name] = contents(memory.data_ptr(*store), memory.data_len(*store))
        values = [
            [name, bits // 8, self.exports[name].value(self.store) & ((1 << bits) - 1)] for name, bits in self.globals
        ]
        calls, self.calls = self.calls, []
        return {"memories": memories, "globals": values, "calls": calls}

    def call(self, name, args):
        function = self.exports[name]
        self.store.set_fuel(FUEL)
        try:
            results = function(self.store, *map(signed, args, self.params[name]))
        except wasmtime.Trap as trap:
            if trap.trap_code is not None:
                return {"trap": trap.trap_code.name}
            if UNCAUGHT in str(trap):
                return {"trap": "UNCAUGHT_EXCEPTION"}
            raise
        if results is None:
            results = []
        elif not isinstance(results, list):
            results = [results]
        return {"returned": [result & MASK for result in results]}


def contents(pointer, length):
    """The length, and the bytes up to the last that is not zero."""
    data = ctypes.string_at(pointer, length) if length else b""
    return [length, data.rstrip(b"\0").hex()]


def main():
    shared = engine()
    instance = None
    for line in sys.stdin:
        request = json.loads(line)
        if "load" in request:
            try:
                instance = Instance(shared, request)
                answer = {"state": instance.state()}
            except wasmtime.Trap:
                answer = None
            except wasmtime.WasmtimeError as error:
                answer = None if UNCAUGHT in str(error) else {"error": str(error)}
        else:
            outcome = instance.call(request["call"], request["args"])
            answer = {"outcome": outcome, "state": instance.state()}
        print(json.dumps(answer), flush=True)


main()
