// The page: the list of functions, search, keys, and the links between views.

const $ = (id) => document.getElementById(id);

/** The height of an entry of the list, as in the style sheet. */
const ENTRY = 26;
const hasGas = INDEX.unit === "gas";
/** Columns of the list by which it is sorted: key, title, and order. */
const SORTS = [
  ["name", "function", (a, b) => a.name.localeCompare(b.name) || a.id - b.id],
  ...(hasGas ? [["cost", INDEX.run ? "run gas" : "gas", (a, b) => cost(b) - cost(a) || a.id - b.id]] : []),
  ["bytes", "bytes", (a, b) => b.bytes - a.bytes || a.id - b.id],
];
const cost = (entry) => (INDEX.run ? entry.spent : entry.gas);

const state = {
  sort: hasGas ? "cost" : "bytes",
  metric: METRICS[0][0],
  shown: [],
  id: -1,
  code: null,
  query: "",
  found: null,
  hovered: null,
  pinned: null,
  strong: new Set(),
  weak: new Set(),
  hits: [],
};
let opening = 0;
let searching = 0;

const panes = VIEWS.map(([key, title]) => new Pane(key, title, { hover, pin, key: keyInPane }));

// ---- The list ----

function sortAndFilter() {
  const [, , order] = SORTS.find(([key]) => key === state.sort);
  const query = state.query.toLowerCase();
  const isShown = (entry) => !query || entry.name.toLowerCase().includes(query) || state.found?.has(entry.id);
  state.shown = FUNCTIONS.filter(isShown).sort(order);
  $("rows").style.height = `${state.shown.length * ENTRY}px`;
  for (const button of $("sorts").children) {
    button.setAttribute("aria-pressed", String(button.dataset.sort === state.sort));
  }
  const all = FUNCTIONS.length;
  $("count").textContent =
    state.shown.length === all ? `${count(all)} functions` : `${count(state.shown.length)} of ${count(all)} functions`;
  drawList();
}

/** Makes the entries that can be seen. */
function drawList() {
  const list = $("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ENTRY) - 8);
  const last = Math.min(state.shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ENTRY) + 8);
  const largest = state.shown.reduce((most, entry) => Math.max(most, hasGas ? cost(entry) : entry.bytes), 1);
  $("rows").replaceChildren(...state.shown.slice(first, last).map((entry, n) => {
    const called = make("span", { className: "called", textContent: entry.name, title: entry.name });
    const hits = state.found?.get(entry.id);
    if (hits) called.append(make("span", { className: "hits", textContent: count(hits) }));
    const element = make("div", { className: "entry", id: `entry-${entry.id}` }, called);
    if (hasGas) element.append(make("span", { className: "cost", textContent: count(cost(entry)) }));
    element.append(make("span", { className: "bytes", textContent: count(entry.bytes) }));
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", String(entry.id === state.id));
    element.classList.toggle("gone", entry.bytes === 0);
    element.style.top = `${(first + n) * ENTRY}px`;
    element.style.setProperty("--part", `${(100 * (hasGas ? cost(entry) : entry.bytes)) / largest}%`);
    element.addEventListener("click", () => open(entry.id));
    return element;
  }));
  list.setAttribute("aria-activedescendant", `entry-${state.id}`);
}

function sort(key) {
  state.sort = key;
  sortAndFilter();
  revealEntry();
}

/** Scrolls the list to the open function. */
function revealEntry() {
  const at = state.shown.findIndex((entry) => entry.id === state.id);
  const list = $("list");
  if (at >= 0 && (at * ENTRY < list.scrollTop || (at + 1) * ENTRY > list.scrollTop + list.clientHeight)) {
    list.scrollTop = at * ENTRY - list.clientHeight / 2;
  }
  drawList();
}

/** Opens the function so many entries after the open one. */
function step(by) {
  const at = state.shown.findIndex((entry) => entry.id === state.id);
  const next = state.shown[Math.min(state.shown.length - 1, Math.max(0, at + by))];
  if (next) open(next.id);
}

// ---- The open function ----

async function open(id) {
  const ticket = ++opening;
  state.id = id;
  revealEntry();
  if (location.hash !== `#${id}`) history.replaceState(null, "", `#${id}`);
  const code = await Code.read(id);
  // Another one may have been opened since.
  if (ticket !== opening) return;
  state.code = code;
  state.pinned = state.hovered = null;
  draw();
}

function facts(entry) {
  const plural = (number, unit) => `${count(number)} ${unit}${number === 1 ? "" : "s"}`;
  return [
    entry.wasm >= 0 && `function ${entry.wasm} of the module`,
    INDEX.run && `${count(entry.spent)} gas in the run`,
    INDEX.run && plural(entry.calls, "call"),
    hasGas && `${count(entry.gas)} gas, each block once`,
    plural(entry.bytes, "byte"),
  ].filter(Boolean).join(" \u00b7 ");
}

function draw() {
  const { code } = state;
  $("name").textContent = code.entry.name;
  $("name").title = code.entry.name;
  $("facts").textContent = facts(code.entry);
  document.title = `${code.entry.name} \u2013 ${INDEX.title}`;
  const largest = code.price(state.metric);
  findHits();
  panes.forEach((pane) => pane.show(code, largest, mark));
  select(state.pinned);
  for (const button of $("metrics").children) {
    button.setAttribute("aria-pressed", String(button.dataset.metric === state.metric));
  }
}

function measure(metric) {
  state.metric = metric;
  draw();
}

// ---- Links ----

/** Gives the element of a row the classes of its state. */
function mark(row) {
  const { classList } = row.element;
  classList.toggle("strong", state.strong.has(row));
  classList.toggle("weak", state.weak.has(row) && !state.strong.has(row));
  classList.toggle("cursor", row === state.pinned);
  classList.toggle("hit", Boolean(row.isHit));
}

function select(row) {
  const before = [...state.strong, ...state.weak];
  const { strong, weak } = row ? state.code.related(row) : { strong: new Set(), weak: new Set() };
  Object.assign(state, { strong, weak });
  [...before, ...strong, ...weak].forEach((row) => row.element && mark(row));
  describe(row);
}

function hover(row) {
  if (row === state.hovered) return;
  state.hovered = row;
  select(row || state.pinned);
}

/** Holds a row and shows its code in all views. */
function pin(row) {
  if (!row) return;
  if (row.opens !== undefined) return open(row.opens);
  const before = state.pinned;
  state.pinned = row;
  if (before?.element) mark(before);
  select(row);
  for (const pane of panes.filter((pane) => pane.key !== row.view)) {
    const first = pane.rows.find((row) => state.strong.has(row)) || pane.rows.find((row) => state.weak.has(row));
    if (first) pane.reveal(first);
  }
}

/** Describes a row below the views. */
function describe(row) {
  if (!row || !state.code) return $("status").replaceChildren("Point at a line to see its code in every view; click to hold it.");
  const { code } = state;
  const offset = row.site >= 0 ? code.sites[row.site].offset : row.offset;
  const operator = offset >= 0 && code.byOffset.get(offset)?.[0];
  const parts = [];
  if (offset >= 0) parts.push(`0x${offset.toString(16)}`);
  const line = row.line || code.lineOf.get(offset);
  if (line) parts.push(`${INDEX.files[line.split(":")[0]]}:${line.split(":")[1]}`);
  if (row.site >= 0) {
    const calls = code.chain(row.site).slice(1).map((at) => `0x${at.toString(16)}`);
    if (calls.length) parts.push(`inlined at ${calls.join(", ")}`);
  }
  const of = [...state.strong].filter((row) => row.costs);
  if (of.length) {
    const sum = (metric) => count(of.reduce((sum, row) => sum + row.costs[metric], 0));
    const costs = METRICS.filter(([key]) => key !== "runs").map(([key, title]) => `${sum(key)} ${title}`);
    parts.push(`${count(of.length)} instruction${of.length === 1 ? "" : "s"}: ${costs.join(", ")}`);
  }
  if (row.kind === "block") parts.push(`block of ${count(row.parts.length)}: ${count(row.cost)}`);
  $("status").replaceChildren(make("strong", { textContent: (operator || row).text.trim() }), `  ${parts.join("  \u00b7  ")}`);
}

// ---- Search ----

/** Finds the lines of the open function with the query. */
function findHits() {
  const query = state.query.toLowerCase();
  state.hits = [];
  for (const pane of panes) {
    for (const row of state.code.rows[pane.key]) {
      row.isHit = query !== "" && row.text.toLowerCase().includes(query);
      if (row.isHit) state.hits.push(row);
    }
  }
  const number = state.hits.length;
  $("matches").textContent = query ? `${count(number)} line${number === 1 ? "" : "s"}` : "";
}

async function search(query) {
  const ticket = ++searching;
  state.query = query.trim();
  state.found = null;
  sortAndFilter();
  if (state.code) {
    findHits();
    Object.values(state.code.rows).flat().forEach((row) => row.element && mark(row));
  }
  if (state.query.length < 2 || !$("everywhere").checked) return;
  const found = new Map();
  for (let chunk = 0; chunk < INDEX.chunks; chunk += 1) {
    const records = await unpack(chunk);
    if (ticket !== searching) return;
    for (const [id, record] of Object.entries(records)) {
      const number = occurrences(record, state.query.toLowerCase());
      if (number) found.set(Number(id), number);
    }
    $("matches").textContent = `${Math.round((100 * (chunk + 1)) / INDEX.chunks)} %`;
  }
  state.found = found;
  sortAndFilter();
  if (state.code) findHits();
}

/** The number of lines of a function with the query. */
function occurrences(record, query) {
  let number = 0;
  for (const view of ["wasm", "ir", "ssa", "asm"]) {
    const text = record[view].text.toLowerCase();
    for (let at = text.indexOf(query); at >= 0; at = text.indexOf(query, at)) {
      number += 1;
      at = text.indexOf("\n", at);
      if (at < 0) break;
    }
  }
  return number;
}

/** Goes to the next line with the query, or the one before. */
function nextHit(by) {
  const visible = state.hits.filter((row) => !$(`pane-${row.view}`).hidden);
  if (!visible.length) return;
  const at = visible.indexOf(state.pinned);
  const next = visible[(at + by + visible.length + (at < 0 && by < 0 ? 1 : 0)) % visible.length];
  pin(next);
  panes.find((pane) => pane.key === next.view).reveal(next);
}

// ---- Keys ----

function keyInPane(pane, event) {
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, j: 1, k: -1 }[event.key];
  if (by === undefined || !pane.rows.length) {
    if (event.key === "Enter" && state.pinned) pin(state.pinned);
    return;
  }
  event.preventDefault();
  event.stopPropagation();
  const from = state.pinned?.view === pane.key ? state.pinned.index + by : Math.floor(pane.code.scrollTop / LINE);
  const row = pane.rows[Math.min(pane.rows.length - 1, Math.max(0, from))];
  pane.reveal(row);
  pin(row);
}

function keyInList(event) {
  const page = Math.floor($("list").clientHeight / ENTRY) - 1;
  const all = state.shown.length;
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -all, End: all, j: 1, k: -1 }[event.key];
  if (by !== undefined) {
    event.preventDefault();
    step(by);
  } else if (event.key === "Enter") {
    panes.find((pane) => !pane.element.hidden && pane.rows.length)?.code.focus();
  }
}

function next(list, current) {
  const at = list.findIndex(([key]) => key === current);
  return list[(at + 1) % list.length][0];
}

function keyOnPage(event) {
  const isTyping = event.target === $("search");
  if (event.key === "Escape") {
    if ($("keys").open) return;
    if (state.pinned) {
      const row = state.pinned;
      state.pinned = null;
      if (row.element) mark(row);
      select(null);
    } else {
      $("search").value = "";
      search("");
    }
    if (isTyping) $("list").focus();
    return;
  }
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  const view = VIEWS[Number(event.key) - 1];
  const actions = {
    "/": () => $("search").focus(),
    n: () => nextHit(1),
    N: () => nextHit(-1),
    s: () => sort(next(SORTS, state.sort)),
    m: () => measure(next(METRICS, state.metric)),
    t: changeTheme,
    "?": () => $("keys").showModal(),
  };
  const action = view ? () => toggle(view[0]) : actions[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
}

// ---- The page ----

/** Shows or hides a view. One is always shown, and on a narrow page only one. */
function toggle(key) {
  const isNarrow = matchMedia("(max-width: 1000px)").matches;
  const shown = panes.filter((pane) => !pane.element.hidden);
  for (const pane of panes) {
    if (isNarrow) pane.element.hidden = pane.key !== key;
    else if (pane.key === key && (pane.element.hidden || shown.length > 1)) pane.element.hidden = !pane.element.hidden;
    $(`tab-${pane.key}`).setAttribute("aria-pressed", String(!pane.element.hidden));
  }
}

function changeTheme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("wasm-pvm-theme", root.dataset.theme);
  } catch {
    // Pages that are files may have no storage.
  }
}

/** The theme that was chosen before, or that of the system. */
function firstTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("wasm-pvm-theme");
  } catch {
    // As above.
  }
  const root = document.documentElement;
  root.dataset.theme = chosen || (dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => { root.dataset.theme = dark.matches ? "dark" : "light"; });
}

/** Makes the buttons of a group. */
function buttons(group, list, kind, action) {
  $(group).append(...list.map(([key, title]) => {
    const button = make("button", { type: "button", textContent: title });
    button.dataset[kind] = key;
    if (kind === "view") button.id = `tab-${key}`;
    button.addEventListener("click", () => action(key));
    return button;
  }));
}

function start() {
  firstTheme();
  $("title").textContent = INDEX.title;
  $("machine").textContent = INDEX.run ? `${INDEX.machine} \u00b7 run: ${INDEX.run}` : INDEX.machine;
  document.body.classList.toggle("two", !hasGas);
  buttons("sorts", SORTS, "sort", sort);
  buttons("metrics", METRICS, "metric", measure);
  $("metrics").hidden = METRICS.length < 2;
  buttons("tabs", VIEWS, "view", toggle);
  $("panes").append(...panes.map((pane) => pane.element));
  panes[0].element.hidden = INDEX.files.length === 0;
  if (matchMedia("(max-width: 1000px)").matches) toggle("wasm");
  panes.forEach((pane) => $(`tab-${pane.key}`).setAttribute("aria-pressed", String(!pane.element.hidden)));
  $("everywhere").checked = INDEX.chunks <= 16;
  $("everywhere").addEventListener("change", () => search($("search").value));
  let typing = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => search($("search").value), 120);
  });
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextHit(event.shiftKey ? -1 : 1);
    if (event.key === "ArrowDown") $("list").focus();
  });
  $("list").addEventListener("scroll", drawList, { passive: true });
  $("list").addEventListener("keydown", keyInList);
  $("theme").addEventListener("click", changeTheme);
  $("help").addEventListener("click", () => $("keys").showModal());
  document.addEventListener("keydown", keyOnPage);
  addEventListener("resize", drawList);
  addEventListener("hashchange", () => openHash());
  sortAndFilter();
  openHash();
  $("list").focus();
}

/** Opens the function that the address names, or the first of the list. */
function openHash() {
  const id = Number(location.hash.slice(1) || NaN);
  if (FUNCTIONS[id] && id !== state.id) open(id);
  else if (state.id < 0 && state.shown.length) open(state.shown[0].id);
}

start();
