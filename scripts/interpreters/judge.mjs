// What node makes of the interpreters of scripts/interpreters.sh, without the drivers in this folder: the bytes of the result.
//
//   judge.mjs anan-as RELEASE_JS PROGRAM ARGUMENTS_IN_HEX
//   judge.mjs lua GLUE_WASM SCRIPT

import { readFileSync } from "node:fs";

// Status, argument of the exit, remaining gas, registers, and the result that r7 and r8 describe.
async function ananAs(release, program, args) {
  console.log = () => {};
  const pvm = await import(release);
  pvm.resetJAM([...readFileSync(program)], 0, 100000000n, [...Buffer.from(args, "hex")], false);
  while (pvm.nSteps(100000));
  const head = Buffer.alloc(16);
  head.writeUInt32LE(pvm.getStatus(), 0);
  head.writeUInt32LE(pvm.getExitArg(), 4);
  head.writeBigInt64LE(pvm.getGasLeft(), 8);
  const registers = Buffer.from(pvm.getRegisters());
  const [at, len] = [7, 8].map((n) => Number(registers.readBigUInt64LE(8 * n)));
  const result = pvm.getStatus() === 0 ? pvm.getMemory(at, len) : [];
  return Buffer.concat([head, registers, Buffer.from(result)]);
}

// The script's string. Emscripten's `longjmp` is an exception of JavaScript; its clock doesn't move.
async function lua(glue, script) {
  const thrown = new Error("longjmp");
  const own = {
    invoke_vii(index, ...args) {
      const stack = lua.stackSave();
      try {
        lua.__indirect_function_table.get(index)(...args);
      } catch (error) {
        if (error !== thrown) throw error;
        lua.stackRestore(stack);
        lua.setThrew(1, 0);
      }
    },
    _emscripten_throw_longjmp() {
      throw thrown;
    },
    emscripten_date_now: () => 0,
    environ_sizes_get(count, len) {
      [count, len].forEach((at) => new Uint32Array(lua.memory.buffer, at, 1).fill(0));
      return 0;
    },
    environ_get: () => 0,
    emscripten_resize_heap(bytes) {
      lua.memory.grow((bytes - lua.memory.buffer.byteLength + 65535) >>> 16);
      return 1;
    },
  };
  const module = new WebAssembly.Module(readFileSync(glue));
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    const missing = () => {
      throw new Error(`${name} is called`);
    };
    (imports[from] ??= {})[name] = own[name] ?? missing;
  }
  const lua = new WebAssembly.Instance(module, imports).exports;
  lua.__wasm_call_ctors();
  const put = (bytes) => {
    const at = lua.malloc(bytes.length + 1);
    new Uint8Array(lua.memory.buffer).set([...bytes, 0], at);
    return at;
  };
  const text = readFileSync(script);
  const [at, name, len] = [put(text), put(Buffer.from("=script")), put(Buffer.alloc(4))];
  const state = lua.luaL_newstate();
  lua.luaL_openlibs(state);
  if (lua.luaL_loadbufferx(state, at, text.length, name, 0) === 0) lua.lua_pcallk(state, 0, 1, 0, 0, 0);
  const string = lua.luaL_tolstring(state, -1, len);
  return Buffer.from(lua.memory.buffer, string, new Uint32Array(lua.memory.buffer, len, 1)[0]);
}

const [name, ...args] = process.argv.slice(2);
process.stdout.write(await { "anan-as": ananAs, lua }[name](...args));
