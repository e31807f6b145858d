"use strict";

// The data of the page: the index of functions, and their code, which is unpacked when it is needed.

/** The views in the order of the pipeline: the key of the record, and the title. */
const VIEWS = [["source", "Source"], ["wasm", "WebAssembly"], ["ir", "LLVM IR"], ["ssa", "SSA"], ["asm", "Assembly"]];
/** Chunks that are kept unpacked. */
const KEPT_CHUNKS = 48;

const INDEX = JSON.parse(document.getElementById("index").textContent);

/** The functions of the program. */
const FUNCTIONS = INDEX.functions.map(([name, wasm, bytes, gas, spent, calls, chunk], id) =>
  ({ id, name, wasm, bytes, gas, spent, calls, chunk }));
const BY_WASM = new Map(FUNCTIONS.filter((f) => f.wasm >= 0).map((f) => [f.wasm, f]));

/** Measures of cost: a key, the title, and the column of machine code that has it. */
const METRICS = [
  ...(INDEX.run ? [["spent", "run gas", "spent"], ["runs", "executions", "runs"]] : []),
  ...(INDEX.unit === "gas" ? [["gas", "gas", "gas"]] : []),
  ["bytes", "bytes", "bytes"],
];

const chunks = new Map();

/** The records of a chunk, by function. */
function unpack(number) {
  let records = chunks.get(number);
  if (!records) {
    records = inflate(document.getElementById(`chunk-${number}`).textContent).then(JSON.parse);
  }
  // The chunk that was used last is the last to go.
  chunks.delete(number);
  chunks.set(number, records);
  if (chunks.size > KEPT_CHUNKS) chunks.delete(chunks.keys().next().value);
  return records;
}

/** The text in raw deflate data in base64. */
async function inflate(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).text();
}

/** The record of a function. */
async function load(id) {
  return (await unpack(FUNCTIONS[id].chunk))[id];
}

/** The position of code as the assembly writes it: in the program, or in its function. */
const place = (at) => (INDEX.unit === "gas" ? `@${at}` : `+0x${at.toString(16)}`);

/** Adds an item to a list in a map. */
function push(map, key, item) {
  const list = map.get(key);
  if (list) list.push(item);
  else map.set(key, [item]);
}

const lines = (text) => (text === "" ? [] : text.split("\n"));

/** A function with the links between its views. */
class Code {
  /** Reads a function, with the text of those that were inlined into it. */
  static async read(id) {
    const record = await load(id);
    const inlined = [...new Set(record.sites.map((site) => site[1]))].filter((wasm) => wasm !== FUNCTIONS[id].wasm);
    const others = [];
    for (const wasm of inlined) {
      const other = BY_WASM.get(wasm);
      if (other) others.push([other, (await load(other.id)).wasm]);
    }
    return new Code(FUNCTIONS[id], record, others);
  }

  constructor(entry, record, others) {
    this.entry = entry;
    this.record = record;
    this.sites = record.sites.map(([offset, wasm, outer]) => ({ offset, wasm, outer }));
    this.lineOf = new Map(record.lines.map(([offset, file, line]) => [offset, `${file}:${line}`]));
    this.rows = { source: [], wasm: [], ir: [], ssa: [], asm: [] };
    this.readWasm(entry, record.wasm, others);
    this.readStage("ir");
    this.readStage("ssa");
    this.readMachine();
    this.readSource();
    this.link();
  }

  row(view, row) {
    row.view = view;
    row.index = this.rows[view].length;
    this.rows[view].push(row);
    return row;
  }

  readWasm(entry, own, others) {
    const add = (wasm) => lines(wasm.text).forEach((text, n) => this.row("wasm", { text, offset: wasm.offsets[n] }));
    add(own);
    for (const [other, wasm] of others) {
      this.row("wasm", { text: `inlined: ${other.name}`, kind: "title", opens: other.id });
      add(wasm);
    }
  }

  readStage(view) {
    const { text, sites } = this.record[view];
    lines(text).forEach((text, n) => this.row(view, { text, site: sites[n] }));
  }

  readMachine() {
    const { text, sites, at, bytes, gas, blocks, runs, spent } = this.record.asm;
    let block = null;
    lines(text).forEach((text, n) => {
      if (blocks[n] || !block) block = this.row("asm", { text: place(at[n]), kind: "block", site: -1, parts: [] });
      const costs = { bytes: bytes[n], gas: gas[n], runs: runs ? runs[n] : 0, spent: spent ? spent[n] : 0 };
      block.parts.push(this.row("asm", { text, site: sites[n], at: at[n], costs }));
    });
  }

  readSource() {
    let last = [-1, 0];
    for (const [file, line, text] of this.record.source) {
      if (file !== last[0]) this.row("source", { text: INDEX.files[file], kind: "title" });
      else if (line > last[1] + 1) this.row("source", { text: "\u22ef", kind: "title" });
      this.row("source", { text, line: `${file}:${line}`, where: line });
      last = [file, line];
    }
  }

  /** Offsets of a site: its own first, then those of the calls around it. */
  chain(site) {
    const chain = [];
    for (let s = site; s >= 0; s = this.sites[s].outer) chain.push(this.sites[s].offset);
    return chain;
  }

  /** Collects what belongs to what, and gives each offset with code a colour. */
  link() {
    this.bySite = new Map();
    this.byOffset = new Map();
    this.byLine = new Map();
    this.sitesAt = new Map();
    this.sitesIn = new Map();
    this.offsetsOf = new Map();
    for (const view of ["ir", "ssa", "asm"]) {
      for (const row of this.rows[view]) if (row.site >= 0) push(this.bySite, row.site, row);
    }
    for (const row of this.rows.wasm) if (row.offset >= 0) push(this.byOffset, row.offset, row);
    for (const row of this.rows.source) if (row.line) push(this.byLine, row.line, row);
    for (const [offset, line] of this.lineOf) push(this.offsetsOf, line, offset);
    this.sites.forEach((site, number) => {
      push(this.sitesAt, site.offset, number);
      for (const offset of new Set(this.chain(number))) push(this.sitesIn, offset, number);
    });
    const offsets = [...this.sitesIn.keys()].sort((a, b) => a - b);
    this.hues = new Map(offsets.map((offset, n) => [offset, Math.round(200 + n * 137.508) % 360]));
    for (const rows of Object.values(this.rows)) for (const row of rows) row.hue = this.hue(row);
  }

  hue(row) {
    if (row.site >= 0) return this.hues.get(this.sites[row.site].offset);
    if (row.offset >= 0) return this.hues.get(row.offset);
    const offsets = (row.line && this.offsetsOf.get(row.line)) || [];
    return this.hues.get(offsets.find((offset) => this.hues.has(offset)));
  }

  /** The rows that belong to one: those of the same place, and those around or inside of it. */
  related(row) {
    const strong = new Set([row]);
    const weak = new Set();
    const add = (set, rows) => (rows || []).forEach((row) => set.add(row));
    const ofOffset = (set, offset) => {
      add(set, this.byOffset.get(offset));
      add(set, this.byLine.get(this.lineOf.get(offset)));
    };
    if (row.site >= 0) {
      const [own, ...calls] = this.chain(row.site);
      add(strong, this.bySite.get(row.site));
      ofOffset(strong, own);
      calls.forEach((offset) => ofOffset(weak, offset));
    } else {
      const offsets = row.line ? this.offsetsOf.get(row.line) || [] : row.offset >= 0 ? [row.offset] : [];
      for (const offset of offsets) {
        ofOffset(strong, offset);
        (this.sitesAt.get(offset) || []).forEach((site) => add(strong, this.bySite.get(site)));
        (this.sitesIn.get(offset) || []).forEach((site) => add(weak, this.bySite.get(site)));
      }
    }
    if (row.kind === "block") row.parts.forEach((part) => weak.add(part));
    return { strong, weak };
  }

  /** Puts the cost by a measure on all rows that have one; returns the largest cost of a block. */
  price(metric) {
    const ofOffset = new Map();
    const ofLine = new Map();
    const sum = (map, key, cost) => map.set(key, (map.get(key) || 0) + cost);
    const joins = metric === "runs" ? Math.max : (a, b) => a + b;
    let largest = 0;
    for (const row of this.rows.asm) {
      if (row.kind === "block") {
        row.cost = row.parts.map((part) => part.costs[metric]).reduce(joins, 0);
        largest = Math.max(largest, row.cost);
        continue;
      }
      row.cost = row.costs[metric];
      if (row.site < 0) continue;
      const chain = new Set(this.chain(row.site));
      const sourceLines = new Set([...chain].map((offset) => this.lineOf.get(offset)).filter(Boolean));
      for (const offset of chain) {
        if (metric === "runs") ofOffset.set(offset, Math.max(ofOffset.get(offset) || 0, row.cost));
        else sum(ofOffset, offset, row.cost);
      }
      for (const line of sourceLines) {
        if (metric === "runs") ofLine.set(line, Math.max(ofLine.get(line) || 0, row.cost));
        else sum(ofLine, line, row.cost);
      }
    }
    for (const row of this.rows.wasm) row.cost = ofOffset.get(row.offset);
    for (const row of this.rows.source) row.cost = ofLine.get(row.line);
    return largest;
  }
}
