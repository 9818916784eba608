"use strict";
// Every text of the run is data: it reaches the page as a text node or not at all.

// What would reorder a line is spelled out before anything is made of it.
const read = (id) => JSON.parse(document.getElementById(id).textContent.replace(
  /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
  (found) => `\\\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`));
const data = read("data");
const by = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const count = (number) => whole.format(number);
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
// Both ends of a name: labels that begin alike are told apart.
const ends = (text, most) => (text.length > most ? `${text.slice(0, Math.ceil(most / 2))}…${text.slice(1 - Math.floor(most / 2))}` : text);
const clock = (seconds) => {
  if (seconds < 0.1) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
};

function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Text that a model wrote: its direction is its own, and stays inside.
const said = (text, tag = "span") => el(tag, { className: "data", dir: "auto" }, text);

function table(head, rows, figures = []) {
  const cell = (tag, value, at) => el(tag, figures.includes(at) ? { className: "number" } : {}, value);
  return el("div", { className: "scroll", tabIndex: 0 }, el("table", {},
    el("thead", {}, el("tr", {}, ...head.map((text, at) => {
      const made = cell("th", text, at);
      made.scope = "col";
      return made;
    }))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((value, at) => cell("td", value, at)))))));
}

// ---- Charts -------------------------------------------------------------------------------------------------------

const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["card", "line", "ink", "muted", "one", "two", "three", "soft", "grid"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
}
readColours();
Chart.defaults.animation = false;
Chart.defaults.maintainAspectRatio = false;
Chart.defaults.devicePixelRatio = Math.max(2, window.devicePixelRatio || 1);  // so that it is sharp on paper, too
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
Chart.defaults.font.size = 13;
Chart.defaults.plugins.legend.display = false;

// Writes each bar's figure at its end.
const atTheEnd = {
  id: "atTheEnd",
  afterDatasetsDraw(chart, _, options) {
    if (!options.texts) return;
    const context = chart.ctx;
    context.save();
    context.fillStyle = colours.ink;
    context.font = `13px ${Chart.defaults.font.family}`;
    context.textBaseline = "middle";
    chart.getDatasetMeta(0).data.forEach((bar, at) => context.fillText(options.texts[at], bar.x + 6, bar.y));
    context.restore();
  },
};
Chart.register(atTheEnd);

const charts = [];
const TALL = 640;
function card(into, { title, about, label, height, config, table: below, wide }) {
  const canvas = el("canvas", { role: "img", "aria-label": label });
  const box = el("div", { className: "chart" }, canvas);
  box.style.height = `${height}px`;
  // More bars than can be seen at once are scrolled.
  const tall = height > TALL;
  const frame = tall ? el("div", { className: "scroll tall", tabIndex: 0, role: "region", "aria-label": title }, box) : box;
  const figure = el("figure", { className: wide ? "card whole" : "card" },
    el("figcaption", {}, el("h3", {}, title), about ? el("p", {}, about) : null), config ? frame : null);
  if (below) figure.append(el("details", { open: !config }, el("summary", {}, "Numbers"), below));
  into.append(figure);
  if (config) charts.push(new Chart(canvas, config));
  return figure;
}

// Colours are functions, so that one update repaints a chart in another scheme.
const axis = (title, ticks = {}, grid = true) => ({
  beginAtZero: true,
  title: { display: Boolean(title), text: title, color: () => colours.muted },
  ticks: { color: () => colours.muted, ...ticks },
  grid: { display: grid, color: () => colours.grid },
  border: { color: () => colours.line },
});
const numbers = { precision: 0, maxTicksLimit: 6, callback: (value) => count(value) };

// A name that finds room before its bar; the axis gets half of what the figures leave.
function fitting(name, chart, right) {
  const { ctx, width } = chart;
  const room = (width - right) / 2 - 14;
  ctx.save();
  ctx.font = `13px ${Chart.defaults.font.family}`;
  let shown = name;
  for (let long = Math.min(name.length, 60); long > 4 && ctx.measureText(shown).width > room; long -= 1) shown = ends(name, long);
  ctx.restore();
  return shown;
}

// Bars that lie, each with its name before it and its figure behind it.
function bars(names, values, texts, colour, marks) {
  const datasets = [{ data: values, backgroundColor: () => colours[colour], borderRadius: 3, maxBarThickness: 26 }];
  if (marks) datasets.push(marks);
  const right = 12 + 7.2 * Math.max(...texts.map((text) => text.length), 0);
  return {
    type: "bar",
    data: { labels: names, datasets },
    options: {
      indexAxis: "y",
      layout: { padding: { right } },
      scales: {
        x: { display: false, beginAtZero: true },
        y: { grid: { display: false }, border: { display: false }, ticks: {
          autoSkip: false, color: () => colours.ink,
          callback(at) { return fitting(names[at], this.chart, right); },
        } },
      },
      plugins: { atTheEnd: { texts }, tooltip: { callbacks: { title: (items) => names[items[0].dataIndex] } } },
    },
  };
}

function columns(names, values, across) {
  return {
    type: "bar",
    data: {
      labels: names,
      datasets: [{
        data: values, backgroundColor: () => colours.one, borderRadius: 2, categoryPercentage: 0.95, barPercentage: 0.95,
      }],
    },
    options: {
      scales: { x: axis(across, { maxRotation: 0 }, false), y: axis("", numbers) },
    },
  };
}

const line = (name, values, colour, more = {}) => ({
  label: name, data: values, borderColor: () => colours[colour], backgroundColor: () => colours[colour], borderWidth: 2,
  pointRadius: values.length > 40 ? 0 : 3, tension: 0, ...more,
});

// ---- The summary --------------------------------------------------------------------------------------------------

const kept = data.cost.kept;
const task = data.task;
const identity = data.identity;
const METHODS = new Map([["targen", "TarGEN"], ["attrprompt", "AttrPrompt"], ["simprompt", "SimPrompt"]]);
const method = METHODS.get(identity.strategy);

function tile(label, value, note) {
  by("tiles").append(el("div", {},
    el("dt", {}, label), el("dd", {}, value), note ? el("dd", { className: "note" }, note) : null));
}

function head() {
  by("title").append(said(`${task.name} · ${identity.strategy} · ${identity.model}`));
  const name = data.name ? `${data.name}, ` : "";
  const day = data.time.created.replace("T", " ").replace("+00:00", " UTC");
  const seeds = Object.keys(data.seeds || {}).length;
  const from = data.seed ? (seeds ? `from ${seeds} formatting examples` : "from one formatting example") : `by ${method || identity.strategy}`;
  by("subtitle").textContent = `${plural(kept, "row")} ${from} · ${name}run ${data.run.slice(0, 8)} · `
    + `begun ${day}`;
  if (identity.model === "demo") {
    by("warning").hidden = false;
    by("warning").textContent = "These rows come from the built-in demo writer. They are for trying things out, and no "
      + "training data.";
  }
  const { dollars, price, calls, prompt_tokens: sent, completion_tokens: got, estimated } = data.cost;
  tile("Rows kept", count(kept), kept < data.target ? `of ${count(data.target)} wanted` : "as many as were wanted");
  const asked = data.funnel[0][1];
  tile("Kept of asked", asked ? percent(kept / asked) : "–", `${count(asked)} rows asked for`);
  tile("Calls", count(calls), kept ? `${(kept / Math.max(data.cost.of_rows.calls, 1)).toFixed(1)} rows a call` : "");
  const perRow = kept ? `${count(Math.round(data.cost.of_rows.tokens / kept))} a row` : "";
  const guess = !estimated ? "" : estimated === sent + got ? "estimated" : `${count(estimated)} of them estimated`;
  tile("Tokens", count(sent + got), [perRow, guess, ...data.cost.said].filter(Boolean).join(", "));
  if (dollars === null) tile("Cost", "not known", "the model's price is not known");
  else if (price[0] === 0 && price[1] === 0) tile("Cost", "free");
  else {
    tile("Cost", `$${dollars.toFixed(dollars < 1 ? 4 : 2)}`, (kept ? `$${(1000 * data.cost.of_rows.dollars / kept).toFixed(3)} per 1,000 rows, ` : "")
      + `by ${price[2]}`);
  }
  const median = data.time.median_reply;
  tile("Time on calls", clock(data.time.busy), median === null ? "" : `a reply took ${clock(median)} (median)`);
}

const STAGES = {
  asked: "asked for", parsed: "read as JSON", valid: "well formed", unique: "no duplicates", kept: "kept",
};
// Bars for all of these, [name, number], while a browser can draw them; and what is said of those left out.
const BARS = 200;
function drawable(all) {
  if (all.length <= BARS) return { shown: all, rest: "" };
  const sorted = [...all].sort((a, b) => b[1] - a[1]);
  const left = sorted.slice(BARS).reduce((sum, [, number]) => sum + number, 0);
  return { shown: sorted.slice(0, BARS), rest: ` Drawn are the ${BARS} commonest; ${count(all.length - BARS)} more have `
    + `${count(left)} together, and stand below with the others.` };
}
const heightOf = (shown, least) => Math.max(least, (shown.length > 24 ? 26 : 34) * shown.length + 20);

function made() {
  const into = by("made-charts");
  const values = data.funnel.map(([, number]) => number);
  const of = (number) => (values[0] ? percent(number / values[0]) : "–");
  const texts = values.map((number) => `${count(number)} · ${of(number)}`);
  const spare = data.spare ? ` ${plural(data.spare, "more row")} ${data.spare === 1 ? "waits" : "wait"} for the run to grow.` : "";
  const each = method ? 1 : identity.num_examples;
  card(into, {
    title: "Rows at each step",
    about: `A model was asked for rows, ${each} a call; this is how many came through.${spare}`,
    label: `Bar chart: ${data.funnel.map(([stage, number]) => `${number} ${STAGES[stage]}`).join(", ")}`,
    height: 210,
    config: bars(data.funnel.map(([stage]) => STAGES[stage]), values, texts, "one"),
    table: table(["step", "rows", "of those asked for"],
      data.funnel.map(([stage, number]) => [STAGES[stage], count(number), of(number)]), [1, 2]),
  });
  const all = data.reasons.reduce((sum, [, number]) => sum + number, 0);
  const reasons = drawable(data.reasons);
  card(into, {
    title: "Why pieces were rejected",
    about: (all ? `${plural(all, "piece")} of the replies became no row.` : "Nothing was rejected.") + reasons.rest
      + (data.leakage ? ` Evaluation sets: ${data.leakage}.` : ""),
    label: `Bar chart: ${data.reasons.map(([code, number]) => `${number} ${code}`).join(", ")}`,
    height: heightOf(reasons.shown, 210),
    config: all ? bars(reasons.shown.map(([code]) => code), reasons.shown.map(([, number]) => number),
      reasons.shown.map(([, number]) => count(number)), "two") : null,
    table: all ? table(["reason", "pieces", "share", ""], data.reasons.map(([code, number]) => [
      code, count(number), percent(number / all),
      el("button", { type: "button", className: "link", onclick: () => rejectedList.choose(0, code) }, `show ${code}`),
    ]), [1, 2]) : null,
  });
}

function spread() {
  const into = by("spread-charts");
  if (!kept) {
    into.append(el("p", {}, "There are no rows yet."));
    return;
  }
  const even = 1 / Math.max(data.balance.length, 1);
  const { shown, rest } = drawable(data.balance);
  const what = task.labels ? "answer" : "answer position";
  const longest = data.longest && data.longest[1] ? ` Where one option is the longest, it is the right one in `
    + `${percent(data.longest[0])} of rows; ${percent(data.longest[1])} if length told nothing.` : "";
  card(into, {
    title: task.labels ? "Answers" : "Positions of the right answer",
    about: `Evenly spread, each ${what} would have ${percent(even)}.${longest}${rest}`,
    label: `Bar chart: ${shown.map(([name, number]) => `${name} ${percent(number / kept)}`).join(", ")}${rest}`,
    height: heightOf(shown, 180),
    config: bars(shown.map(([name]) => name), shown.map(([, number]) => number),
      shown.map(([, number]) => `${count(number)} · ${percent(number / kept)}`), "three"),
    table: table([what, "rows", "share"], data.balance.map(([name, number]) => [
      said(name), count(number), percent(number / kept)]), [1, 2]),
  });
  for (const one of data.lengths) {
    const starts = one.counts.map((_, at) => one.start + at * one.width);
    const last = starts[starts.length - 1];
    const end = (at) => (starts[at] === last && one.most >= last + one.width ? one.most : starts[at] + one.width - 1);
    const config = columns(starts.map(count), one.counts, "characters");
    config.options.plugins = {
      tooltip: { callbacks: { title: ([item]) => `${count(starts[item.dataIndex])} to ${count(end(item.dataIndex))} characters` } },
    };
    card(into, {
      title: `Length of ${short(one.field, 40)}`,
      about: `Median ${count(one.median)}, mean ${count(Math.round(one.mean))}, from ${count(one.least)} to ${count(one.most)} characters.`
        + (one.field === task.options ? " Each option counts." : ""),
      label: `Histogram of lengths: median ${one.median}, from ${one.least} to ${one.most} characters`,
      height: 210,
      config,
      table: table(["characters", "number"], one.counts.map((number, at) => [
        `${count(starts[at])}–${count(end(at))}`, count(number)]), [1]),
    });
  }
}

// Labels given against labels judged: zeros are dots, agreement lies on the diagonal.
function matrix(one) {
  // The last column is for rows without a majority: often there are none.
  const width = one.counts.some((counts) => counts[one.judged.length - 1]) ? one.judged.length : one.judged.length - 1;
  const many = width > 6;
  const cell = (number, row, column) => el("td", { className: number === 0 ? "none" : row === column ? "same" : "other" },
    number === 0 ? "·" : count(number));
  return el("div", { className: "scroll tall", tabIndex: 0, role: "region", "aria-label": `${one.name}: given against judged` },
    el("table", { className: many ? "matrix many" : "matrix" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, one.given.length > 1 ? "given ↓ judged →" : "judged"),
        ...one.judged.slice(0, width).map((name) => el("th", { scope: "col", title: name }, said(name))))),
      el("tbody", {}, ...one.given.map((name, row) => el("tr", {}, el("th", { scope: "row", title: name }, said(one.given.length > 1 ? name : "rows")),
        ...one.counts[row].slice(0, width).map((number, column) => cell(number, row, column)))))));
}

function checked() {
  if (!data.judged.length && !data.doubted) return;
  by("judged").hidden = by("to-judged").hidden = false;
  if (data.doubted) {
    const { number, of, about } = data.doubted;
    by("judged-tables").append(el("div", { className: "card" }, el("h3", {}, "Likely wrong"),
      el("p", {}, `A linear model of the other rows (${about}) doubts the labels of ${count(number)} of ${plural(of, "row")}, by confident learning. `,
        number > of / 4 ? "So many say more of the model, which cannot tell these labels, than of the rows."
          : number ? "A filter and an order of the rows below find them: look, a doubt is no error yet." : "")));
  }
  for (const one of data.judged) {
    const cells = one.given.flatMap((given, row) => one.judged.map((judged, column) => [given, judged, one.counts[row][column], row === column]));
    const fixed = one.given.length > 1;
    const differ = cells.filter(([, , number, same]) => number && !same).sort((a, b) => b[2] - a[2]);
    const most = differ.slice(0, 6).map(([given, judged, number]) => el("li", {}, "given ", said(given), ", judged ", said(judged), `: ${count(number)}`));
    if (differ.length > most.length) most.push(el("li", {}, `and ${plural(differ.length - most.length, "other pair")} of labels`));
    const votes = one.kind === "verify" ? ` All votes were the same on ${count(one.unanimous)} of ${plural(one.n, "row")}.` : "";
    const what = {
      verify: "The model chose an answer without seeing the one that the row has at that point.",
      likelihood: "The answer is the one that the row's inputs make likeliest, beside how likely each is with empty inputs; p is its share.",
      self_correct: "The model saw the answer that the row was given, and rechecked it.",
      human: "People looked at rows that they chose.",
      audit: "A person did not see the label that the row was given before people had their say.",
    }[one.kind];
    const all = one.kind === "human" || one.kind === "audit" ? "" : " Every row that was judged counts, kept or not.";
    by("judged-tables").append(el("div", { className: one.judged.length > 6 ? "card whole" : "card" },
      el("h3", {}, one.name[0].toUpperCase() + one.name.slice(1)),
      el("p", {}, `${one.said[0].toUpperCase()}${one.said.slice(1)}.${votes} ${what}${all}`),
      matrix(one),
      ...(one.kind === "audit" ? data.agreement.map((text) => el("p", {}, `${text[0].toUpperCase()}${text.slice(1)}.`)) : []),
      fixed && most.length ? el("details", { open: one.judged.length > 6 }, el("summary", {}, "What was judged otherwise most often"), el("ul", { className: "family" }, ...most)) : null));
  }
}

function drifted() {
  const into = by("drift-charts");
  if (!data.seed) {
    // No example was shown that rows could drift from.
    by("drifted").hidden = by("to-drifted").hidden = true;
    return;
  }
  if (!data.drift.length) {
    into.append(el("p", {}, "There are no rows yet."));
    return;
  }
  const depths = data.drift.map((one) => one.depth);
  const of = (name) => data.drift.map((one) => one[name]);
  const embedded = data.drift.some((one) => one.cosine !== null);
  const deep = depths.length > 1;
  const band = { borderWidth: 0, pointRadius: 0, backgroundColor: () => `${colours.one}33` };
  const datasets = [
    line("to the formatting example (median)", of("median"), "one"),
    line("middle half of the rows", of("high"), "one", { ...band, fill: "+1" }),
    line("lower quartile", of("low"), "one", band),
    line("to the row it was made from (mean)", of("parent"), "two", { borderDash: [6, 4] }),
  ];
  if (embedded) datasets.push(line("embeddings, to the row it was made from", of("cosine"), "three", { borderDash: [2, 3] }));
  const legend = {
    display: true, position: "bottom", align: "start",
    labels: {
      color: () => colours.ink, usePointStyle: true, pointStyleWidth: 26, filter: (item) => item.text !== "lower quartile",
      generateLabels: (chart) => Chart.defaults.plugins.legend.labels.generateLabels(chart).map((item) => (
        { ...item, fontColor: colours.ink, pointStyle: item.text.startsWith("middle") ? "rect" : "line" })),
    },
  };
  const cheap = "A row's depth is the number of generations between it and the formatting example. Likeness here is the "
    + "share of three-character pieces of the input texts that two examples have in common (Jaccard): a cheap measure that "
    + "sees wording and not meaning. 1 is the same text." + (data.lengths.some((one) => one.most > data.beginning)
      ? ` Of longer texts the first ${count(data.beginning)} characters are compared.` : "")
    + (data.compared ? ` Measured on ${count(data.compared)} of ${count(kept)} rows, drawn by hash.` : "");
  const more = embedded ? ` The similarity of embeddings (cosine, ${identity.embedding_model}) was journaled between a row and `
    + "the one it was made from, and is shown beside it." : " This run journaled no embeddings.";
  const figure = (value) => (value === null ? "–" : value.toFixed(3));
  card(into, {
    title: "Likeness by depth",
    about: cheap + more + (deep ? "" : " All rows of this run have the same depth, so there is no drift to draw."),
    label: `Line chart: median likeness to the formatting example by depth, ${figure(data.drift[0].median)} at depth ${depths[0]}, `
      + `${figure(data.drift[depths.length - 1].median)} at depth ${depths[depths.length - 1]}`,
    height: 300,
    wide: true,
    config: deep ? {
      type: "line",
      data: { labels: depths.map(String), datasets },
      options: {
        interaction: { mode: "index", intersect: false },
        scales: { x: axis("depth", { maxRotation: 0 }, false), y: axis("") },
        plugins: { legend },
      },
    } : null,
    table: table(
      ["depth", "rows", "to the example: lower quartile", "median", "upper quartile", "to its parent", ...(embedded ? ["cosine to its parent"] : [])],
      data.drift.map((one) => [String(one.depth), count(one.n), figure(one.low), figure(one.median), figure(one.high),
        figure(one.parent), ...(embedded ? [figure(one.cosine)] : [])]),
      [0, 1, 2, 3, 4, 5, 6]),
  });
  if (!deep) return;
  card(into, {
    title: "Rows by depth",
    label: `Bar chart: ${data.depths.map(([depth, number]) => `${number} at depth ${depth}`).join(", ")}`,
    height: 210,
    wide: true,
    config: columns(data.depths.map(([depth]) => String(depth)), data.depths.map(([, number]) => number), "depth"),
    table: table(["depth", "rows"], data.depths.map(([depth, number]) => [String(depth), count(number)]), [0, 1]),
  });
}

function scored() {
  if (!data.scores.length) return;
  by("scores").hidden = by("to-scores").hidden = false;
  const small = (p) => (p === undefined ? "–" : p < 0.0001 ? "< 0.0001" : p.toPrecision(2));
  const rows = data.scores.map((score) => [
    said(score.test), said(score.train_set), said(score.model), String(score.seed), count(score.train_rows || 0),
    percent(score.accuracy) + (score.constant ? " =" : "") + (score.leaked ? " L" : ""),
    `${(100 * score.low).toFixed(1)}–${(100 * score.high).toFixed(1)}`, count(score.n), percent(score.majority), score.macro_f1.toFixed(3),
    score.train_set === "human" ? "" : small(score.p),
  ]);
  by("scores-body").append(el("div", { className: "card" },
    el("p", {}, "Accuracy with its Wilson 95 % interval over the n test rows, beside the share of the commonest answer "
      + "(majority) of the same test set. p: exact McNemar test against the model trained on human rows. "
      + "“=” scores as a constant answer does. “L” test rows were found among the training rows."),
    table(["test set", "trained on", "model", "seed", "training rows", "accuracy", "95 %", "n", "majority", "macro F1", "p"],
      rows, [3, 4, 5, 6, 7, 8, 9, 10])));
}

function how() {
  const names = {
    method: "Method", strategy: "Strategy", model: "Model", num_examples: method ? "Seeds asked for in a context" : "Rows asked for in a call",
    contexts: "Contexts in a round", chains: "Chains", shown: "Examples that a call shows", min_words: "Fewest words of a row's longest field", temperature: "Temperature", top_p: "Top p", seed: "Seed",
    embedding_model: "Embedding model",
  };
  const left = method ? ["strategy", ...(identity.strategy === "targen" ? [] : ["num_examples"])] : [];
  const shown = Object.entries(names).filter(([name]) => name in identity && !left.includes(name));
  const settings = listed(shown.map(([name, label]) => [label, name === "method" && method ? method : String(identity[name])]));
  if (identity.balance) settings.append(el("dt", {}, "Label of a call"), el("dd", {}, "the one that is short"));
  settings.append(el("dt", {}, "Run"), el("dd", {}, data.run));
  const inWords = identity.guide ? el("div", { className: "card" }, el("h3", {}, "The task in words"), ...guided(identity.guide)) : null;
  const example = data.seed ? el("div", { className: "card" }, el("h3", {}, data.seeds ? "The first formatting example" : "The formatting example"),
    fields(data.seed.inputs, data.seed.options, data.seed.answer)) : null;
  by("how-body").append(el("div", { className: "grid" }, ...[
    el("div", { className: "card" }, el("h3", {}, "Settings"), settings),
    example, inWords,
    data.checks.length ? el("div", { className: "card" }, el("h3", {}, "Checks before a row is kept"), listed(data.checks)) : null,
    drawnCard(),
    el("div", { className: "card whole" }, el("h3", {}, "The instruction"), said(identity.instruction, "pre")),
  ].filter(Boolean)));
  by("made-by").textContent = `Made by ${data.library}. Every figure is computed from the run's journal`
    + (data.scores.length ? " and result files." : ".");
}

// Pairs of texts; a value may be an element.
function listed(pairs) {
  return el("dl", { className: "fields" }, ...pairs.flatMap(([name, value]) => [
    el("dt", {}, said(name)), el("dd", {}, typeof value === "string" ? said(value) : value)]));
}

// What a model is told of a task in place of an example.
function guided(guide) {
  const pairs = Object.entries(guide.labels || {});
  if (identity.strategy === "targen" && guide.seed) pairs.push(["instance seeds", guide.seed]);
  if (identity.strategy !== "targen" && guide.source) pairs.push(["a row is", guide.source]);
  for (const [name, values] of Object.entries(guide.draws || {})) pairs.push([name, `drawn: ${values.join(", ")}`]);
  return [said(guide.description, "p"), pairs.length ? listed(pairs) : null].filter(Boolean);
}

// What is drawn for a turn: context and seed, or a value of each attribute.
function drawnCard() {
  const tables = data.drawn.map(([name, all, rows]) => {
    const rest = all > rows.length ? `, the commonest ${rows.length}` : "";
    return el("details", {}, el("summary", {}, said(DRAWN.get(name) || name), `: ${plural(all, "value")}${rest}`),
      table(["value", "rows"], rows.map(([value, number]) => [said(value), count(number)]), [1]));
  });
  if (!data.attributes.length && !tables.length) return null;
  return el("div", { className: "card" }, el("h3", {}, data.attributes.length ? "Attributes" : "Contexts and seeds"),
    listed(data.attributes), el("p", {}, "What was drawn for the rows that were kept:"), ...tables);
}

function fields(inputs, options, answer) {
  const list = el("dl", { className: "fields" });
  task.inputs.forEach((name, at) => list.append(el("dt", {}, said(name)), el("dd", {}, said(inputs[at]))));
  if (task.labels) {
    list.append(el("dt", {}, said(task.answer)), el("dd", {}, said(options[answer])));
    return list;
  }
  const shown = options.map((option, at) => (at === answer
    ? el("li", { className: "right" }, said(option), " ✓", el("span", { className: "muted small" }, " right"))
    : el("li", {}, said(option))));
  list.append(el("dt", {}, said(task.options)), el("dd", {}, el("ul", { className: "options" }, ...shown)));
  return list;
}
