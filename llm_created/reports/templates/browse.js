// ---- Lists that draw only what is in view -------------------------------------------------------------------------

const PRINTED = 40;
const phone = matchMedia("(max-width: 46rem)");

// A query's words, or phrases in quotes, in lower case.
const terms = (query) => (query.toLowerCase().match(/"[^"]+"|\S+/g) || []).map((term) => term.replace(/^"(.+)"$/, "$1"));

function marked(text, words) {
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!escaped.length) return [text];
  // With one group, every second part is a hit.
  return text.split(new RegExp(`(${escaped.join("|")})`, "giu")).map((part, at) => (at % 2 ? el("mark", {}, part) : part));
}

class List {
  // options: name, what (one, many), size, all (how many there are beside this file), text(i), item(i, words), filters [{label, all, values [[value, text]], test}],
  // orders [[name, compare]], open(position)
  constructor(root, options) {
    Object.assign(this, options);
    this.matches = Array.from({ length: this.size }, (_, at) => at);
    this.active = -1;
    this.words = [];
    this.search = el("input", {
      type: "search", placeholder: "words, or \"a phrase\"", autocomplete: "off", spellcheck: false, oninput: () => this.update(),
    });
    this.selects = this.filters.map((filter) => el("select", { onchange: () => this.update() },
      el("option", { value: "" }, filter.all), ...filter.values.map(([value, text]) => el("option", { value }, text))));
    this.order = el("select", { onchange: () => this.update() },
      ...this.orders.map(([name], at) => el("option", { value: String(at) }, name)));
    this.count = el("p", { role: "status" });
    const sampled = this.all > this.size
      ? `${count(this.size)} of ${plural(this.all, ...this.what)} are here, drawn by hash; the figures are of all. ` : "";
    const cut = data.cut ? `Texts are cut after ${plural(data.cut, "character")}. ` : "";
    this.space = el("div", { className: "space", role: "presentation" });
    this.list = el("div", { className: "list", tabIndex: 0, role: "listbox", id: `${this.name}-list` }, this.space);
    this.list.setAttribute("aria-label", `${this.what[1]}; arrow keys move, Enter opens`);
    const label = (text, control, more = "") => el("label", { className: more }, text, control);
    root.append(
      el("div", { className: "controls", role: "search" }, label("Search", this.search, "search"),
        ...this.filters.map((filter, at) => label(filter.label, this.selects[at])), label("Order", this.order)),
      el("div", { className: "count" }, this.count, el("span", { className: "small" }, `${sampled}${cut}Open one to see where it came from.`)),
      this.list);
    this.list.addEventListener("scroll", () => this.draw(), { passive: true });
    this.list.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("click", (event) => {
      const item = event.target.closest(".item");
      if (item) this.enter(Number(item.dataset.position));
    });
    phone.addEventListener("change", () => this.update());
    new ResizeObserver(() => this.draw()).observe(this.list);
    this.update();
  }

  // What is searched, in lower case, made once.
  get index() {
    this.lowered ??= Array.from({ length: this.size }, (_, at) => this.text(at).toLowerCase());
    return this.lowered;
  }

  update() {
    this.words = terms(this.search.value);
    const tests = this.filters.map((filter, at) => [filter.test, this.selects[at].value]).filter(([, value]) => value !== "");
    const index = this.words.length ? this.index : [];
    const found = [];
    for (let at = 0; at < this.size; at += 1) {
      if (this.words.every((word) => index[at].includes(word)) && tests.every(([test, value]) => test(at, value))) found.push(at);
    }
    const compare = this.orders[Number(this.order.value)][1];
    this.matches = compare ? found.sort(compare) : found;
    this.active = -1;
    this.rowHeight = parseFloat(getComputedStyle(this.list).getPropertyValue("--row"));
    this.space.style.height = `${this.matches.length * this.rowHeight}px`;
    const all = `${plural(this.size, ...this.what)}`;
    this.count.textContent = found.length === this.size ? all : `${count(found.length)} of ${all}`;
    this.list.scrollTop = 0;
    this.drawn = null;
    this.draw();
  }

  draw() {
    const first = Math.max(Math.floor(this.list.scrollTop / this.rowHeight) - 5, 0);
    const last = Math.min(Math.ceil((this.list.scrollTop + this.list.clientHeight) / this.rowHeight) + 5, this.matches.length);
    const key = `${first} ${last} ${this.active}`;
    if (key === this.drawn) return;
    this.drawn = key;
    const items = [];
    for (let position = first; position < last; position += 1) items.push(this.place(position));
    if (!this.matches.length) items.push(el("p", { className: "nothing" }, this.size ? "Nothing matches." : "There is nothing here."));
    this.space.replaceChildren(...items);
    const active = this.active >= first && this.active < last;
    if (active) this.list.setAttribute("aria-activedescendant", `${this.name}-${this.active}`);
    else this.list.removeAttribute("aria-activedescendant");
  }

  place(position) {
    const item = el("div", { className: "item", role: "option", id: `${this.name}-${position}` }, ...this.item(this.matches[position], this.words));
    item.style.top = `${position * this.rowHeight}px`;
    item.dataset.position = position;
    item.setAttribute("aria-setsize", this.matches.length);
    item.setAttribute("aria-posinset", position + 1);
    item.setAttribute("aria-selected", position === this.active);
    item.classList.toggle("active", position === this.active);
    return item;
  }

  key(event) {
    const page = Math.max(Math.floor(this.list.clientHeight / this.rowHeight) - 1, 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) this.move(this.active + steps[event.key]);
    else if ((event.key === "Enter" || event.key === " ") && this.active >= 0) this.enter(this.active);
    else return;
    event.preventDefault();
  }

  move(position) {
    this.active = Math.min(Math.max(position, 0), this.matches.length - 1);
    const top = this.active * this.rowHeight;
    const low = top + this.rowHeight - this.list.clientHeight;
    if (this.list.scrollTop > top) this.list.scrollTop = Math.max(top, 0);
    else if (this.list.scrollTop < low) this.list.scrollTop = low;
    this.draw();
  }

  enter(position) {
    this.move(position);
    this.open(position);
  }

  // From elsewhere on the page: one filter set, all else cleared.
  choose(at, value) {
    this.search.value = "";
    this.selects.forEach((select, number) => { select.value = number === at ? value : ""; });
    this.update();
    this.list.closest("section").scrollIntoView();
    this.list.focus({ preventScroll: true });
  }
}

// ---- The rows and the rejected pieces -----------------------------------------------------------------------------

const [AT_TURN, ID, ANSWER, INPUTS, OPTIONS] = [0, 1, 2, 3, 4];
const ASIDE = OPTIONS + 1;
const [R_CODE, R_DETAIL, R_TEXT, R_ID] = [1, 2, 3, 4];
const optionsOf = (row) => row[OPTIONS] || task.labels;
const turnOf = (piece) => data.turns[piece[AT_TURN]];
const depthOf = (piece) => turnOf(piece)[2];
const numberOf = (piece) => turnOf(piece)[0];
const textOf = (row) => row[INPUTS].join(" — ");
// Where texts are cut, and where not all rows are here, what they were.
const sizeAt = (at) => (data.sizes ? data.sizes[at] : data.rows[at][INPUTS].reduce((sum, text) => sum + text.length, 0));
const rowNumber = (at) => count((data.numbers ? data.numbers[at] : at) + 1);

// A fixed shuffle: the same random sample for everybody who reads this file.
const shuffled = (() => {
  const places = data.rows.map((_, at) => at);
  let state = 20231;
  for (let at = places.length - 1; at > 0; at -= 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (at + 1);
    [places[at], places[other]] = [places[other], places[at]];
  }
  return places;
})();

// ---- What was drawn, and what judges said -------------------------------------------------------------------------

const DRAWN = new Map(identity.strategy === "targen"
  ? [["context", "context"], ["seed", "instance seed"], ["contexts", "contexts asked for"]] : []);

function givenOf(row) {
  const verdicts = verdictsOf(row[ID]);
  return verdicts.length ? verdicts[0][1] : optionsOf(row)[row[ANSWER]];
}

// For each row the pairs of name and value, and for each name how many rows have each value. Of values that differ from
// label to label, the one for the label that the row was given.
const drawn = (() => {
  const counts = new Map();
  const pairs = data.rows.map((row) => Object.entries(turnOf(row)[3]).flatMap(([name, value]) => {
    if (typeof value !== "object" || value === null) return [[name, String(value)]];
    return Object.hasOwn(value, givenOf(row)) ? [[name, String(value[givenOf(row)])]] : [];
  }));
  for (const [name, value] of pairs.flat()) {
    if (!counts.has(name)) counts.set(name, new Map());
    counts.get(name).set(value, (counts.get(name).get(value) || 0) + 1);
  }
  return { pairs, counts };
})();

// What judges said of a row or a rejected piece, by the id that it was written with.
function verdictsOf(id) {
  return data.verdicts[id] || [];
}
const CHECKS = new Map([["changed", "changed"], ["doubted", "judged otherwise, and kept"], ["confirmed", "confirmed"]]);

function checkOf(row) {
  const verdicts = verdictsOf(row[ID]);
  if (!verdicts.length) return "";
  if (verdicts.some(([, , , , changed]) => changed)) return "changed";
  return verdicts.every(([, given, judged]) => given === judged) ? "confirmed" : "doubted";
}

// What a model of the other rows would rather say: [label, how likely its own label, how likely the other].
function doubtOf(row) {
  return data.doubted && Object.hasOwn(data.doubted.rather, row[ID]) ? data.doubted.rather[row[ID]] : null;
}
function doubtfulness(at) {
  const doubt = doubtOf(data.rows[at]);
  return doubt ? doubt[2] - doubt[1] : -2;
}

// What rows can be chosen by, where there is a choice: [value, text] of the options of a filter.
const byCheck = [...CHECKS].map(([code, text]) => [code, text, data.rows.filter((row) => checkOf(row) === code).length])
  .filter(([, , number]) => number).map(([code, text, number]) => [code, `${text} (${count(number)})`]);
const byDoubt = data.doubted ? [["yes", "doubted"], ["no", "not doubted"]].map(([code, text]) => [code,
  `${text} (${count(data.rows.filter((row) => (doubtOf(row) ? "yes" : "no") === code).length)})`]) : [];
const byDrawn = [...drawn.counts].filter(([, values]) => values.size > 1 && values.size <= Math.min(30, data.rows.length / 2))
  .flatMap(([name, values]) => [...values].map(([value, number]) => [
    JSON.stringify([name, value]), `${short(DRAWN.get(name) || name, 20)}: ${short(value, 40)} (${count(number)})`]));

// The options of a filter: [value, text] with how many of those in this file have the value.
function here(values, pieces, of) {
  const counts = new Map();
  for (const piece of pieces) counts.set(of(piece), (counts.get(of(piece)) || 0) + 1);
  return values.map(([value, text]) => [String(value), `${text} (${count(counts.get(value) || 0)})`]);
}

// ---- Items of the lists -------------------------------------------------------------------------------------------

function rowItem(at, words) {
  const row = data.rows[at];
  const right = optionsOf(row)[row[ANSWER]];
  const other = (row[OPTIONS] || []).find((option) => option !== right && words.some((word) => option.toLowerCase().includes(word)));
  return [
    el("span", { className: "at" }, rowNumber(at)),
    el("span", { className: "text", dir: "auto" }, ...marked(textOf(row), words)),
    el("span", { className: "side" },
      el("span", { className: "answer", dir: "auto" }, ...marked(right, words)),
      el("span", { className: "muted" }, data.seed ? `depth ${depthOf(row)} · ` : "",
        ...(other ? ["not ", el("bdi", {}, ...marked(other, words))]
          : doubtOf(row) ? ["rather ", el("bdi", {}, doubtOf(row)[0])]
          : checkOf(row) === "changed" ? ["given ", el("bdi", {}, givenOf(row))] : [`turn ${count(numberOf(row))}`]))),
  ];
}

function rejectedItem(at, words) {
  const piece = data.rejected[at];
  return [
    el("span", { className: "at" }, count(at + 1)),
    el("span", { className: "text", dir: "auto" }, ...marked(piece[R_TEXT] || piece[R_DETAIL] || "(an empty reply)", words)),
    el("span", { className: "side" },
      el("span", { className: "reason" }, piece[R_CODE]),
      el("span", { className: "muted", dir: "auto" }, piece[R_TEXT] ? piece[R_DETAIL] : `turn ${count(numberOf(piece))}`)),
  ];
}

const rowsList = new List(by("rows-browser"), {
  name: "rows", what: ["row", "rows"], size: data.rows.length, all: data.all[0], item: rowItem,
  text: (at) => [...data.rows[at][INPUTS], ...(data.rows[at][OPTIONS] || [task.labels[data.rows[at][ANSWER]]]), data.rows[at][ID]].join("\n"),
  filters: [
    {
      label: task.labels ? "Answer" : "Answer position", all: "all",
      values: here(data.balance.map(([name], at) => [at, short(name, 40)]), data.rows, (row) => row[ANSWER]),
      test: (at, value) => data.rows[at][ANSWER] === Number(value),
    },
    {
      label: "Depth", all: "all",
      values: data.seed ? here(data.depths.map(([depth]) => [depth, depth]), data.rows, depthOf) : [],
      test: (at, value) => depthOf(data.rows[at]) === Number(value),
    },
    {
      label: "Drawn", all: "all", values: byDrawn,
      test: (at, value) => drawn.pairs[at].some((pair) => JSON.stringify(pair) === value),
    },
    { label: "Label check", all: "all", values: byCheck, test: (at, value) => checkOf(data.rows[at]) === value },
    { label: "Likely wrong", all: "all", values: byDoubt, test: (at, value) => (doubtOf(data.rows[at]) ? "yes" : "no") === value },
  ].filter((filter, at) => at === 0 || filter.values.length),
  orders: [
    ["as made", null],
    ["random", (a, b) => shuffled[a] - shuffled[b]],
    ["longest first", (a, b) => sizeAt(b) - sizeAt(a) || a - b],
    ["shortest first", (a, b) => sizeAt(a) - sizeAt(b) || a - b],
    ...(data.doubted ? [["likeliest wrong first", (a, b) => doubtfulness(b) - doubtfulness(a) || a - b]] : []),
  ],
  open: (position) => show({ kind: "row", at: rowsList.matches[position], list: rowsList, position }),
});

const rejectedList = new List(by("rejected-browser"), {
  name: "rejected", what: ["piece", "pieces"], size: data.rejected.length, all: data.all[1], item: rejectedItem,
  text: (at) => data.rejected[at].slice(1).join("\n"),
  filters: [
    {
      label: "Reason", all: "all",
      values: here(data.reasons.map(([code]) => [code, code]), data.rejected, (piece) => piece[R_CODE]),
      test: (at, value) => data.rejected[at][R_CODE] === value,
    },
  ],
  orders: [["as they came", null], ["last first", (a, b) => b - a]],
  open: (position) => show({ kind: "rejected", at: rejectedList.matches[position], list: rejectedList, position }),
});

// ---- One of them, with where it came from -------------------------------------------------------------------------

const lazily = (make) => {
  let value;
  return () => (value ??= make());
};
const replies = lazily(() => read("replies"));
const places = lazily(() => new Map([
  ...data.rejected.map((piece, at) => [piece[R_ID], { kind: "rejected", at }]),
  ...data.rows.map((row, at) => [row[ID], { kind: "row", at }]),
]));
const group = (key) => lazily(() => {
  const groups = new Map();
  const add = (piece, place) => {
    const found = groups.get(key(piece));
    if (found) found.push(place);
    else groups.set(key(piece), [place]);
  };
  data.rows.forEach((row, at) => add(row, { kind: "row", at }));
  data.rejected.forEach((piece, at) => add(piece, { kind: "rejected", at }));
  return groups;
});
const ofTurn = group((piece) => piece[AT_TURN]);
const ofExample = group((piece) => turnOf(piece)[1]);

const before = [];
let current = null;

function nameOf(place) {
  if (place.kind === "row") return `Row ${rowNumber(place.at)}`;
  return `Rejected: ${data.rejected[place.at][R_CODE]}`;
}

function go(place) {
  const text = place.kind === "row" ? textOf(data.rows[place.at]) : data.rejected[place.at][R_TEXT] || data.rejected[place.at][R_DETAIL];
  const button = el("button", { type: "button", className: "link", onclick: () => { before.push(current); show(place); } }, said(short(text, 160)));
  return el("span", {}, button, el("span", { className: "muted small" }, ` ${nameOf(place).toLowerCase()}`));
}

function parentOf(example) {
  if (data.seed && !data.seeds && example === data.seed.id) return el("span", {}, "the formatting example: ", said(textOf([0, 0, 0, data.seed.inputs])));
  if (data.seeds && example in data.seeds) return el("span", {}, "a formatting example: ", said(data.seeds[example]));
  const place = places().get(example);
  return place ? go(place) : el("span", { className: "muted" }, data.numbers ? `${example}, which is not in this file` : example);
}

function family(title, found, empty) {
  const most = 25;
  if (!found.length) return empty ? [el("h3", {}, title), el("p", { className: "muted" }, empty)] : [];
  const rest = found.length > most ? el("p", { className: "muted" }, `and ${count(found.length - most)} more`) : null;
  const which = data.all[0] + data.all[1] > data.rows.length + data.rejected.length ? `${title}, of those in this file` : title;
  return [el("h3", {}, which), el("ul", { className: "family" }, ...found.slice(0, most).map((place) => el("li", {}, go(place)))), rest];
}

// What judges said, one below the other; a piece that repeats a judged row was not judged itself.
function judgedPart(place, piece, id) {
  if (place.kind === "rejected" && !["self_correct", "verify", "likelihood", "human", "surplus"].includes(piece[R_CODE])) return [];
  const verdicts = verdictsOf(id);
  if (!verdicts.length) return [];
  const pairs = verdicts.map(([name, given, judged, votes, changed, why]) => [name, el("div", {},
    el("p", { className: changed || given !== judged ? "reason" : "" }, "given ", said(given), ", ",
      ...(judged === null ? ["no majority for any answer"] : ["judged ", said(judged)]), changed ? " (changed)" : ""),
    votes.length && (votes.length > 1 || votes[0][1] > 1) ? el("p", { className: "muted small" }, "votes: ",
      ...votes.flatMap(([answer, number], at) => [at ? ", " : "", answer === null ? "no answer" : said(answer), ` ${count(number)}`])) : null,
    why ? said(why, "p") : null)]);
  return [el("h3", {}, "How its label was checked"), listed(pairs)];
}

// What was drawn for the turn; of an attribute with values for each label, all of them.
function drawnPart(place, piece) {
  const pairs = Object.entries(turnOf(piece)[3]).map(([name, value]) => [DRAWN.get(name) || name,
    typeof value !== "object" || value === null ? String(value) : el("ul", { className: "options" },
      ...Object.entries(value).map(([label, one]) => el("li", {}, said(label), ": ", said(String(one)))))]);
  if (!data.seed && task.labels && place.kind === "row") pairs.unshift(["label", givenOf(piece)]);
  return pairs.length ? [el("h3", {}, "What was drawn for it"), listed(pairs)] : [];
}

function show(place) {
  current = place;
  const piece = (place.kind === "row" ? data.rows : data.rejected)[place.at];
  const [position, example, depth] = turnOf(piece);
  const id = piece[place.kind === "row" ? ID : R_ID];
  const facts = place.kind === "row" ? fields(piece[INPUTS], optionsOf(piece), piece[ANSWER]) : el("dl", { className: "fields" });
  if (place.kind === "row") (piece[ASIDE] || []).forEach((text, at) => facts.append(el("dt", {}, said(task.aside[at])), el("dd", {}, said(text))));
  if (place.kind === "rejected") {
    facts.append(el("dt", {}, "reason"), el("dd", {}, piece[R_CODE]));
    if (piece[R_DETAIL]) facts.append(el("dt", {}, "what was wrong"), el("dd", {}, said(piece[R_DETAIL])));
    if (piece[R_TEXT]) facts.append(el("dt", {}, "as it came"), el("dd", {}, said(piece[R_TEXT])));
  }
  if (data.seed) facts.append(el("dt", {}, "made from"), el("dd", {}, parentOf(example)), el("dt", {}, "depth"), el("dd", {}, String(depth)));
  facts.append(el("dt", {}, "turn"), el("dd", {}, count(position)));
  if (id) facts.append(el("dt", {}, "id"), el("dd", {}, id));
  if (place.kind === "row" && data.leaks[id]) facts.append(el("dt", {}, "leakage"), el("dd", { className: "reason" }, said(data.leaks[id])));
  const doubt = place.kind === "row" ? doubtOf(piece) : null;
  if (doubt) facts.append(el("dt", {}, "likely wrong"), el("dd", { className: "reason" }, "a model of the other rows rather says ",
    said(doubt[0]), `: ${doubt[2].toFixed(2)} against ${doubt[1].toFixed(2)}`));
  const others = ofTurn().get(piece[AT_TURN]).filter((one) => one.kind !== place.kind || one.at !== place.at);
  const children = place.kind === "row" ? ofExample().get(id) || [] : [];
  by("detail-title").textContent = nameOf(place);
  by("detail-body").replaceChildren(
    facts,
    ...judgedPart(place, piece, id),
    ...drawnPart(place, piece),
    el("h3", {}, "The reply it came from"),
    said(replies()[piece[AT_TURN]] || "(empty)", "pre"),
    ...family("Others from this reply", others).filter(Boolean),
    ...family("Made from this row", children).filter(Boolean));
  by("detail-back").hidden = !before.length;
  by("detail-previous").disabled = !place.list || place.position === 0;
  by("detail-next").disabled = !place.list || place.position >= place.list.matches.length - 1;
  if (!by("detail").open) by("detail").showModal();
  by("detail-body").scrollTop = 0;
  by("detail-body").focus();
}

function step(by_) {
  const to = current.list ? current.position + by_ : -1;
  if (!current.list || to < 0 || to >= current.list.matches.length) return;
  before.length = 0;
  current.list.enter(to);
}

by("detail-previous").onclick = () => step(-1);
by("detail-next").onclick = () => step(1);
by("detail-back").onclick = () => show(before.pop());
by("detail-close").onclick = () => by("detail").close();
by("detail").addEventListener("close", () => { before.length = 0; });
by("detail").addEventListener("click", (event) => { if (event.target === by("detail")) by("detail").close(); });
by("detail").addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
});

// ---- Colours and paper --------------------------------------------------------------------------------------------

function repaint() {
  readColours();
  charts.forEach((chart) => chart.update("none"));
}

function printable(on) {
  if (document.documentElement.classList.contains("light") === on) return;
  document.documentElement.classList.toggle("light", on);
  repaint();
  if (!on) return;
  const { matches, size } = rowsList;
  const shown = matches.slice(0, PRINTED);
  const all = data.all[0] > size ? `${count(size)} of ${plural(data.all[0], "row")}, drawn by hash` : `all ${count(size)}`;
  const which = matches.length === size ? `${plural(size, "row")}` : `${plural(matches.length, "row")} that were found`;
  by("rows-print").replaceChildren(
    el("p", { className: "muted" }, `The first ${count(shown.length)} of ${which}; the file itself holds ${all}.`),
    table(["", ...task.inputs, task.answer, ...(data.seed ? ["depth"] : [])], shown.map((at) => {
      const row = data.rows[at];
      const deep = data.seed ? [String(depthOf(row))] : [];
      return [rowNumber(at), ...row[INPUTS].map((text) => said(text)), said(optionsOf(row)[row[ANSWER]]), ...deep];
    }), [0]));
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
matchMedia("print").addEventListener("change", (event) => printable(event.matches));
addEventListener("beforeprint", () => printable(true));
addEventListener("afterprint", () => printable(false));

head();
made();
spread();
checked();
drifted();
scored();
how();
// The first search finds its index ready.
setTimeout(() => { void rowsList.index; }, 300);
