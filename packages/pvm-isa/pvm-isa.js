// Programs of the PVM: decoding, disassembly and gas, by the crate `pvm-isa` as a WebAssembly module.

/**
 * Loads the module: from beside this file, or from the given bytes, `WebAssembly.Module`, response or address.
 */
export async function load(source = new URL("./pvm_isa.wasm", import.meta.url)) {
  return new PvmIsa(await instance(source));
}

async function instance(source) {
  if (source instanceof WebAssembly.Module) return WebAssembly.instantiate(source);
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return (await WebAssembly.instantiate(source)).instance;
  // Node's `fetch` doesn't read files.
  if (source instanceof URL && source.protocol === "file:" && globalThis.process?.versions?.node) {
    const { readFile } = await import("node:fs/promises");
    return (await WebAssembly.instantiate(await readFile(source))).instance;
  }
  const response = source instanceof Response ? source : await fetch(source);
  if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
  return (await WebAssembly.instantiate(await response.arrayBuffer())).instance;
}

class PvmIsa {
  #exports;

  constructor(instance) {
    this.#exports = instance.exports;
  }

  /** Entries, imports, functions, instructions, blocks with their gas, and the jump table. */
  decode(program, { gp } = {}) {
    return JSON.parse(this.#answer(program, () => this.#exports.decode(version(gp))));
  }

  /** The program as assembly. */
  disassemble(program, { gp, bytes = true } = {}) {
    return this.#answer(program, () => this.#exports.disassemble(version(gp), bytes ? 1 : 0));
  }

  /** The gas of functions and of their blocks. */
  gas(program, { gp } = {}) {
    return JSON.parse(this.#answer(program, () => this.#exports.gas(version(gp))));
  }

  #answer(program, call) {
    const bytes = program instanceof ArrayBuffer ? new Uint8Array(program) : program;
    const { memory, input, output, output_length } = this.#exports;
    // Memory may grow in any call, so views are made after it. Addresses above 2 GiB are negative.
    const room = input(bytes.length) >>> 0;
    new Uint8Array(memory.buffer).set(bytes, room);
    const isFine = call();
    const text = new TextDecoder().decode(new Uint8Array(memory.buffer, output() >>> 0, output_length()));
    if (!isFine) throw new Error(text);
    return text;
  }
}

// 0 is the version that the file names, or else 0.8.
function version(gp) {
  const number = { undefined: 0, "0.7": 7, "0.7.2": 7, "0.8": 8 }[gp];
  if (number === undefined) throw new RangeError(`${gp} is no version of the Gray Paper; "0.7" and "0.8" are`);
  return number;
}
