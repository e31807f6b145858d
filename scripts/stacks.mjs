// Runs work of a real module on node's engine and as a compiled PVM program, and compares results and memory.
//
//   node stacks.mjs TOOL NAME MODULE.wasm OPTIONS...
//
// NAME is one of the programs below. Each gets a session: `poke` writes memory before the first call, `call` calls an
// export, `word` and `show` read memory. On node all are executed at once; the calls are then repeated by `run` with the
// same arguments, so both sides must use the same addresses. OPTIONS are for `run`. Prints "same", or the first difference.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [tool, name, file, ...options] = process.argv.slice(2);

const bytes = (text) => new TextEncoder().encode(text);
const long = "It was the best of times, it was the worst of times, it was the age of wisdom. ".repeat(12);
const script = "export const f = (a, b) => { for (const x of a) b[x] ??= `${x}`; return class { #y = 1n }; };\n";

/// Room on the stack of C, as wasm-bindgen's and Emscripten's glue makes it.
const room = (s) => s.call("__wbindgen_add_to_stack_pointer", -16);
const leave = (s) => s.call("__wbindgen_add_to_stack_pointer", 16);

const programs = {
  argon2(s) {
    const [password, salt, hash, text] = [0xe00000, 0xe00100, 0xe00200, 0xe00300];
    s.poke(password, bytes("correct horse battery staple"));
    s.poke(salt, bytes("somesaltsomesalt"));
    s.call("d");
    for (const type of [0, 1, 2]) {
      s.call("e", 2, 64, 1, password, 28, salt, 16, hash + 32 * type, 32, text, 128, type, 0x13);
      s.show(hash + 32 * type, 32);
    }
    s.show(text, 96);
  },
  brotli(s) {
    const text = bytes(long);
    const at = s.call("__wbindgen_malloc", text.length);
    s.poke(at, text);
    const result = room(s);
    s.call("compress", result, at, text.length, 0);
    s.show(result, 16);
    const [packed, length] = [s.word(result), s.word(result + 4)];
    s.show(packed, length);
    s.call("decompress", result, packed, length);
    s.show(result, 16);
    s.show(s.word(result), s.word(result + 4));
    leave(s);
  },
  rollup(s) {
    const text = bytes(script);
    const at = s.call("__wbindgen_export2", text.length, 1);
    s.poke(at, text);
    const result = room(s);
    s.call("parse", result, at, text.length, 0, 0, 0);
    s.show(result, 8);
    s.show(s.word(result), s.word(result + 4));
    leave(s);
  },
  sqlite(s) {
    const [path, handle, sql, query, statement] = [0x1400000, 0x1400100, 0x1401000, 0x1402000, 0x1400200];
    s.poke(path, bytes(":memory:\0"));
    s.poke(sql, bytes("create table t(a, b); with recursive n(i) as (select 1 union all select i + 1 from n where i < 50)"
      + " insert into t select i * i, printf('row %04d', i) from n; create index x on t(b);\0"));
    s.poke(query, bytes("select group_concat(b || ':' || a, ';'), sum(a) from t where b > 'row 0040' order by b\0"));
    s.call("N");
    s.call("Ca", path, handle);
    const database = s.word(handle);
    s.call("U", database, sql, 0, 0, 0);
    s.call("R", database, query, -1, statement, 0);
    s.call("S", s.word(statement));
    const text = s.call("X", s.word(statement), 0);
    s.show(text, 160);
    s.call("ya", database);
  },
  tiktoken(s) {
    const encoding = bytes("gpt2");
    const text = bytes("The quick brown fox doesn't jump over 13 lazy dogs.");
    const at = s.call("__wbindgen_export_1", encoding.length, 1);
    s.poke(at, encoding);
    const input = s.call("__wbindgen_export_1", text.length, 1);
    s.poke(input, text);
    const result = room(s);
    s.call("get_encoding", result, at, encoding.length, 0);
    const encoder = s.word(result);
    s.call("tiktoken_encode_ordinary", result, encoder, input, text.length);
    s.show(result, 8);
    s.show(s.word(result), 4 * s.word(result + 4));
    leave(s);
  },
};

/// Imports of programs that return a constant; a call of any other is a failure.
const answers = {
  argon2: {},
  brotli: { __wbindgen_is_undefined: 1, __wbindgen_object_drop_ref: 0 },
  rollup: {},
  sqlite: { F: 52 },
  tiktoken: { __wbindgen_is_undefined: 1, __wbindgen_object_drop_ref: 0 },
}[name];

/// Copying, which a module of Emscripten may leave to its glue.
const copies = { argon2: "a" }[name];
const adapter = `(module (memory 0) (func (export "${copies}") (param i32 i32 i32) (result i32)
  (memory.copy (local.get 0) (local.get 1) (local.get 2)) (local.get 0)))`;

function session() {
  const module = new WebAssembly.Module(readFileSync(file));
  const imports = {};
  let memory;
  const view = (at, length) => new Uint8Array(memory.buffer, at, length);
  for (const { module: space, name: item, kind } of WebAssembly.Module.imports(module)) {
    imports[space] ??= {};
    imports[space][item] = kind === "memory"
      ? new WebAssembly.Memory({ initial: 256, maximum: 32768 })
      : (...args) => {
        if (item in answers) return answers[item];
        if (item === copies) {
          view(args[0], args[2]).set(view(args[1], args[2]));
          return args[0];
        }
        throw new Error(`import ${item} is called with ${args}`);
      };
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  memory = Object.values(exports).find((item) => item instanceof WebAssembly.Memory);
  const hex = (data) => [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const record = { pokes: [], calls: [], results: [], dumps: [] };
  return {
    record,
    // Memory that was written early must not be changed by the calls before, so all is written first.
    poke(at, data) {
      view(at, data.length).set(data);
      record.pokes.push(`${at}=${hex(data)}`);
    },
    call(item, ...args) {
      const result = exports[item](...args);
      record.calls.push([item, ...args.map(String)]);
      if (result !== undefined) record.results.push(String(result));
      return result >>> 0;
    },
    word: (at) => new DataView(memory.buffer).getUint32(at, true),
    show: (at, length) => record.dumps.push([at, length]),
    finish: () => record.dumps.map(([at, length]) => hex(view(at, length))),
  };
}

function run(record) {
  const folder = mkdtempSync(join(tmpdir(), "stacks-"));
  const map = join(folder, "map");
  const lines = Object.entries(answers).map(([item, value]) => `${item} = ecalli ${1000 + value}\n`);
  writeFileSync(map, `${lines.join("")}* = trap\n`);
  const args = ["run", file, "-i", map, ...options];
  for (const value of new Set(Object.values(answers))) args.push("--host-call", `${1000 + value}=${value}`);
  if (copies) {
    writeFileSync(join(folder, "copies.wat"), adapter);
    args.push("--adapter", join(folder, "copies.wat"));
  }
  for (const poke of record.pokes) args.push("--poke", poke);
  for (const [at, length] of record.dumps) args.push("--dump", `${at}:${length}`);
  for (const call of record.calls) args.push("--invoke", ...call);
  try {
    const lines = execFileSync(tool, args, { encoding: "utf8", maxBuffer: 1 << 26 }).trim().split("\n");
    const rows = lines.slice(record.results.length);
    const dumps = record.dumps.map(([, length]) =>
      rows.splice(0, Math.ceil(length / 16)).map((row) => row.slice(10, 58).replaceAll(" ", "")).join(""));
    return [...lines.slice(0, record.results.length), ...dumps];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const s = session();
programs[name](s);
const expected = [...s.record.results, ...s.finish()];
const actual = run(s.record);
const at = expected.findIndex((line, n) => line !== actual[n]);
if (at < 0) {
  console.log("same");
} else {
  console.log(`result ${at}: ${actual[at]} instead of ${expected[at]}`);
  process.exitCode = 1;
}
