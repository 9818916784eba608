"""The report: what stands in the file, and what the file does in a real browser.

`GOLDEN=write pytest tests/reports/test_report.py` writes the golden file anew: look at the difference first.
The browser is the system's Chromium (`apt-get install chromium`); without one, those tests skip.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from llm_created import Identity, Journal, Row, StoppedShort, Task, UsageError
from llm_created.analysis import measures
from llm_created.analysis.agreement import judged_tables
from llm_created.analysis.funnel import funnel
from llm_created.checks.judge import Judge
from llm_created.cli.main import main
from llm_created.clients.base import Reply, Request, ScriptedClient, Usage
from llm_created.clients.demo.client import DemoClient
from llm_created.clients.prices import Price
from llm_created.creation.loop import create
from llm_created.evaluation import results, run_scores
from llm_created.evaluation.scores import score
from llm_created.prompts.examples import instruction
from llm_created.reports import html_read
from llm_created.reports.html import parts
from llm_created.reports.html_data import Doubted
from llm_created.reports.html_read import script
from llm_created.runs.folders import run_folder
from llm_created.runs.kept import kept_rows
from llm_created.tasks.guide import Guide
from llm_created.utils.console import harmless

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "report.json"
EXAMPLE = {"question": "Where is bread sold?", "options": ["bakery", "bank", "zoo"], "answer": "bakery"}
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    "line\u2028separator\u2029paragraph",
    "right \u202eto left \u2066and back",
    "{{script}} {{data}} javascript:alert(3) https://example.com/x.js",
    "'\"><svg onload=alert(4)>&lt;b&gt;",
)
REORDERING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Scripted:
    """Answers call after call from a list; after its end, with rows that are new each time."""

    def __init__(self, *replies: Reply | str) -> None:
        self.replies, self.made = list(replies), 0

    async def complete(self, request: Request) -> Reply:
        if self.replies:
            reply = self.replies.pop(0)
            return reply if isinstance(reply, Reply) else Reply(reply, Usage(100, 50, False))
        return Reply("\n".join(self.row() for _ in range(5)), Usage(100, 50, False))

    def row(self) -> str:
        self.made += 1
        return piece(f"Question {self.made} is new?", [f"right {self.made}", "wrong", "neither"])


def piece(question: str, options: list[str] | None = None, **more: Any) -> str:
    options = options or ["one", "two", "three"]
    return json.dumps({"question": question, "options": options, "answer": options[0]} | more)


def run(
    client: Any, num_rows: int, example: Mapping[str, Any] = EXAMPLE, price: Price | None = None, **of: Any
) -> Path:
    """A run in the cache; the folder of its journal."""
    name = of.pop("name", "bread")
    task = Task.from_example(example, label_space="variable", name="bread")
    identity = Identity(task=task, example=example, model=of.pop("model", "scripted"), instruction="Write more.", **of)
    return fill(identity, client, num_rows, {"task": task.to_json() | {"name": name}, "price": price})


def fill(identity: Identity, client: Any, num_rows: int, header: Mapping[str, Any], **checks: Any) -> Path:
    """The run of an identity; `header` is what its journal is told beside."""

    async def go(journal: Journal) -> None:
        rows = create(identity, client, journal, num_rows, concurrency=1, patience=3, **checks)
        with suppress(StoppedShort):
            async for _ in rows:
                pass

    with Journal(run_folder(identity.digest), identity.as_json) as journal:
        header = {"task": identity.task.to_json(), "target": num_rows, **header}
        for key, value in header.items():
            journal.set(key, value)
        # In a thread: Playwright has a loop of its own in this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, go(journal)).result()
    return run_folder(identity.digest)


def page_of(folder: Path, **of: Any) -> str:
    with Journal(folder) as journal:
        return "".join(parts(journal, Task.from_json(journal.get("task")), **of))


def block(text: str, name: str) -> Any:
    """The data in one of the page's JSON elements."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


class Elements(HTMLParser):
    """The elements of a page as a parser sees them: names, attributes, and the texts of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside = tag if tag in self.texts else ""
        if self.inside:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[self.inside][-1] += data


FIXED = (
    "\n".join(
        [
            piece("Where is meat sold?", ["butcher", "bank", "zoo"]),
            piece("Where is bread sold? ", ["bank", "zoo", "bakery"]),
        ]
    ),
    Reply("I cannot help with that.", Usage(90, 7, False), reason="refusal"),
    piece("Where is fish sold?", ["harbour", "a bank", "the zoo"])
    + "\n"
    + piece("Where is it?", ["one", "one"])
    + '\n{"question": "cut',
    piece("Where is a lion seen?", ["zoo", "bank", "a bakery"])
    + "\n"
    + piece("Where is a lion seen?", ["zoo", "bank", "a bakery"]),
    piece("Where is money kept?", ["bank", "zoo", "bakery"], answer="nowhere")
    + "\n"
    + piece("Where is tea grown?", ["hill", "sea", "ice"]),
)


@pytest.fixture
def fixed() -> Path:
    """A small run, always the same, with something of everything."""
    return run(Scripted(*FIXED), 4, price=Price(1.0, 2.0, "a test"))


@pytest.fixture
def hostile() -> Path:
    rows = [piece(text, [f"{text} right", "second", "third"]) for text in HOSTILE]
    bad = [piece(text, ["same", "same"]) for text in HOSTILE]
    return run(Scripted("\n".join(rows), "\n".join(bad), *HOSTILE), 20, name=HOSTILE[0], model=HOSTILE[1])


LABELS = ("bakery", "</script><b>zoo", "bank")
GUIDE = Guide(
    "Where it is <b>sold</b>.",
    labels=dict.fromkeys(LABELS, f"{HOSTILE[0]} is meant"),
    seed=HOSTILE[1],
    source="a <i>row",
)


def told(task: Task, refused: str = "no list") -> ScriptedClient:
    """Answers what any method asks about a task, in texts that want to be more; every third label is judged otherwise.

    Args:
        task: what a row of it is like.
        refused: lists whose prompt holds this are refused.
    """
    made = iter(range(10**6))

    def answer(request: Request) -> str:
        system, user = request.messages[0]["content"], request.messages[-1]["content"]
        if '{"items": [' in system:
            return (
                "I'm sorry, I cannot help with that."
                if refused in user
                else "\n".join(f"{at}. {text}" for at, text in enumerate(HOSTILE, 1))
            )
        if "without its answer" in system or "Recheck" in system:
            row = json.loads(user)
            number, right = row["text"].split("#")[1:3]
            options = sorted(row["options"])
            at = (options.index(right) + (int(number) % 3 == 0)) % len(options)
            return json.dumps({"explanation": f"{HOSTILE[4]} because of {number}", "answer": options[at]})
        number = next(made)
        wanted = re.search(r'"answer" \*\*must\*\* be (".*")\.', user)
        options = list(task.labels or (f"one {number}", f"two {number}", f"three {number}"))
        label = json.loads(wanted[1]) if wanted else options[number % len(options)]
        text = f"{HOSTILE[number % len(HOSTILE)]} #{number}#{label}#"
        return json.dumps({"text": text, "options": options, "answer": label})

    return ScriptedClient(answer)


def of_method(
    strategy: str, task: Task | None = None, num_rows: int = 30, refused: str = "no list", **of: Any
) -> Path:
    """A run of a method whose labels are rechecked and changed, and then voted on."""
    task = task or Task("told", ("text",), labels=LABELS)
    checks = of.pop("checks", {"self_correct": "relabel", "verify": 3, "verify_rule": "keep"})
    judges = [
        Judge(task, kind, 3 if kind == "verify" else 1, checks["verify_rule" if kind == "verify" else kind])
        for kind in ("self_correct", "verify")
        if kind in checks
    ]
    example = None
    if strategy == "tree":
        example = {"text": "An example.", "options": list(LABELS), "answer": LABELS[0]}
    else:
        of |= {"guide": GUIDE if task.labels else Guide("A thing.")}
    identity = Identity(task, example, "m", "Write one.", strategy, **of)
    balance = bool(checks.get("balance"))
    return fill(identity, told(task, refused), num_rows, {"emission": checks}, judges=judges, balance=balance)


def test_a_run_without_an_example_says_how_it_was_made() -> None:
    made = block(page_of(of_method("targen", contexts=3)), "data")
    assert (
        made["seed"] is None and made["drift"] == [] and made["identity"]["guide"]["description"] == GUIDE.description
    )
    assert [name for name, _ in made["checks"]] == ["self-correction", "verification"]
    drawn = [made["turns"][row[0]][3] for row in made["rows"]]
    assert len(drawn) == 30 and {frozenset(one) for one in drawn} == {frozenset(("context", "seed"))}
    assert len({one["context"] for one in drawn}) > 1
    attributes = {"tone": ["calm", "angry"], "k": "a kind", "l": {"per_label": "a place"}}
    made = block(page_of(of_method("attrprompt", attributes=attributes, checks={})), "data")
    assert made["checks"] == made["judged"] == [] and made["verdicts"] == {}
    assert made["attributes"] == [
        ["tone", "calm, angry"],
        ["k", "values that the model named: a kind"],
        ["l", "values for each label that the model named: a place"],
    ]


@pytest.mark.parametrize("labels", [LABELS, None])
def test_what_judges_said_is_with_the_row_that_they_said_it_of(labels: tuple[str, ...] | None) -> None:
    task = Task("told", ("text",), labels=labels)
    folder = of_method("targen", task, contexts=3)
    text = page_of(folder)
    made, replies = block(text, "data"), block(text, "replies")
    with Journal(folder) as journal:
        tables = judged_tables(journal, task)
        assert made["judged"] == [one.plain() for one in tables]
    assert all(one["said"] in (table.said() for table in tables) for one in made["judged"])
    changed = 0
    for at, row_id, answer, inputs, *options in made["rows"]:
        first, second = made["verdicts"][row_id]
        number, given = inputs[0].split("#")[1:3]
        final = (options[0] if options else labels)[answer]
        # The texts of the answers, in whatever order another answer puts the options.
        assert first[0] == "self-correction" and first[1] == given == json.loads(replies[at])["answer"]
        assert (first[2], first[4]) == (final, final != given) and first[5].endswith(f"because of {number}")
        assert second[:2] == ["verification", final] and sum(votes for _, votes in second[3]) == 3 and not second[4]
        assert second[4] is False
        changed += final != given
    assert changed == len(made["rows"]) / 3
    if labels:
        first = made["judged"][0]
        assert sum(map(sum, first["counts"])) == first["n"] + first["undecided"] >= len(made["rows"])


def test_rows_that_a_judge_dropped_say_why() -> None:
    made = block(page_of(of_method("simprompt", checks={"self_correct": "drop"})), "data")
    dropped = [piece for piece in made["rejected"] if piece[1] == "self_correct"]
    assert dropped and all(made["verdicts"][piece[4]][0][1:3] for piece in dropped)
    assert all(made["verdicts"][piece[4]][0][1] != made["verdicts"][piece[4]][0][2] for piece in dropped)


def test_balance_puts_rows_in_another_order_than_their_turns() -> None:
    folder = of_method("tree", checks={"balance": "hold"}, num_rows=40, num_examples=1)
    text = page_of(folder)
    made, replies = block(text, "data"), block(text, "replies")
    with Journal(folder) as journal:
        rows = list(kept_rows(journal, Task.from_json(journal.get("task"))))
        assert [row[1] for row in made["rows"]] == [row.id for row in rows]
    # Each has its own reply, wherever it came in between.
    assert all(json.loads(replies[at])["text"] == inputs[0] for at, _, _, inputs in made["rows"])
    assert dict(made["balance"]) == {"bakery": 14, LABELS[1]: 13, "bank": 13}


def test_data_is_as_golden(fixed: Path) -> None:
    text = page_of(fixed)
    made = block(text, "data") | {"replies": block(text, "replies")}
    # What differs from day to day, and from version to version.
    assert set(made.pop("time")) == {"created", "busy", "median_reply"}
    assert made.pop("library").startswith("llm-created ")
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", "utf-8")
    assert made == json.loads(GOLDEN.read_text("utf-8"))


def test_numbers_are_the_funnel_s(fixed: Path) -> None:
    made = block(page_of(fixed), "data")
    with Journal(fixed) as journal:
        count, rows = funnel(journal), list(kept_rows(journal, Task.from_json(journal.get("task"))))
    assert dict(made["funnel"]) == {name: getattr(count, name) for name, _ in made["funnel"]}
    assert dict(made["reasons"]) == count.reasons and sum(count.reasons.values()) == len(made["rejected"])
    assert made["cost"]["calls"] == 5 and made["cost"]["dollars"] == pytest.approx((490 * 1 + 207 * 2) / 1e6)
    assert [row[1] for row in made["rows"]] == [row.id for row in rows] and len(rows) == count.kept == 4
    assert [[made["turns"][row[0]][1], made["turns"][row[0]][2]] for row in made["rows"]] == [
        [row.parent_id, row.depth] for row in rows
    ]


def test_page_is_one_file_that_asks_for_nothing(fixed: Path) -> None:
    elements = Elements(page_of(fixed))
    for tag, attributes in elements.found:
        assert not {"src", "srcset", "action", "style", "background", "poster"}.intersection(attributes), tag
        assert attributes.get("href", "#")[:1] == "#" or attributes["href"] == "data:,"
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"@import|url\(", elements.texts["style"][0])


def test_policy_allows_the_page_s_own_scripts_alone(fixed: Path) -> None:
    elements = Elements(page_of(fixed))
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in str(policy).split("; "))
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in elements.texts["script"]
    ]
    assert len(hashes) == 4  # two blocks of data, the library, the page's own
    assert rules["script-src"].split() == hashes[2:] and rules["default-src"] == "'none'"
    assert "unsafe" not in str(policy) and "http:" not in str(policy) and "*" not in str(policy)


def test_hostile_text_stays_data(hostile: Path) -> None:
    text = page_of(hostile)
    elements, made = Elements(text), block(text, "data")
    assert [tag for tag, _ in elements.found].count("script") == 4
    assert not [tag for tag, _ in elements.found if tag in ("img", "svg", "b")]
    for kind in ("data", "replies"):
        raw = elements.texts["script"][("data", "replies").index(kind)]
        assert not re.search("[<>&\u2028\u2029]", raw)
    shown = {row[3][0] for row in made["rows"]}
    assert shown == set(HOSTILE)
    assert made["task"]["name"] == HOSTILE[0] and made["identity"]["model"] == HOSTILE[1]
    assert {"wrong_options", "not_json"} <= dict(made["reasons"]).keys()


def test_json_in_a_script_survives_the_way_there_and_back() -> None:
    value = [*HOSTILE, "\x00\r\n\\u003c", {"</script>": "&amp;"}]
    assert json.loads(script(value)) == value
    assert not re.search("[<>&\u2028\u2029]", script(value))


def test_a_lone_surrogate_in_a_rejected_piece_can_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(Scripted('{"question": "\\ud800 half", "options": ["a", "a"], "answer": "a"}'), 5)
    assert main(["report", str(folder), "--out", str(tmp_path / "r.html")]) == 0
    assert " half" in block((tmp_path / "r.html").read_text("utf-8"), "data")["rejected"][0][3]


def test_command_says_where_and_how_large(fixed: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", fixed.name[:8]]) == 0
    out = capsys.readouterr()
    assert out.out == f"report-bread-tree-{fixed.name[:8]}.html  0.3 MB\n" and not out.err
    assert main(["report", fixed.name[:8], "--out", "sub/r.html"]) == 0
    assert main(["report", fixed.name[:8], "--out", "sub/r.html"]) == 0  # a report takes a report's place
    assert sorted(path.name for path in (tmp_path / "sub").iterdir()) == ["r.html"]


@pytest.mark.parametrize("name", ["there.html", "folder/../there.html"])
def test_another_file_is_not_overwritten(fixed: Path, tmp_path: Path, name: str, capsys: Any) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "there.html").write_text("<title>my thesis</title>")
    assert main(["report", str(fixed), "--out", str(tmp_path / name)]) == 2
    assert "is no report: give another name" in capsys.readouterr().err
    assert (tmp_path / "there.html").read_text() == "<title>my thesis</title>"


def test_a_folder_that_cannot_be_written_is_one_line(fixed: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("")
    assert main(["report", str(fixed), "--out", str(tmp_path / "file" / "r.html")]) == 1
    assert capsys.readouterr().err.startswith("error: cannot write ")
    assert main(["report", "no-such-run"]) == 2


def test_a_run_without_rows_has_a_report(tmp_path: Path) -> None:
    folder = run(Scripted(*["nothing here"] * 3), 5)
    made = block(page_of(folder), "data")
    assert made["rows"] == made["drift"] == made["lengths"] == made["balance"] == [] and made["longest"] is None
    assert len(made["rejected"]) == 3


def results_of(root: Path, digest: str) -> None:
    """Two models: one trained on the run, one on human rows, on the same test rows."""
    answers = [0, 1] * 50
    for train_set, seed, wrong in (("tree", 1, 30), ("human", 1, 10), ("tree", 2, 0), ("random", 1, 3)):
        predictions = [1 - answer if at < wrong else answer for at, answer in enumerate(answers)]
        rows = [Row(("q",), ("a", "b"), answer, f"{at:016x}", at) for at, answer in enumerate(answers)]
        path = results.path(root, "bread", train_set, "bert", "42", seed)
        name = results.write_predictions(path, "bread:test", rows, predictions)
        sources = [{"run": digest if train_set == "tree" else None}]
        entry = score(predictions, answers).to_json() | {"predictions": name, "distribution": "in", "train_rows": 900}
        about = {"task": "bread", "train_set": train_set, "model": "bert", "creation_seed": "42", "seed": seed}
        results.write(path, about | {"train": {"rows": 1000, "sources": sources}, "scores": {"bread:test": entry}})


def test_scores_are_those_of_the_run_beside_human_ones(
    fixed: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    results_of(tmp_path / "results", fixed.name)
    lines = run_scores.score_lines(str(tmp_path / "results"), fixed.name)
    assert [(line["train_set"], line["seed"], line["accuracy"]) for line in lines] == [
        ("tree", 1, 0.7), ("human", 1, 0.9), ("tree", 2, 1.0),
    ]  # fmt: skip
    assert lines[0]["p"] == pytest.approx(2 * 0.5**20) and "p" not in lines[2] and lines[0]["train_rows"] == 900
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(fixed), "--out", "r.html"]) == 0
    assert block(Path("r.html").read_text("utf-8"), "data")["scores"] == lines
    (tmp_path / "results" / "broken.json").write_text("{")
    assert main(["report", str(fixed), "--out", "r.html"]) == 0  # nobody asked for them
    assert "no scores in the report" in capsys.readouterr().err
    assert main(["report", str(fixed), "--out", "r.html", "--results", "results"]) == 2


def row(*inputs: str, depth: int = 1, parent: str = "", **of: Any) -> Row:
    return Row(inputs, of.get("options", ("a", "b")), of.get("answer", 0), of.get("id", inputs[0]), 0, parent, depth)


def test_likeness_is_that_of_texts_by_depth() -> None:
    seed = row("abcdef", id="seed", depth=0)
    one, two = row("abcdef", parent="seed"), row("uvwxyz", parent="abcdef", depth=2)
    made = measures.likeness([seed], [one, two], {"abcdef": one}, {"uvwxyz": 0.25})
    assert made == [
        measures.Likeness(1, 1, 1.0, 1.0, 1.0, 1.0, None),
        measures.Likeness(2, 1, 0.0, 0.0, 0.0, 0.0, 0.25),
    ]
    assert measures.likeness([seed], [row("")], {}, {})[0].median == 0.0


def test_lengths_hold_every_row_and_one_that_ran_away() -> None:
    task = Task.from_example(EXAMPLE, label_space="variable")
    rows = [row("x" * (10 + at % 30)) for at in range(1000)] + [row("x" * 9000)]
    made = measures.lengths(task, rows)
    assert [one.field for one in made] == ["question", "options"]
    assert sum(made[0].counts) == 1001 and made[0].most == 9000 and len(made[0].counts) <= 25
    assert made[0].start + made[0].width * len(made[0].counts) < 60
    assert sum(made[1].counts) == made[1].n == 2002


def longest(rows: list[Row]) -> tuple[float, float]:
    spread = measures.Spread(Task.from_example(EXAMPLE, label_space="variable"))
    for one in rows:
        spread.add(one)
    return spread.longest()


def test_longest_option_is_held_against_chance() -> None:
    rows = [row("q", options=("long one", "b", "c"), answer=0), row("q", options=("long one", "b"), answer=1)]
    assert longest(rows) == (0.5, 0.4167)
    assert longest([row("q", options=("a", "b"))]) == (0.0, 0.0)


# ---- In a browser ------------------------------------------------------------------------------------------

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
MOSTLY = ["desktop", pytest.param("phone", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium; everything that needs it skips where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        yield made
        made.close()


class Watched:
    """A page from disk, with everything that it must not do on record."""

    def __init__(self, browser: Any, path: Path, width: str = "desktop", scheme: str = "light") -> None:
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        self.context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=width == "phone")
        self.page = self.context.new_page()
        self.noticed: list[str] = []
        self.page.on("console", lambda message: self.noticed.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.noticed.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.noticed.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.noticed.append(f"request: {request.url}"))
        self.url = path.resolve().as_uri()
        self.page.goto(self.url)
        self.page.wait_for_selector("#rows-list")

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, kind: object, *rest: object) -> None:
        self.context.close()
        if kind is None:
            assert self.noticed == [f"request: {self.url}"]


def written(folder: Path, path: Path, **of: Any) -> Path:
    path.write_text(page_of(folder, **of), "utf-8", newline="\n")
    return path


def test_labels_that_are_likely_wrong_are_found_in_the_list(browser: Any, fixed: Path, tmp_path: Path) -> None:
    with Journal(fixed) as journal:
        row = next(kept_rows(journal, Task.from_json(journal.get("task"))))
    doubted = Doubted({row.id: ("<b>not</b>", 0.0812, 0.9)}, 1, 4, "hashed words")
    with Watched(browser, written(fixed, tmp_path / "r.html", doubted=doubted)) as page:
        assert "doubts the labels of 1 of 4 rows" in page.locator("#judged").inner_text()
        rows = page.locator("#rows-list .item")
        page.get_by_label("Order").first.select_option("likeliest wrong first")
        assert "rather <b>not</b>" in rows.first.inner_text()
        page.get_by_label("Likely wrong").select_option("doubted (1)")
        assert rows.count() == 1
        rows.first.click()
        assert "rather says <b>not</b>: 0.90 against 0.08" in page.locator("#detail-body").inner_text()


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        ("desktop", "light"),
        ("phone", "dark"),
        pytest.param("desktop", "dark", marks=pytest.mark.slow),
        pytest.param("phone", "light", marks=pytest.mark.slow),
    ],
)
def test_opened_searched_and_filtered(browser: Any, fixed: Path, tmp_path: Path, width: str, scheme: str) -> None:
    results_of(tmp_path / "results", fixed.name)
    scores = run_scores.score_lines(str(tmp_path / "results"), fixed.name)
    with Watched(browser, written(fixed, tmp_path / "r.html", scores=scores), width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]
        rows, count = page.locator("#rows-list .item"), page.locator("#rows-browser [role=status]")
        assert rows.count() == 4 and count.inner_text() == "4 rows"
        page.get_by_label("Search").first.fill('LION "is a"')
        assert rows.count() == 1 and count.inner_text() == "1 of 4 rows"
        assert page.locator("#rows-list mark").all_inner_texts() == ["is a", "lion"]
        page.get_by_label("Search").first.fill("")
        page.locator("#rows-browser select").nth(1).select_option("2")
        assert count.inner_text() == "1 of 4 rows" and "depth 2" in rows.inner_text()
        reasons = page.locator("#made details").nth(1)
        reasons.locator("summary").click()
        reasons.get_by_role("button", name="show duplicate").click()
        assert page.locator("#rejected-list .item").count() == 2
        assert page.locator("#rejected-list .reason").all_inner_texts() == ["duplicate", "duplicate"]
        assert page.locator("#scores tbody tr").count() == 3 and page.locator("canvas").count() >= 6
        painted = page.evaluate("[...document.querySelectorAll('canvas')].every((one) => one.width > 200)")
        assert painted


def test_several_examples_and_what_is_no_input_are_shown(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "cache"))
    told = [{"text": f"A text <b>of mine</b> {at}.", "label": "ab"[at], "why": f"because {at}"} for at in range(2)]
    task = Task("mine", ("text",), "label", labels=("a", "b"), aside=("why",))
    made = Identity(task, told[0], "demo", instruction(task, 5), more_examples=told[1:])
    folder = fill(made, DemoClient(), 10, {"task": task.to_json()})
    with Watched(browser, written(folder, tmp_path / "r.html")) as page:
        assert "from 2 formatting examples" in page.locator("#subtitle").inner_text()
        page.locator("#rows-list").focus()
        for key in ("Home", "Enter"):
            page.keyboard.press(key)
        names = page.locator("#detail-body dt").all_inner_texts()
        assert "why" in names and names.index("why") > names.index("text")
        assert "a formatting example: A text <b>of mine</b>" in page.locator("#detail-body").inner_text()


def test_one_row_shows_its_parent_and_its_reply(browser: Any, fixed: Path, tmp_path: Path) -> None:
    with Watched(browser, written(fixed, tmp_path / "r.html")) as page:
        made = block(page.content(), "data")
        child = next(at for at, one in enumerate(made["rows"]) if made["turns"][one[0]][2] == 2)
        page.locator("#rows-list").focus()
        for key in ("Home", *["ArrowDown"] * child, "Enter"):
            page.keyboard.press(key)
        body = page.locator("#detail-body")
        assert page.locator("#detail-title").inner_text() == f"Row {child + 1}"
        assert body.locator("pre").inner_text() == block(page.content(), "replies")[made["rows"][child][0]]
        body.locator("dd button").click()  # to its parent
        parent = made["turns"][made["rows"][child][0]][1]
        assert parent in body.inner_text() and "the formatting example" in body.inner_text()
        page.locator("#detail-back").click()
        assert page.locator("#detail-title").inner_text() == f"Row {child + 1}"
        page.keyboard.press("Escape")
        assert not page.locator("#detail").is_visible()
        assert page.evaluate("document.activeElement.id") == "rows-list"


@pytest.mark.parametrize("width", MOSTLY)
def test_hostile_text_is_shown_as_text_and_runs_nothing(
    browser: Any, hostile: Path, tmp_path: Path, width: str
) -> None:
    with Watched(browser, written(hostile, tmp_path / "r.html"), width) as page:
        for name, pieces in (("rows", 20), ("rejected", 8)):
            items = page.locator(f"#{name}-list .item")
            for at in range(min(items.count(), pieces)):
                items.nth(at).click()
                assert page.locator("#detail").is_visible()
                page.locator("#detail-close").click()
        page.get_by_label("Search").first.fill("onerror=alert(1)")
        assert page.locator("#rows-list .text").first.inner_text() == HOSTILE[0]
        assert HOSTILE[0] in page.locator("h1").inner_text() and HOSTILE[0] in page.title()
        assert page.locator("main img, main svg, main script, h1 script").count() == 0


@pytest.mark.parametrize("width", MOSTLY)
def test_a_method_s_run_is_shown_without_an_example(browser: Any, tmp_path: Path, width: str) -> None:
    folder = of_method("targen", contexts=3, refused=f"Context: {HOSTILE[2]}")
    text = page_of(folder)
    made = block(text, "data")
    with Watched(browser, written(folder, tmp_path / "r.html"), width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]
        assert page.locator("#subtitle").inner_text().startswith("30 rows by TarGEN · ")
        assert not page.locator("#drifted").is_visible() and not page.locator("#to-drifted").is_visible()
        how = page.locator("#how").inner_text()
        assert GUIDE.description in how and HOSTILE[0] in how and "3 blind votes on the answer" in how
        assert "The formatting example" not in how and "Seeds asked for in a context" in how
        # Labels given against judged: each cell that is not zero, and the sentence with n and interval.
        tables = page.locator("#judged .matrix")
        assert tables.count() == 2 and page.locator("#to-judged").is_visible()
        for at, one in enumerate(made["judged"]):
            cells = [int(cell) for cell in tables.nth(at).locator("td.same, td.other").all_inner_texts()]
            assert (
                sum(cells) == one["n"] + one["undecided"]
                and one["said"][1:] in page.locator("#judged .card").nth(at).inner_text()
            )
        # A row whose label was changed: what was drawn, what was said, all as text.
        select = page.locator("#rows-browser label", has_text="Label check").locator("select")
        select.select_option("changed")
        others = [row for row in made["rows"] if any(said[4] for said in made["verdicts"][row[1]])]
        changed = len(others)
        assert page.locator("#rows-browser [role=status]").inner_text() == f"{changed} of 30 rows"
        page.locator("#rows-list .item").first.click()
        row = others[0]
        drawn, verdicts = made["turns"][row[0]][3], made["verdicts"][row[1]]
        shown = page.locator("#detail-body").inner_text()
        assert f"given {verdicts[0][1]}, judged {verdicts[0][2]} (changed)" in shown
        for text in (drawn["context"], drawn["seed"], verdicts[0][5]):
            assert " ".join(harmless(text).split()) in " ".join(shown.split())
        assert not REORDERING.search(shown)
        assert "made from" not in shown and "instance seed" in shown and "votes: " in shown
        page.locator("#detail-close").click()
        # A list that did not come.
        assert page.locator("#rejected-list .item").count() == len(made["rejected"]) > 0
        page.locator("#rejected-list .item").first.click()
        shown = page.locator("#detail-body").inner_text()
        assert made["rejected"][0][1] in shown and "cannot help" in shown and HOSTILE[2] in shown
        page.locator("#detail-close").click()
        assert page.locator("main img, main svg, main script, main b, main i").count() == 0


@pytest.mark.parametrize("width", MOSTLY)
def test_attributes_are_shown_and_filtered_by(browser: Any, tmp_path: Path, width: str) -> None:
    attributes = {HOSTILE[0]: ["calm", HOSTILE[1]], "place": {label: ["here", "there"] for label in LABELS}}
    folder = of_method("tree", attributes=attributes, checks={}, num_examples=1)
    made = block(page_of(folder), "data")
    with Watched(browser, written(folder, tmp_path / "r.html"), width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]
        assert not page.locator("#judged").is_visible() and page.locator("#drifted").is_visible()
        select = page.locator("#rows-browser label", has_text="Drawn").locator("select")
        expected = sum(made["turns"][row[0]][3][HOSTILE[0]] == HOSTILE[1] for row in made["rows"])
        select.select_option(json.dumps([HOSTILE[0], HOSTILE[1]], ensure_ascii=False, separators=(",", ":")))
        assert 0 < expected < 30
        assert page.locator("#rows-browser [role=status]").inner_text() == f"{expected} of 30 rows"
        page.locator("#rows-list .item").first.click()
        shown = page.locator("#detail-body").inner_text()
        # Values for each label, all of them; and where the row is from.
        assert all(f"{label}: " in shown for label in LABELS) and HOSTILE[1] in shown and "made from" in shown
        assert page.locator("main img, main svg, main script, dialog img, dialog script").count() == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_many_labels_scroll_inside_their_table(browser: Any, tmp_path: Path, width: str) -> None:
    task = Task("told", ("text",), labels=tuple(f"a label with the number {at}" for at in range(26)))
    checks = {"self_correct": "keep"}
    folder = of_method("simprompt", task, num_rows=60, checks=checks, refused="x")
    with Watched(browser, written(folder, tmp_path / "r.html"), width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]
        table = page.locator("#judged .matrix")
        assert table.locator("tbody tr").count() == 26 and table.locator("thead th").count() == 27
        box = page.locator("#judged .scroll").bounding_box()
        assert box and box["width"] <= WIDTHS[width][0] and box["height"] < WIDTHS[width][1]
        assert page.locator("#judged details li").first.is_visible()
        doubted = page.locator("#rows-browser label", has_text="Label check").locator("select")
        doubted.select_option("doubted")
        assert page.locator("#rows-browser [role=status]").inner_text() == "20 of 60 rows"


@pytest.mark.parametrize("width", MOSTLY)
@pytest.mark.parametrize("number", [77, pytest.param(230, marks=pytest.mark.slow)])
def test_every_label_has_its_bar_or_is_counted(browser: Any, tmp_path: Path, width: str, number: int) -> None:
    task = Task(
        "told",
        ("text",),
        labels=tuple(f"a question of a customer that is about card number {at}" for at in range(number)),
    )
    folder = of_method("simprompt", task, num_rows=number, checks={}, refused="x")
    made = block(page_of(folder), "data")
    with Watched(browser, written(folder, tmp_path / "r.html"), width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]
        card = page.locator("#spread .card").first
        names = page.evaluate(
            "charts.find((one) => one.canvas.ariaLabel.includes('about card')).scales.y.ticks.map((one) => one.label)"
        )
        # Labels that begin alike are told apart.
        assert len(names) == min(number, 200) == len(set(names)) and all(len(name) <= 32 for name in names)
        box, chart = card.locator(".scroll").first.bounding_box(), card.locator("canvas").bounding_box()
        assert box and chart and box["height"] < WIDTHS[width][1] < chart["height"] >= 24 * len(names)
        left = sum(sorted(rows for _, rows in made["balance"])[: number - len(names)])
        said = f"Drawn are the 200 commonest; 30 more have {left} together"
        assert (said in card.inner_text()) == (number == 230)
        card.locator("summary").click()
        assert card.locator("tbody tr").count() == number


def test_a_page_that_does_not_hold_all_says_so(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_read, "ROOM", 6_000)
    monkeypatch.setattr(html_read, "CUT", 12)
    folder = run(Scripted(), 100, num_examples=5)
    made = block(page_of(folder), "data")
    here = len(made["rows"])
    assert 10 < here < 90
    with Watched(browser, written(folder, tmp_path / "r.html")) as page:
        assert page.locator("#tiles dd").first.inner_text() == "100"
        said = page.locator("#rows-browser .count").inner_text()
        assert (
            f"{here} of 100 rows are here, drawn by hash; the figures are of all. Texts are cut after 12 char" in said
        )
        numbers = [number + 1 for number in made["numbers"]]
        page.locator("#rows-list .item").first.click()
        assert page.locator("#detail-title").inner_text() == f"Row {numbers[0]}"
        shown = page.locator("#detail-body").inner_text()
        assert re.search(r"Question \d+ … \(\d\d characters\)", shown)
        page.locator("#detail-close").click()
        depth = page.locator("#rows-browser label", has_text="Depth").locator("select")
        inside = [made["turns"][row[0]][2] for row in made["rows"]]
        for option in depth.locator("option").all_inner_texts()[1:]:
            name, count = option.strip(")").split(" (")
            assert inside.count(int(name)) == int(count)
        page.get_by_label("Order").first.select_option(label="longest first")
        sizes = dict(zip(numbers, made["sizes"], strict=True))
        first = int(page.locator("#rows-list .at").first.inner_text())
        assert sizes[first] == max(made["sizes"])


def test_policy_stops_what_a_mistake_would_run(browser: Any, fixed: Path, tmp_path: Path) -> None:
    """The page as it would be if a text had come through unescaped: no script runs, and a server hears nothing."""
    heard: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_error(404)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    Thread(target=server.serve_forever, daemon=True).start()
    there = f"http://127.0.0.1:{server.server_port}"
    bad = (
        f"<script>alert(1)</script><script src={there}/a.js></script><img src={there}/b.png onerror=alert(2)>"
        f"<link rel=stylesheet href={there}/c.css><iframe src={there}/d></iframe>"
        "<a id=bad href='javascript:alert(3)'>x</a>"
    )
    path = written(fixed, tmp_path / "r.html")
    path.write_text(path.read_text("utf-8").replace("</main>", f"{bad}</main>", 1), "utf-8")
    watched = Watched(browser, path)
    watched.page.locator("#bad").click()
    watched.page.wait_for_timeout(300)
    watched.context.close()
    server.shutdown()
    server.server_close()
    assert not heard and not [one for one in watched.noticed if one.startswith("dialog")]
    assert len([one for one in watched.noticed if "Content Security Policy" in one]) >= 6


def test_a_run_without_rows_opens(browser: Any, tmp_path: Path) -> None:
    folder = run(Scripted(*[""] * 3), 5, name="empty")
    with Watched(browser, written(folder, tmp_path / "r.html")) as page:
        assert "There is nothing here." in page.locator("#rows-list").inner_text()
        page.locator("#rejected-list .item").first.click()
        assert "empty_reply" in page.locator("#detail-title").inner_text()


def test_printed_in_light_colours_with_the_first_rows(browser: Any, fixed: Path, tmp_path: Path) -> None:
    with Watched(browser, written(fixed, tmp_path / "r.html"), scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        page.wait_for_selector("#rows-print tr")
        assert page.locator("#rows-print tbody tr").count() == 4
        assert not page.locator("#rows-list").is_visible() and not page.locator("nav").is_visible()
        assert page.locator("html").get_attribute("class") == "light"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf(path=tmp_path / "r.pdf", format="A4")[:4] == b"%PDF"


TIMED = """() => {
  const search = document.querySelector("#rows-browser input");
  const start = performance.now();
  search.value = '"question 199"';
  search.dispatchEvent(new Event("input"));
  void document.body.offsetHeight;
  return performance.now() - start;
}"""


@pytest.mark.slow
def test_twenty_thousand_rows_open_and_are_searched_at_once(browser: Any, tmp_path: Path, capsys: Any) -> None:
    folder = run(Scripted(), 20_000, name="large")
    began = time.perf_counter()
    path = written(folder, tmp_path / "large.html")
    wrote = time.perf_counter() - began
    began = time.perf_counter()
    watched = Watched(browser, path)
    watched.page.locator("#rows-list .item").first.wait_for()
    opened = time.perf_counter() - began
    searched = watched.page.evaluate(TIMED) / 1000
    with capsys.disabled():
        print(f"\n20,000 rows, {path.stat().st_size / 1e6:.1f} MB: written {wrote:.2f} s, open {opened:.2f} s, "
              f"search {searched:.3f} s")  # fmt: skip
    with watched as page:
        assert page.locator("#rows-browser [role=status]").inner_text() == "111 of 20,000 rows"
        assert page.locator("#rows-list .item").count() < 60
        page.get_by_label("Search").first.fill("")
        page.locator("#rows-list").focus()
        page.keyboard.press("End")
        assert page.locator("#rows-list .active .at").inner_text() == "20,000"
    assert opened < 10 and searched < 3  # ten times what is promised: other work runs on the machine


def test_results_that_are_no_results_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder of results"):
        run_scores.score_lines(str(tmp_path / "none"), "x")
