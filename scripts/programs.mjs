// Records what node makes of the programs in a folder: `stdout` and `exit` of each case in their `cases.json`.
//
// A WASI program gets arguments, environment, directories and standard input of the case. Of a service, `refine` gets
// the input in memory that is added for it. All modules of one folder must agree, but those whose proposals node lacks.
// Components are left to components.py.

import { closeSync, openSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WASI } from "node:wasi";

async function run(module, folder, test) {
  const isService = WebAssembly.Module.exports(module).some((item) => item.name === "refine");
  return isService ? service(module, test) : command(module, folder, test);
}

async function service(module, test) {
  const abort = () => {
    throw new Error("abort");
  };
  const { exports } = await WebAssembly.instantiate(module, { env: { abort } });
  const input = Buffer.from(test.stdin ?? "");
  const at = exports.memory.grow(1) * 65536;
  new Uint8Array(exports.memory.buffer, at).set(input);
  const result = exports.refine(at, input.length);
  const [from, len] = [Number(result & 0xffffffffn), Number(result >> 32n)];
  return { stdout: Buffer.from(exports.memory.buffer, from, len).toString(), exit: 0 };
}

// The functions that standalone modules of Emscripten import beside those of WASI.
function emscripten() {
  let second = 0;
  return {
    setTempRet0: (value) => (second = value),
    getTempRet0: () => second,
    emscripten_notify_memory_growth: () => {},
  };
}

async function command(module, folder, test) {
  const [inPath, outPath] = ["in", "out"].map((name) => join(tmpdir(), `program-${process.pid}.${name}`));
  writeFileSync(inPath, test.stdin ?? "");
  const [stdin, stdout] = [openSync(inPath, "r"), openSync(outPath, "w")];
  const directories = Object.entries(test.dirs ?? {}).map(([guest, host]) => [guest, join(folder, host)]);
  const wasi = new WASI({
    version: "preview1",
    args: ["program", ...(test.args ?? [])],
    env: test.env ?? {},
    preopens: Object.fromEntries(directories),
    stdin,
    stdout,
    returnOnExit: true,
  });
  const instance = await WebAssembly.instantiate(module, { ...wasi.getImportObject(), env: emscripten() });
  const exit = wasi.start(instance);
  [stdin, stdout].forEach((file) => closeSync(file));
  return { stdout: readFileSync(outPath, "utf8"), exit };
}

const root = process.argv[2];
for (const name of readdirSync(root).sort()) {
  const folder = join(root, name);
  const path = join(folder, "cases.json");
  const cases = JSON.parse(readFileSync(path, "utf8"));
  const isCore = (file) => file.endsWith(".wasm") && !file.endsWith("component.wasm");
  const modules = readdirSync(folder).filter(isCore).sort();
  if (modules.length === 0) continue;
  for (const test of cases) {
    const results = [];
    for (const file of modules) {
      const wasm = readFileSync(join(folder, file));
      if (!WebAssembly.validate(wasm)) continue;
      const module = await WebAssembly.compile(wasm);
      results.push(await run(module, folder, test));
    }
    if (results.length === 0) {
      throw new Error(`${name}: node refuses all modules`);
    }
    if (results.some((result) => JSON.stringify(result) !== JSON.stringify(results[0]))) {
      throw new Error(`${name}: the modules disagree`);
    }
    Object.assign(test, results[0]);
  }
  writeFileSync(path, JSON.stringify(cases, null, 2) + "\n");
  console.log(`${name}: ${modules.join(", ")}, ${cases.length} cases`);
}
