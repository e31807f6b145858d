"""Measures wasmtime, and other processes, for `mod.rs`: a request per line of standard input, an answer per line of output.

`{"compile": FILE}` compiles a module with Cranelift, `{"command": [WORD, ...]}` runs a program: the answer is
`{"seconds": CPU_TIME}` of all threads. `{"load": FILE, "fuel": BOOL}` instantiates a module, with execution metered or not.
`{"run": HEX}` calls its export `main` with the address and length of these bytes, in a page behind its memory: the answer is
`{"seconds": TIME, "result": HEX}`, the time by the wall clock and the bytes that the packed result describes.
"""

import json
import resource
import subprocess
import sys
import time

import wasmtime

FUEL = 1 << 62


def cpu_seconds(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def measured(who, action):
    before = cpu_seconds(who)
    action()
    return {"seconds": cpu_seconds(who) - before}


class Instance:
    def __init__(self, file, fuel):
        config = wasmtime.Config()
        config.consume_fuel = fuel
        engine = wasmtime.Engine(config)
        self.store = wasmtime.Store(engine)
        if fuel:
            self.store.set_fuel(FUEL)
        exports = wasmtime.Instance(self.store, wasmtime.Module.from_file(engine, file), []).exports(self.store)
        self.main, self.memory = exports["main"], exports["memory"]
        self.args_at = self.memory.grow(self.store, 1) << 16

    def run(self, args):
        self.memory.write(self.store, args, self.args_at)
        start = time.perf_counter()
        packed = self.main(self.store, self.args_at, len(args))
        seconds = time.perf_counter() - start
        packed &= (1 << 64) - 1
        at, size = packed & 0xFFFFFFFF, packed >> 32
        return {"seconds": seconds, "result": self.memory.read(self.store, at, at + size).hex()}


def main():
    instance = None
    for line in sys.stdin:
        request = json.loads(line)
        if "compile" in request:
            with open(request["compile"], "rb") as file:
                wasm = file.read()
            engine = wasmtime.Engine()
            answer = measured(resource.RUSAGE_SELF, lambda: wasmtime.Module(engine, wasm))
        elif "command" in request:
            run = lambda: subprocess.run(request["command"], check=True, stdout=subprocess.DEVNULL)
            answer = measured(resource.RUSAGE_CHILDREN, run)
        elif "load" in request:
            instance = Instance(request["load"], request["fuel"])
            answer = {}
        else:
            answer = instance.run(bytes.fromhex(request["run"]))
        print(json.dumps(answer), flush=True)


main()
