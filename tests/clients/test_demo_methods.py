"""Every method and judge runs without a key: what the demo writer answers to prompts that show no example."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from quick import slow_but

from llm_created.checks.answers import read_answer
from llm_created.checks.judge import Judge
from llm_created.cli import main as cli
from llm_created.clients.base import Request
from llm_created.clients.demo.client import DemoClient
from llm_created.creation import define
from llm_created.data.sources import Rows
from llm_created.evaluation import demo_rows
from llm_created.methods.base import Turn
from llm_created.methods.choose import strategy
from llm_created.methods.pool import Pool
from llm_created.prompts import examples as prompt
from llm_created.prompts.lists import read_list
from llm_created.runs.settings import Settings
from llm_created.tasks import builtin as tasks
from llm_created.tasks.task import Reason, Row, Task
from llm_created.utils.text import digest

METHODS = ("targen", "attrprompt", "simprompt")
WORDS = "What such a row is, in a few words."
ATTRIBUTES = {"style": ["plain", "florid", "terse"], "place": "a place where it happens"}


def created(folder: Path, *arguments: str, rows: int = 30) -> list[dict[str, Any]]:
    """The rows of `llm-created create ... --model demo`, as they stand in the file."""
    line = ["create", *arguments, "--model", "demo", "-n", str(rows), "--format", "jsonl", "--out", str(folder)]
    assert cli.main(line) == 0
    return [json.loads(text) for text in (folder / "train.jsonl").read_text("utf-8").splitlines()]


def read_back(folder: Path, records: list[dict[str, Any]]) -> tuple[Task, list[Row]]:
    task = tasks.from_example(str(folder / "task.json")).task
    rows = [task.read(record) for record in records]
    assert [row.id for row in rows if isinstance(row, Row)] == [record["id"] for record in records]
    return task, [row for row in rows if isinstance(row, Row)]


def ask(client: DemoClient, messages: Any, occurrence: int = 0) -> str:
    return asyncio.run(client.complete(Request(messages, 0, digest(messages), occurrence))).text


def needed(name: str, method: str, folder: Path) -> list[str]:
    """What the command line must be told where the task has no guide."""
    guide, more = tasks.load(name).guide, []
    if method in METHODS and guide is None:
        more += ["--description", WORDS]
    if method == "attrprompt" and not (guide and guide.attributes):
        (folder / "attributes.json").write_text(json.dumps(ATTRIBUTES), "utf-8")
        more += ["--attributes", str(folder / "attributes.json")]
    return more


EVERY = [*METHODS, "self-reference"]


# Each task once among the quick ones, with the methods in turn.
@pytest.mark.parametrize(
    ("name", "method"),
    slow_but(
        lambda name, method: EVERY[tasks.names().index(name) % len(EVERY)] == method,
        itertools.product(tasks.names(), EVERY),
    ),
)
def test_every_method_writes_rows_of_every_built_in_task(name: str, method: str, tmp_path: Path) -> None:
    more = needed(name, method, tmp_path)
    more += ["--self-correct", "off"]  # it would give some rows another label
    task, rows = read_back(tmp_path / "out", created(tmp_path / "out", name, "--method", method, *more))
    assert task == tasks.load(name).task
    assert len({row.key for row in rows}) == len({row.id for row in rows}) == 30
    told = sum(any(text.startswith("About ") for text in row.inputs) for row in rows)
    assert told >= 27 if method in ("targen", "attrprompt") else told < 10  # "About the film that Leo recommended"
    if method in METHODS and task.labels:
        share = Counter(row.answer for row in rows)
        assert max(share.values()) - min(share[label] for label in range(len(task.labels))) <= 5


@pytest.mark.parametrize(
    ("fields", "space"),
    [
        ("headline,body", ["--labels", "spam,ham"]),
        ("claim", ["--labels", "yes,no,unsure"]),
        ("premise,hypothesis", ["--labels", "neutral,entailment,contradiction"]),
        ('Ünï "feld",b', ["--labels", 'a "quoted" one,b.']),
        ("text", ["--labels", "World,Sports,Business"]),
        ("question,passage", ["--num-options", "4"]),
        ("story,ending", ["--num-options", "2"]),
        ("riddle", ["--num-options", "5"]),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_tasks_of_ones_own_in_any_fields(fields: str, space: list[str], method: str, tmp_path: Path) -> None:
    # A row that gets another label keeps its id, which then is not that of its content.
    more = ["--method", method, "--description", WORDS, "--fields", fields, *space, "--self-correct", "off"]
    if method == "attrprompt":
        (tmp_path / "attributes.json").write_text(json.dumps(ATTRIBUTES), "utf-8")
        more += ["--attributes", str(tmp_path / "attributes.json")]
    task, rows = read_back(tmp_path / "out", created(tmp_path / "out", *more))
    assert task.inputs == tuple(fields.split(",")) and len({row.key for row in rows}) == 30
    assert {len(row.options) for row in rows} == {task.num_options or len(task.labels or ())}
    assert len({row.answer for row in rows}) == len(rows[0].options)


def test_values_that_are_drawn_for_a_field_stand_in_it(tmp_path: Path) -> None:
    questions = Counter(row["question"] for row in created(tmp_path, "copa", "--method", "targen", rows=40))
    assert set(questions) == {"cause", "effect"} and min(questions.values()) > 15


def test_a_field_may_have_the_name_of_the_contexts(tmp_path: Path) -> None:
    rows = created(tmp_path, "boolq_open", "--method", "targen")
    assert len({row["context"] for row in rows}) == 30
    # A row that is given again is about nothing.
    assert sum(": " in row["context"] for row in rows) >= 28


@pytest.mark.parametrize("strategy", ["tree", "random"])
@pytest.mark.parametrize("name", ["creak", "rte", "cb", "nyt", "wic"])
def test_a_label_that_is_demanded_below_the_example_is_given(name: str, strategy: str, tmp_path: Path) -> None:
    source = tasks.load(name)
    task, labels = source.task, source.task.labels or ()
    row = task.seed_row(source.example or {})
    shown = prompt.render(task, row, prompt.instruction(task, 5, balance=True))
    client = DemoClient(faults=0)
    for label in labels[:3]:
        messages = prompt.demand(shown, task, label, {"style": "plain"})
        pieces = [piece for again in range(3) for piece in prompt.read(task, ask(client, messages, again))]
        assert {piece.options[piece.answer] for piece in pieces if isinstance(piece, Row)} == {label}
        assert len(pieces) == 15 and not any(isinstance(piece, Reason) for piece in pieces)
    share = Counter(row["answer"] for row in created(tmp_path, name, "--strategy", strategy, "--balance"))
    assert max(share.values()) - min(share[label] for label in labels) <= 1


def test_a_set_up_of_lists_is_answered() -> None:
    """The calls before the first row of AttrPrompt on 26 labels, each answered with what it asks for."""
    identity = define.identity(Settings(model="demo"), tasks.load("nyt"), "attrprompt")
    plan, client, labels = strategy(identity, Pool()), DemoClient(), identity.task.labels or ()
    kinds: Counter[str] = Counter()
    while (turn := plan.next()) is not None and not turn.rows:
        plan.start(turn)
        text = ask(client, plan.ask(turn)[0])
        assert plan.read(turn, text) == []
        plan.arrived(turn, [], {})
        kind, found = turn.drawn["set-up"], read_list(text)
        kinds[kind] += 1
        if kind == "filter":
            kinds["named"] += isinstance(found, list)
            continue
        assert isinstance(found, list)
        if kind == "alike":
            assert len(found) == 5 and set(found) <= set(labels) - {turn.drawn["label"]}
        else:
            assert len(set(found)) == 10
    assert kinds["alike"] == kinds["filter"] == 26 and kinds["values"] == 27
    assert 1 <= kinds["named"] <= 12, "the filter names a value now and then"
    assert turn is not None and set(turn.drawn) == set(identity.attributes or {})


def test_contexts_leave_out_those_that_are_taken(tmp_path: Path) -> None:
    identity = define.identity(Settings(model="demo", contexts=12, num_examples=3), tasks.load("rte"), "targen")
    plan, client = strategy(identity, Pool()), DemoClient()
    contexts: list[str] = []
    seeds: list[str] = []
    for _ in range(5 * 13):
        turn = plan.next()
        assert turn is not None
        while turn is not None and turn.rows:  # rows answer nothing that is planned
            plan.start(turn)
            turn = plan.next()
        assert isinstance(turn, Turn)
        plan.start(turn)
        text = ask(client, plan.ask(turn)[0])
        found = read_list(text)
        assert isinstance(found, list) and plan.read(turn, text) == []
        plan.arrived(turn, [], {})
        (seeds if "context" in turn.drawn else contexts).extend(found)
    assert len(contexts) == len(set(contexts)) == 60
    assert len(seeds) == 60 * 3 and len(set(seeds)) > 100


def test_single_rows_have_their_share_of_faults() -> None:
    identity = define.identity(Settings(model="demo"), tasks.load("wic"), "simprompt")
    task, client = identity.task, DemoClient()
    messages, _ = prompt.compose(task, identity.guide, identity.instruction, 1, {})
    verdicts: Counter[str] = Counter()
    keys: set[int] = set()
    for occurrence in range(1500):
        text = ask(client, messages, occurrence)
        for piece in prompt.read_one(task, text, 1, {}):
            repeats = isinstance(piece, Row) and piece.key in keys
            verdicts["duplicate" if repeats else "row" if isinstance(piece, Row) else piece.code] += 1
            keys |= {piece.key} if isinstance(piece, Row) else set()
    assert {"not_json", "cut_off", "answer_not_in_options", "wrong_options", "duplicate"} <= set(verdicts)
    assert 0.02 < 1 - verdicts["row"] / 1500 < 0.06
    first = [ask(client, messages, occurrence) for occurrence in range(50)]
    assert [ask(DemoClient(), messages, occurrence) for occurrence in range(49, -1, -1)][::-1] == first
    assert ask(DemoClient(seed=1), messages) != first[0]


@pytest.mark.parametrize("method", ["targen", "self-reference"])
@pytest.mark.parametrize(
    "name",
    [
        *("creak", "csqa"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("cb", "copa", "agnews", "boolq_open", "record")),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("sst2", "wsc", "nyt")),
    ],
)
def test_judges_know_what_its_rows_mean(
    name: str, method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--verify", "3", "--verify-rule", "keep", "--self-correct", "keep"]
    created(tmp_path / "out", name, "--method", method, *needed(name, method, tmp_path), *more, rows=150)
    said = dict(re.findall(r"^([\w-]+) agrees with (\d+) of 1[45]\d given labels", capsys.readouterr().out, re.M))
    assert 145 <= int(said["verification"]) <= 150, "three votes of which one in twenty is wrong"
    assert 130 <= int(said["self-correction"]) < 150, "one call in twenty is wrong"


@pytest.mark.parametrize("kind", ["verify", "think", "self_correct"])
@pytest.mark.parametrize("name", ["strategyqa", "rte", "piqa", "yelp"])
def test_judges_find_a_wrong_label(name: str, kind: str, tmp_path: Path) -> None:
    task, rows = read_back(tmp_path, created(tmp_path, name, rows=60))
    judge, right, explained = Judge(task, kind, 1, "keep"), 0, 0
    for row in rows:
        wrong = task.relabel(row, (row.answer + 1) % len(row.options))
        reply = asyncio.run(DemoClient().complete(Request(judge.ask(wrong, 0)[0], key=wrong.id)))
        judged, said = read_answer(reply, wrong.options)
        assert judged is not None
        right += wrong.options[judged] == row.options[row.answer]
        explained += said != ""
    assert 52 <= right <= 60 and explained == (0 if kind == "verify" else 60)


@pytest.mark.parametrize("per_label", [True, False])
def test_it_proposes_attributes(per_label: bool, tmp_path: Path) -> None:
    path = tmp_path / "attributes.json"
    method = ["--method", "attrprompt"] if per_label else ["--strategy", "tree"]
    more = ["--attributes", "ask", "--attributes-out", str(path), "--yes"]
    rows = created(tmp_path / "out", "sst2", *method, *more)
    proposed = json.loads(path.read_text("utf-8"))
    assert len(proposed) == 4 and len(rows) == 30
    assert any(isinstance(value, dict) for value in proposed.values()) is per_label
    assert all(5 <= len(value) <= 10 for value in proposed.values() if isinstance(value, list))


@pytest.mark.parametrize("name", ["copa", "record", "wic", "wsc", "rte", "cb", "nyt"])
def test_the_other_half_writes_rows_of_any_task_too(name: str) -> None:
    source = tasks.load(name)
    shown = source.task.seed_row(source.example or {})
    there = demo_rows.demo_rows(Rows("x", source.task, [shown], "created", {}), 100).rows
    assert len({row.key for row in there}) == 100 and shown.key not in {row.key for row in there}


def test_more_options_than_there_are_end_the_run_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = ["--fields", "a,b", "--num-options", "60", "--description", WORDS, "--method", "simprompt"]
    assert cli.main(["create", *fields, "--model", "demo", "-n", "5", "--out", str(tmp_path)]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "error: the demo writer has 24 options at most, not 60: use a real model"
