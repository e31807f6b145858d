// Calls the exports of a module in node and in `wasm-pvm run`, and compares results and traps.
//
//   node --experimental-wasm-type-reflection calls.mjs TOOL MODULE OUTPUT LEVEL CALLS SECONDS
//
// The module is compiled with `--imports trap`; OUTPUT is the path of the program. In node every imported function throws,
// and imported memories, tables and globals have their declared minimum or zero. A side module gets the place that
// docs/src/using.md describes. `abort` is a trap without a message.
//
// Calls are made in rows. A row begins with a fresh instance, whose constructors are called in every second row, as they
// may need imports. It calls pseudo-random exports with pseudo-random arguments, and ends at the first trap. Arguments are
// small and large numbers, and results of earlier calls of the row, which may be addresses. An export is called if all its
// parameters and results are numbers. node runs a row in a thread that is stopped after SECONDS; then the program runs the
// same row in one process.
//
// The numbers that are printed are the exported functions, those that can be called and those that were called, and then
// the calls by outcome:
//
//   agreed      both returned the same numbers; a NaN is equal to every NaN
//   trapped     both trapped, or both called the same import
//   bounds      they differ, and don't with `--bounds strict`: an address was outside of memory (docs/src/memory.md)
//   endless     node was stopped, or the program ran out of gas or time
//   stack       node exhausted its stack, whose size is its own
//   different   anything else, which is a bug; the row is printed on standard error
//
// A module that node refuses gets a line with a minus and the reason.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

/// Bytes of C stack below the data of a side module.
const STACK_BYTES = 65536;
/// Seconds in which node has to instantiate a module.
const START_SECONDS = 60;
/// Gas of each call of a program.
const GAS = "3000000000";
/// Seconds of a process that runs a row.
const PROGRAM_SECONDS = 120;
/// Calls of a row.
const ROW = 12;

/// Pseudo-random 32-bit numbers, from a seed.
class Random {
  constructor(seed) {
    this.state = createHash("sha256").update(seed).digest().readUInt32LE() || 1;
  }

  next() {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state >>> 0;
  }

  below(limit) {
    return this.next() % limit;
  }

  of(list) {
    return list[this.below(list.length)];
  }
}

const isNumber = (type) => ["i32", "i64", "f32", "f64"].includes(type);

/// The exports that can be called, and those that are constructors.
function callable(module) {
  const functions = WebAssembly.Module.exports(module).filter((item) => item.kind === "function");
  const has = (types) => types.every(isNumber);
  const able = functions.filter(
    ({ name, type }) => has(type.parameters) && has(type.results) && /^[\x21-\x7e]+$/.test(name) && !name.startsWith("-"),
  );
  const constructs = ({ name, type }) =>
    ["_initialize", "__wasm_call_ctors"].includes(name) && type.parameters.length + type.results.length === 0;
  return { functions, able, constructors: able.filter(constructs).slice(0, 1) };
}

/// An argument as text, which both sides read.
function argument(type, random, pool) {
  if (pool.length > 0 && random.below(3) === 0) {
    const value = random.of(pool);
    return type.startsWith("i") ? value : String(Number(BigInt.asIntN(32, BigInt(value))));
  }
  if (type.startsWith("f")) {
    const value = random.of(["0", "-0", "1", "-1.5", "0.1", "1e10", "-1e300", "inf", "nan", "random"]);
    return value === "random" ? String(random.next() / 1024) : value;
  }
  const kind = random.below(8);
  if (kind < 4) return String(random.of([0, 1, 2, 3, 4, 7, 8, 16, 31, 64, 100, 255, 256]));
  if (kind < 6) return String(1024 + 8 * random.below(20000));
  const extremes = ["-1", "-2", "2147483647", "-2147483648", "65536", "-65536", "1000000007"];
  return kind < 7 ? random.of(extremes) : String(random.next() | 0);
}

/// The value of an argument.
function value(type, text) {
  if (type === "i64") return BigInt(text);
  const special = { inf: Infinity, "-inf": -Infinity, nan: NaN };
  const number = text in special ? special[text] : Number(text);
  return type === "i32" ? number | 0 : number;
}

/// The bits of a result, in hexadecimal; one text for all NaNs.
function bits(type, result) {
  const view = new DataView(new ArrayBuffer(8));
  if (type === "i32") return `0x${(result >>> 0).toString(16)}`;
  if (type === "i64") return `0x${BigInt.asUintN(64, result).toString(16)}`;
  if (Number.isNaN(result)) return "nan";
  if (type === "f32") view.setFloat32(4, result);
  else view.setFloat64(0, result);
  return `0x${view.getBigUint64(0).toString(16)}`;
}

// ---- The engine, in a thread of its own.

class ImportCalled extends Error {}

/// Numbers in the section for dynamic loaders: bytes of memory and the logarithm of their alignment, entries of the table.
function loaderNeeds(module) {
  const [framed] = WebAssembly.Module.customSections(module, "dylink.0");
  const [plain] = WebAssembly.Module.customSections(module, "dylink");
  if (!framed && !plain) return null;
  const bytes = new Uint8Array(framed ?? plain);
  let at = framed ? 2 : 0;
  const number = () => {
    let result = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      result += (byte & 127) * 2 ** shift;
      if (byte < 128) return result;
    }
  };
  if (framed && bytes[0] !== 1) return { bytes: 0, align: 0, entries: 0 };
  if (framed) for (at = 1; bytes[at] >= 128; ) at += 1;
  if (framed) at += 1;
  return { bytes: number(), align: number(), entries: number() };
}

/// Imports of the declared types, and the addresses of symbols that are written after instantiation.
function imports(module) {
  const needs = loaderNeeds(module);
  const memoryBase = needs && Math.ceil(STACK_BYTES / 2 ** needs.align) * 2 ** needs.align;
  const least = { memory: needs ? Math.ceil((memoryBase + needs.bytes) / 65536) : 0, table: needs ? 1 + needs.entries : 0 };
  const place = needs ? { __memory_base: memoryBase, __table_base: 1, __stack_pointer: STACK_BYTES } : {};
  const object = {};
  const symbols = [];
  let table = null;
  for (const { module: from, name, kind, type } of WebAssembly.Module.imports(module)) {
    const item = imported(kind, type, `${from}.${name}`, least, from === "env" ? place[name] : undefined);
    if (needs && from.startsWith("GOT.")) symbols.push({ name, isFunction: from === "GOT.func", global: item });
    if (kind === "table") table = item;
    (object[from] ??= {})[name] = item;
  }
  return { object, symbols, table, memoryBase, memoryEnd: needs && memoryBase + needs.bytes, isSide: needs !== null };
}

function imported(kind, type, name, least, placed) {
  switch (kind) {
    case "function":
      return () => {
        throw new ImportCalled(name);
      };
    case "memory": {
      const initial = Math.max(type.minimum, least.memory);
      return new WebAssembly.Memory({ ...type, minimum: undefined, initial });
    }
    case "table": {
      const initial = Math.max(type.minimum, least.table);
      return new WebAssembly.Table({ ...type, minimum: undefined, initial, element: type.element === "funcref" ? "anyfunc" : type.element });
    }
    case "global":
      return new WebAssembly.Global(type, placed ?? (type.value === "i64" ? 0n : isNumber(type.value) ? 0 : null));
    default:
      return new WebAssembly.Tag({ parameters: type.parameters });
  }
}

/// A fresh instance, as the program has it after its start function.
function instantiate(module) {
  const { object, symbols, table, memoryBase, memoryEnd, isSide } = imports(module);
  const instance = new WebAssembly.Instance(module, object);
  const defined = {
    __heap_base: Math.ceil(memoryEnd / 16) * 16,
    __stack_low: 0,
    __stack_high: STACK_BYTES,
    __global_base: memoryBase,
    __dso_handle: memoryBase,
    __data_end: memoryEnd,
  };
  for (const { name, isFunction, global } of symbols) {
    const own = instance.exports[name];
    if (!isFunction) global.value = own instanceof WebAssembly.Global ? memoryBase + own.value : (defined[name] ?? 0);
    else if (own) global.value = entryOf(table, own);
  }
  const first = (names) => names.map((name) => instance.exports[name]).find((item) => item?.length === 0);
  if (isSide) {
    first(["__wasm_apply_data_relocs", "__wasm_apply_relocs"])?.();
    first(["__wasm_call_ctors", "_initialize", "__post_instantiate"])?.();
  }
  return instance;
}

function entryOf(table, func) {
  for (let entry = 0; entry < table.length; entry += 1) if (table.get(entry) === func) return entry;
  return table.grow(1, func);
}

/// What became of an exception: `import`, `stack`, or `trap`.
function ending(error) {
  if (error instanceof ImportCalled) return "import";
  if (error instanceof RangeError && /call stack/.test(error.message)) return "stack";
  if (error instanceof WebAssembly.RuntimeError || error instanceof WebAssembly.Exception) return "trap";
  throw error;
}

/// Makes the calls of a row and posts each before and after.
function row({ module, seed, constructs }) {
  const random = new Random(seed);
  const { able, constructors } = callable(module);
  const first = constructs ? constructors : [];
  const post = (message) => parentPort.postMessage(message);
  let instance;
  try {
    instance = instantiate(module);
  } catch (error) {
    return post({ end: error instanceof WebAssembly.LinkError ? "refused" : ending(error), start: true, detail: error.message });
  }
  post({ started: true });
  const pool = [];
  for (let n = 0; n < ROW; n += 1) {
    const { name, type } = n < first.length ? first[n] : random.of(able);
    const texts = type.parameters.map((type) => argument(type, random, pool));
    post({ name, args: texts });
    let result;
    try {
      result = instance.exports[name](...texts.map((text, n) => value(type.parameters[n], text)));
    } catch (error) {
      return post({ end: ending(error), detail: error.message });
    }
    const results = type.results.length === 1 ? [result] : (result ?? []);
    const values = type.results.map((type, n) => bits(type, results[n]));
    type.results.forEach((type, n) => type === "i32" && results[n] !== 0 && pool.push(String(results[n])));
    post({ end: "returned", values });
  }
  return post({ done: true });
}

// ---- The comparison.

/// The calls of a row in node: name, arguments, end.
function engineRow(data, seconds) {
  return new Promise((resolve, reject) => {
    const calls = [];
    let start = null;
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: data });
    const finish = () => {
      clearTimeout(timer);
      worker.terminate().then(() => resolve({ start: start ?? { end: "endless" }, calls }));
    };
    const stop = () => {
      if (calls.length > 0 && !calls.at(-1).end) calls.at(-1).end = "endless";
      finish();
    };
    let timer = setTimeout(stop, START_SECONDS * 1000);
    worker.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    worker.on("message", (message) => {
      if (message.started) {
        start = { end: "returned" };
        clearTimeout(timer);
        timer = setTimeout(stop, seconds * 1000);
      }
      if (message.start) start = message;
      else if (message.name) calls.push(message);
      else if (message.end) Object.assign(calls.at(-1), message);
      if (message.done || (message.end && message.end !== "returned")) finish();
    });
  });
}

/// The ends of the same calls in the program; `null` if the process was stopped. A module that doesn't start needs some call.
function programRow(tool, program, { calls, some }) {
  const invoked = (calls.length > 0 ? calls : [some]).flatMap(({ name, args }) => ["--invoke", name, ...args]);
  const options = { timeout: PROGRAM_SECONDS * 1000, maxBuffer: 1 << 28, encoding: "utf8" };
  const { status, stdout, stderr } = spawnSync(tool, ["run", program, "--json", "--gas", GAS, ...invoked], options);
  if (status === null) return null;
  if (status !== 0 && status !== 3) throw new Error(`run: ${stderr.slice(0, 2000)}`);
  return JSON.parse(stdout).calls.map((call) => ({
    isStart: call.name === null,
    end: { halt: "returned", panic: "trap", "out-of-gas": "endless" }[call.status] ?? call.status,
    log: call.log.map(({ message }) => message),
    values: call.values.map(({ bits, value }) => (/nan/i.test(value) ? "nan" : bits)),
  }));
}

/// The outcome of one call.
function judge(expected, actual) {
  if (actual.end === "endless" || expected.end === "endless") return "endless";
  if (expected.end === "stack") return "stack";
  if (expected.end === "returned") {
    return actual.end === "returned" && String(actual.values) === String(expected.values) ? "agreed" : "different";
  }
  if (actual.end !== "trap") return "different";
  // `abort` has a meaning of its own: a trap without a message.
  const isLogged = expected.detail.endsWith(".abort") || actual.log.some((line) => line.includes(expected.detail));
  return expected.end === "trap" || isLogged ? "trapped" : "different";
}

/// The outcomes of the calls of a row, up to the first that is not `agreed`.
function judged(row, tool, program) {
  if (row.start.end === "endless") return ["endless"];
  const ends = programRow(tool, program, row);
  if (ends === null) return ["endless"];
  if (ends[0]?.isStart || row.start.end !== "returned") {
    return [ends[0]?.isStart ? judge(row.start, ends[0]) : "different"];
  }
  const outcomes = [];
  for (const [n, call] of row.calls.entries()) {
    outcomes.push(judge(call, ends[n] ?? { end: "missing" }));
    if (outcomes.at(-1) !== "agreed") break;
  }
  return outcomes;
}

function compile(tool, file, output, level, bounds) {
  const options = [`-O${level}`, "--imports", "trap", "--entries", "raw", "--names", "keep", "--bounds", bounds];
  execFileSync(tool, ["compile", file, "-o", output, ...options], { stdio: ["ignore", "ignore", "pipe"] });
}

/// The outcomes that are counted, in the order in which they are printed.
const OUTCOMES = ["agreed", "trapped", "bounds", "endless", "stack", "different"];

async function main(tool, file, output, level, most, seconds) {
  const refuse = (reason) => console.log(`- ${reason}`);
  let module;
  try {
    module = new WebAssembly.Module(readFileSync(file));
  } catch (error) {
    return refuse(error.message);
  }
  const { functions, able } = callable(module);
  const counts = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0]));
  const called = new Set();
  let strict = null;
  if (able.length > 0) compile(tool, file, output, level, "guard");
  for (let n = 0, calls = 0; able.length > 0 && calls < Number(most); n += 1) {
    const seed = `${n} ${functions.map(({ name }) => name)}`;
    const row = await engineRow({ module, seed, constructs: n % 2 === 0 }, Number(seconds));
    if (row.start.end === "refused") return refuse(row.start.detail);
    row.some = { name: able[0].name, args: able[0].type.parameters.map(() => "0") };
    const outcomes = judged(row, tool, output);
    if (outcomes.at(-1) === "different") {
      if (!strict) compile(tool, file, (strict = `${output}.strict`), level, "strict");
      const [last, again] = [outcomes.length - 1, judged(row, tool, strict)];
      if (again.length > last && again[last] !== "different") outcomes[last] = "bounds";
      else console.error(JSON.stringify({ start: row.start, calls: row.calls.slice(0, outcomes.length) }));
    }
    for (const outcome of outcomes) counts[outcome] += 1;
    row.calls.slice(0, outcomes.length).forEach(({ name }) => called.add(name));
    calls += outcomes.length;
    if (row.calls.length === 0) break;
  }
  return console.log([functions.length, able.length, called.size, ...OUTCOMES.map((outcome) => counts[outcome])].join(" "));
}

if (isMainThread) await main(...process.argv.slice(2));
else row(workerData);
