"use strict";
// Every text of a row is data: it reaches the page as a text node or not at all.

// What would reorder a line is spelled out before anything is made of it.
const parse = (text) => JSON.parse(text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
  (found) => `\\\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`));
const by = (id) => document.getElementById(id);
const about = parse(by("data").textContent);
const whole = new Intl.NumberFormat("en");
const count = (number) => whole.format(number);
// So many labels have a key each; more are searched.
const FEW = 9;

function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
const said = (text, tag = "span") => el(tag, { className: "data", dir: "auto" }, text);

// ---- The server ---------------------------------------------------------------------------------------------------

async function ask(path, body) {
  let reply;
  const how = { credentials: "omit", cache: "no-store", redirect: "error" };
  if (body !== undefined) Object.assign(how, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  try {
    reply = await fetch(path, how);
  } catch {
    throw new Error("the command that opened this page has ended; what you said before is kept. Run it again to go on");
  }
  const text = await reply.text();
  if (reply.ok) return parse(text);
  let why = text;
  try { why = parse(text).error; } catch { /* no JSON: the text itself */ }
  throw new Error(why);
}

const fetched = new Map();
function fetchRow(at) {
  if (!fetched.has(at)) {
    const row = ask(`row?at=${at}`);
    row.catch(() => fetched.delete(at));
    fetched.set(at, row);
    if (fetched.size > 50) fetched.delete(fetched.keys().next().value);
  }
  return fetched.get(at);
}

// ---- Where we are -------------------------------------------------------------------------------------------------

let places = Array.from({ length: about.rows }, (_, at) => at);
let cursor = 0;      // of places; their number at the end
let row = null;      // what is shown, null at the end
let answered = about.answered;
let busy = false;
let choosing = false;
let order = [];      // the labels that the list shows

function tell(text) { by("live").textContent = text; }
function wrong(error) {
  by("error").textContent = error ? `${error.message}.` : "";
  by("error").hidden = !error;
}

// One thing at a time: a key that is pressed while the last answer is on its way is none.
async function once(work) {
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    wrong(null);
    await work();
  } catch (error) {
    wrong(error);
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
  }
}

async function show(to, before = "") {
  cursor = Math.max(0, Math.min(to, places.length));
  const found = cursor < places.length ? await fetchRow(places[cursor]) : null;
  row = found;
  choosing = false;
  by("row").hidden = !row;
  by("end").hidden = Boolean(row);
  if (row) draw(before);
  else await last(before);
  drawWhere();
  drawActions();
  drawLabels();
  if (cursor + 1 < places.length) fetchRow(places[cursor + 1]).catch(() => {});
}

function drawWhere() {
  const of = places.length === about.rows ? "" : `, chosen of ${count(about.rows)}`;
  const where = row ? `Row ${count(cursor + 1)} of ${count(places.length)}${of}` : `${count(places.length)} rows${of}`;
  by("where").textContent = `${where} · ${count(answered)} looked at by you`;
  by("progress").max = Math.max(about.rows, 1);
  by("progress").value = answered;
  by("back").disabled = cursor === 0;
  by("skip").disabled = !row;
  by("skip").hidden = about.sample > 0;  // who cannot tell is unsure: a sample has no holes
}

const VERDICTS = { label: "right label", wrong: about.blind ? "no label fits" : "wrong", unsure: "unsure" };
function ownWords(own) {
  return own.verdict === "label" ? row.options[own.label] : VERDICTS[own.verdict];
}

function draw(before) {
  by("row-title").textContent = `Row ${count(row.at + 1)}`;
  by("fields").replaceChildren(...row.fields.flatMap(([name, text]) => [el("dt", {}, said(name)), el("dd", {}, said(text))]));
  if (!about.labels) {
    by("fields").append(el("dt", {}, "options"), el("dd", {}, el("ul", { className: "options" },
      ...row.options.map((option, at) => el("li", { className: !about.blind && at === row.given ? "right" : "" }, said(option),
        !about.blind && at === row.given ? " ✓" : "")))));
  }
  by("given").replaceChildren(...(about.blind ? [] : [
    el("span", { className: "muted" }, about.labels ? "Its label:" : "Its answer:"), said(row.options[row.given]),
    row.check ? el("span", { className: "muted small" }, `(${row.check} by a judge)`) : ""]));
  by("own").replaceChildren(...(row.own ? ["You said: ", said(ownWords(row.own))] : []));
  const given = about.blind ? "" : ` Its label: ${row.options[row.given]};`;
  const own = row.own ? ` You said: ${ownWords(row.own)};` : "";
  const text = row.fields.map(([name, one]) => `${name}: ${one}`).join("; ");
  tell(`${before}Row ${count(cursor + 1)} of ${count(places.length)}. ${text};${given}${own}`);
}

async function last(before) {
  const lines = places.length ? await ask("result") : ["No row fits what you chose."];
  by("end-title").textContent = places.length ? "That was the last row" : "No rows";
  by("result").replaceChildren(...lines.map((text) => said(text, "p")));
  tell(`${before}${by("end-title").textContent}. ${lines.join(". ")}`);
  by("end").focus();
}

// ---- What can be said ---------------------------------------------------------------------------------------------

function action(key, text, run, id) {
  return el("button", { type: "button", onclick: run, id }, el("kbd", {}, key), text);
}

function drawActions() {
  const shown = !row ? [] : about.blind
    ? [action("N", "No label fits", () => say("wrong"), "none"), action("U", "Unsure", () => say("unsure"), "unsure")]
    : [action("R", "Right", () => say("label", row.given), "right"), action("W", "Wrong", () => say("wrong"), "wrong"),
      action("L", "Another label", choose, "another"), action("U", "Unsure", () => say("unsure"), "unsure")];
  by("actions").replaceChildren(...shown);
}

function drawLabels() {
  const visible = row && (about.blind || choosing);
  by("labels").hidden = !visible;
  if (!visible) return;
  by("labels-title").textContent = about.blind ? "Which label is right?" : "Which label is right instead?";
  const many = row.options.length > FEW;
  by("search").hidden = !many;
  by("label-search").value = "";
  listLabels("");
  if (many) by("label-search").focus({ preventScroll: true });
  else if (choosing) by("label-list").querySelector("button").focus({ preventScroll: true });
}

function listLabels(words) {
  const wanted = words.toLowerCase().trim();
  const many = row.options.length > FEW;
  const starts = (option) => (option.toLowerCase().startsWith(wanted) ? 0 : 1);
  order = row.options.map((option, at) => at).filter((at) => row.options[at].toLowerCase().includes(wanted));
  if (wanted) order.sort((a, b) => starts(row.options[a]) - starts(row.options[b]));
  by("label-list").replaceChildren(...order.map((at) => el("button", {
    type: "button", onclick: () => say("label", at), className: row.own && row.own.verdict === "label" && row.own.label === at ? "same" : "",
  }, many ? null : el("kbd", {}, String(at + 1)), said(row.options[at]))));
  if (wanted) tell(`${count(order.length)} labels; Enter takes ${order.length ? row.options[order[0]] : "none"}`);
}

function choose() {
  choosing = !choosing;
  drawLabels();
  if (choosing) tell(`Which label is right instead? ${row.options.map((option, at) => `${at + 1}: ${option}`).slice(0, FEW).join(", ")}`);
  else by("row").focus();
}

const say = (verdict, label = null) => once(async () => {
  if (!row) return;
  const at = places[cursor];
  // A label goes by its number: what would reorder a line stands spelled out here.
  await ask("say", { at, verdict, label });
  const words = ownWords({ verdict, label });
  if (!row.own) answered += 1;
  fetched.delete(at);
  // What had the focus is gone with the row.
  by("row").focus({ preventScroll: true });
  await show(cursor + 1, `Kept: ${words}. `);
});

const move = (to) => once(() => show(to));
const finish = () => once(async () => {
  const lines = await ask("finish", {});
  row = null;
  by("row").hidden = true;
  by("labels").hidden = true;
  by("end").hidden = false;
  by("end-title").textContent = "Finished: this page may be closed";
  by("result").replaceChildren(...lines.map((text) => said(text, "p")));
  for (const button of document.querySelectorAll("button, input, select")) button.disabled = true;
  by("actions").replaceChildren();
  tell(`Finished. ${lines.join(". ")}`);
  by("end").focus();
});

by("back").onclick = () => move(cursor - 1);
by("skip").onclick = () => move(cursor + 1);
by("finish").onclick = finish;
by("label-search").oninput = () => listLabels(by("label-search").value);
by("label-search").onkeydown = (event) => {
  if (event.key === "Enter" && by("label-search").value.trim() && order.length) say("label", order[0]);
  else if (event.key === "ArrowDown" && order.length) by("label-list").querySelector("button").focus();
  else if (event.key === "Escape") by("row").focus();
  else return;
  event.preventDefault();
  event.stopPropagation();
};

const KEYS = about.blind
  ? { n: () => say("wrong"), u: () => say("unsure") }
  : { r: () => row && say("label", row.given), w: () => say("wrong"), l: () => row && choose(), u: () => say("unsure") };
Object.assign(KEYS, { b: () => move(cursor - 1), s: () => row && !about.sample && move(cursor + 1), backspace: () => move(cursor - 1) });
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !by("keys").checked) return;
  if (event.target.matches("input:not([type=checkbox]), select, textarea")) return;
  const key = event.key.toLowerCase();
  if (key === "escape" && choosing) choose();
  else if (/^[1-9]$/.test(key) && row && row.options.length <= FEW) {
    if (Number(key) <= row.options.length) say("label", Number(key) - 1);
  } else if (Object.hasOwn(KEYS, key)) KEYS[key]();
  else return;
  event.preventDefault();
});

// ---- Which rows ---------------------------------------------------------------------------------------------------

function drawFilters() {
  const shown = about.filters;
  if (!shown.length) return;
  by("chosen").hidden = false;
  const selects = shown.map((filter) => el("label", {}, filter.label, el("select", { name: filter.name },
    el("option", { value: "" }, "all"),
    ...filter.values.map(([value, text, number]) => el("option", { value }, number === null ? text : `${text} (${count(number)})`)))));
  const search = el("label", {}, "Words in it", el("input", { type: "search", name: "text", autocomplete: "off" }));
  by("filters").append(search, ...selects, el("button", { type: "submit" }, "Show these"));
  by("filters").onsubmit = (event) => {
    event.preventDefault();
    once(async () => {
      places = await ask(`find?${new URLSearchParams(new FormData(by("filters")))}`);
      by("row").focus({ preventScroll: true });
      await show(0);
    });
  };
}

by("kicker").textContent = about.sample ? "Audit" : about.blind ? "Review, blind" : "Review";
by("title").append(said(about.title));
by("subtitle").replaceChildren(`Run ${about.run} · what you say is kept at once, as `, said(about.person),
  about.sample ? ` · ${count(about.rows)} rows, drawn by hash; their labels are not shown` : "");
by("help").textContent = about.blind
  ? "1 to 9: that label; N: none fits; U: unsure; B: back. Where there are more labels, type its beginning and press Enter; Escape leaves the field."
  : "R: right; W: wrong; L: another label; 1 to 9: that label; U: unsure; B: back; S: skip. The last answer counts.";
drawFilters();
once(async () => {
  await show(about.answered && about.answered === about.rows ? about.rows : about.first);
  if (row && by("label-list").contains(document.activeElement) === false && document.activeElement === document.body) by("row").focus({ preventScroll: true });
});
