// The views of one function side by side.

/** Rows that are made at once. A view makes those that can be seen. */
const GROUP = 120;
/** The height of a row, as in the style sheet. */
const LINE = 19;
/** Names, numbers and comments in code. */
const TOKENS = /(;.*$)|([$%@][\w.$:-]+)|(?<![\w.])(-?(?:0x[\da-f]+|\d[\d.]*))(?![\w.])/gi;

const count = (number) => (number === undefined ? "" : number.toLocaleString("en"));

/** Makes an element. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** The text of a line with its tokens marked. */
function tokens(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(TOKENS)) {
    parts.push(text.slice(end, found.index));
    parts.push(make(found[1] ? "em" : found[2] ? "i" : "b", { textContent: found[0] }));
    end = found.index + found[0].length;
  }
  parts.push(text.slice(end));
  return parts;
}

/** One of the views. */
class Pane {
  constructor(key, title, listeners) {
    this.key = key;
    this.note = make("span");
    this.sheet = make("div", { className: "sheet" });
    this.code = make("div", { className: "code", tabIndex: 0 }, this.sheet);
    this.code.setAttribute("role", "region");
    this.code.setAttribute("aria-label", title);
    this.element = make("section", { className: "pane", id: `pane-${key}` }, make("h3", {}, title, this.note), this.code);
    this.observer = new IntersectionObserver((seen) => seen.filter((one) => one.isIntersecting)
      .forEach((one) => this.fill(one.target)), { root: this.code, rootMargin: "400px" });
    this.rows = [];
    const rowAt = (event) => {
      const element = event.target.closest(".row");
      return element && this.rows[Number(element.dataset.row)];
    };
    this.code.addEventListener("pointerover", (event) => listeners.hover(rowAt(event)));
    this.code.addEventListener("pointerleave", () => listeners.hover(null));
    this.code.addEventListener("click", (event) => listeners.pin(rowAt(event)));
    this.code.addEventListener("keydown", (event) => listeners.key(this, event));
  }

  /** Shows the rows of a function. */
  show(code, largest, marked) {
    this.rows = code.rows[this.key];
    this.largest = largest;
    this.marked = marked;
    this.observer.disconnect();
    this.sheet.replaceChildren();
    const widest = this.rows.reduce((most, row) => Math.max(most, count(row.cost).length), 0);
    this.code.style.setProperty("--cost", widest ? `${widest + 3}ch` : "0");
    this.hasCosts = widest > 0;
    this.note.textContent = this.rows.length ? `${count(this.rows.filter((row) => !row.kind).length)} lines` : "";
    for (let start = 0; start < this.rows.length; start += GROUP) {
      const group = make("div", { className: "rows" });
      group.dataset.start = start;
      group.style.height = `${Math.min(GROUP, this.rows.length - start) * LINE}px`;
      this.sheet.append(group);
      this.observer.observe(group);
    }
    if (!this.rows.length) this.sheet.append(make("p", { className: "empty", textContent: this.reason(code) }));
    else this.fill(this.sheet.firstChild);
  }

  reason(code) {
    if (this.key === "source") return "The module has no lines of source for this function.";
    if (this.key === "wasm") return "The compiler made this function; it is not in the module.";
    if (code.entry.bytes === 0) return "There is no code: every call was inlined, or nothing calls it.";
    return "This function does not come from this stage.";
  }

  /** Makes the elements of a group of rows. */
  fill(group) {
    this.observer.unobserve(group);
    if (group.firstChild) return;
    const start = Number(group.dataset.start);
    group.append(...this.rows.slice(start, start + GROUP).map((row) => this.element_of(row)));
  }

  element_of(row) {
    const text = make("span", { className: "text" });
    if (row.kind) text.textContent = row.text;
    else text.append(...tokens(row.text));
    row.element = make("div", { className: "row" });
    row.element.dataset.row = row.index;
    if (this.hasCosts) row.element.append(make("span", { className: "cost", textContent: count(row.cost || undefined) }));
    if (row.where) row.element.append(make("span", { className: "where", textContent: row.where }));
    if (row.kind === "block") {
      const full = make("i");
      full.style.width = `${this.largest ? (100 * row.cost) / this.largest : 0}%`;
      row.element.append(make("span", { className: "bar" }, full));
    }
    row.element.append(text);
    if (row.kind) row.element.classList.add(row.kind);
    if (row.hue !== undefined) {
      row.element.classList.add("linked");
      row.element.style.setProperty("--h", row.hue);
    } else if (this.key === "wasm" && row.offset >= 0 && row.index > 0) {
      row.element.classList.add("idle");
    }
    this.marked(row);
    return row.element;
  }

  /** Makes a row and scrolls to it, unless it can be seen. */
  reveal(row) {
    const group = this.sheet.children[Math.floor(row.index / GROUP)];
    this.fill(group);
    const top = row.index * LINE;
    const { scrollTop, clientHeight } = this.code;
    if (top < scrollTop + LINE || top > scrollTop + clientHeight - 2 * LINE) {
      this.code.scrollTop = Math.max(0, top - clientHeight / 3);
    }
  }
}
