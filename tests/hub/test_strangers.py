"""`create --from` meets repositories of strangers: whatever they hold, a line each, and nothing here is changed."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from hub import Hub
from person import Done, one_line, outside, somebody, written
from server import Server

from llm_created import Task, UsageError
from llm_created.runs import human
from llm_created.tasks.guide import Guide

Files = dict[str, bytes]
RUN, REPLIES, TRAIN = "tree/run.json", "tree/journal.jsonl", "tree/train-00000-of-00001.parquet"
# A package that writes down which models it is told to load.
MODELS = """
import os, zlib
import numpy as np

class SentenceTransformer:
    def __init__(self, name):
        open(os.environ["LOADED"], "a").write(name + "\\n")

    def encode(self, texts, **how):
        vectors = np.array([[zlib.crc32(f"{n}{text}".encode()) % 1000 - 500 for n in range(8)] for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
"""


class Here(NamedTuple):
    """A person with a run of their own, which somebody else published."""

    hub: Hub
    server: Server
    home: Path
    env: dict[str, str]
    person: Callable[..., Done]
    tree: Files
    contrastive: Files

    def take(self, *more: str, **env: str) -> Done:
        out = () if "--out" in more else ("--out", str(self.home / "taken"))
        return self.person("create", "--from", "me/x", *more, *out, **env)

    @property
    def loaded(self) -> str:
        path = self.home / "loaded"
        return path.read_text() if path.exists() else ""

    def journals(self) -> dict[str, list[str]]:
        """All that stands in the journals of this machine."""
        held = {}
        for path in sorted(self.home.glob("runs/runs/*/*.sqlite")):
            with closing(sqlite3.connect(path)) as database:
                held[str(path)] = list(database.iterdump())
        return held


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    with Hub() as hub, Server() as server:
        home = tmp_path_factory.mktemp("home")
        (home / "lib").mkdir()
        (home / "lib" / "sentence_transformers.py").write_text(MODELS)
        own = {"HF_HOME": str(home / "hf"), "LLM_CREATED_CACHE": str(home / "runs"), "OPENAI_API_KEY": "any"}
        env = outside(hub) | own
        env |= {"PYTHONPATH": f"{home / 'lib'}:{os.environ.get('PYTHONPATH', '')}", "LOADED": str(home / "loaded")}
        with somebody(env, *own) as person:
            line = ("create", "csqa", "--model", "m", "--base-url", server.url, "--with-journal", "-n", "40")
            for strategy in ("tree", "contrastive"):
                out = ("--out", str(home / strategy), "--push-to-hub", f"me/{strategy}")
                done = person(*line, "--strategy", strategy, *out)
                assert done.code == 0, done.err
            files = [hub.files(f"datasets/me/{strategy}") for strategy in ("tree", "contrastive")]
            yield Here(hub, server, home, env, person, *files)


@pytest.fixture
def here(base: Here) -> Here:
    base.hub.put("datasets/me/x", base.tree)
    (base.home / "loaded").unlink(missing_ok=True)
    return base


def run_file(**changed: Any) -> Callable[[Files], Files]:
    """The `run.json` with other values; `inside__name` is a value of an object in it."""

    def change(files: Files) -> Files:
        about = json.loads(files[RUN])
        for name, value in changed.items():
            *inside, last = name.split("__")
            place = about
            for one in inside:
                place[one] = place[one] or {}
                place = place[one]
            place[last] = value
        return {RUN: json.dumps(about).encode()}

    return change


def twice(files: Files) -> Files:
    """The formatting example once more."""
    return run_file(identity__more_examples=[json.loads(files[RUN])["identity"]["example"]])(files)


def raw(data: bytes | str) -> Callable[[Files], Files]:
    return lambda files: {RUN: data.encode() if isinstance(data, str) else data}


def line(**changed: Any) -> Callable[[Files], Files]:
    """The second line of the journal with other values."""

    def change(files: Files) -> Files:
        lines = files[REPLIES].splitlines(True)
        value = json.loads(lines[1]) | changed
        lines[1] = json.dumps({name: one for name, one in value.items() if one != "gone"}).encode() + b"\n"
        return {REPLIES: b"".join(lines)}

    return change


def text(old: bytes, new: bytes) -> Callable[[Files], Files]:
    """The second line of the journal as other bytes."""

    def change(files: Files) -> Files:
        lines = files[REPLIES].splitlines(True)
        assert old in lines[1]
        lines[1] = lines[1].replace(old, new, 1)
        return {REPLIES: b"".join(lines)}

    return change


def more(added: bytes) -> Callable[[Files], Files]:
    return lambda files: {REPLIES: files[REPLIES] + added}


def compared(**changed: Any) -> Callable[[Files], Files]:
    value = {"example": "0" * 16, "row": "1" * 16, "value": 0.5} | changed
    return more(json.dumps(value).encode() + b"\n")


def parquet(change: Callable[[pa.Table], pa.Table]) -> Callable[[Files], Files]:
    def changed(files: Files) -> Files:
        file = io.BytesIO()
        pq.write_table(change(pq.read_table(io.BytesIO(files[TRAIN]))), file)
        return {TRAIN: file.getvalue()}

    return changed


def bomb(files: Files) -> Files:
    """A small file of ten million rows."""
    schema = pq.read_schema(io.BytesIO(files[TRAIN]))
    table = pa.table([pa.nulls(10**7, field.type) for field in schema], schema=schema)
    file = io.BytesIO()
    pq.write_table(table, file)
    assert len(file.getvalue()) < 10**6
    return {TRAIN: file.getvalue()}


def lies(table: pa.Table) -> pa.Table:
    """The text of one answer is another than the index says."""
    texts = table.column("answer_text").to_pylist()
    texts[6] = "x"
    return table.set_column(table.column_names.index("answer_text"), "answer_text", pa.array(texts))


def long_text(table: pa.Table) -> pa.Table:
    """One text of 200 KB in every row, which is stored once."""
    column = pa.array(["x" * 200_000] * len(table))
    return table.set_column(table.column_names.index("question"), "question", column)


def many_options(table: pa.Table) -> pa.Table:
    """Two thousand options in every row, in a few bytes."""
    column = pa.array([["a"] * 2000] * len(table))
    return table.set_column(table.column_names.index("options"), "options", column)


def as_dictionary(table: pa.Table) -> pa.Table:
    column = table.column("question").dictionary_encode()
    return table.set_column(table.column_names.index("question"), "question", column)


DEEP = "[" * 100_000
PLACE = {"dataset": "", "split": "train", "index": 0, "id": "0" * 16, "seed": 42}
INFINITE = b'{"example": "0123456789abcdef", "row": "0123456789abcdef", "value": 1e999}\n{"lane"'
HOSTILE: dict[str, tuple[Callable[[Files], Files | None], str]] = {
    # What it says it is.
    "deep run.json": (raw(DEEP), "run.json is no JSON .it is nested too deeply"),
    "deep within reason": (run_file(identity__attributes={"a": json.loads("[" * 50 + "]" * 50)}), "more than 20 deep"),
    "run.json is a list": (raw("[1]"), r"run.json must be an object, not '?\[1\]"),
    "run.json of 5 MB": (run_file(library="x" * 5_000_000), "run.json has 5,0.* bytes, 4,000,000 are the most"),
    "run.json not UTF-8": (raw(b'{"a": "\xff"}'), "run.json is no JSON .it is not UTF-8, byte 7"),
    "run.json empty": (raw(""), "run.json is no JSON"),
    "NaN": (raw('{"run": NaN}'), "NaN is no number"),
    "number without end": (raw('{"run": ' + "9" * 5000 + "}"), "run.json is no JSON"),
    "surrogate": (run_file(identity__instruction="a\ud800"), "identity.instruction holds a lone surrogate"),
    "surrogate key": (run_file(identity__guide={"\udfff": 1}), "a key with a lone surrogate"),
    "rows absurd": (run_file(rows=10**12), "rows must be a whole number from 1 to 1,000,000, not 1000000000000"),
    "other rows": (run_file(rows=41), "it speaks of 41 rows, and there are 40"),
    "rows true": (run_file(rows=True), "rows must be a whole number .* not True"),
    "validation a text": (run_file(validation="0.1"), "validation must be a share from 0 to below 1, not '0.1'"),
    "validation negative": (run_file(validation=-1), "validation must be a share from 0 to below 1, not -1"),
    "validation two": (run_file(validation=2.0), "validation must be a share from 0 to below 1, not 2.0"),
    "votes": (run_file(emission__verify=10**9), "emission.verify must be .* from 1 to 100, or likelihood, not 10000"),
    "votes a float": (run_file(emission__verify=3.0), "emission.verify must be .* from 1 to 100, or likelihood, not"),
    "likelihood": (run_file(emission__verify="likelihood"), "said to be verified by likelihood, which a model of"),
    "rule": (run_file(emission__verify_rule="os.system"), "emission.verify_rule must be one of drop, relabel, keep"),
    "self-correction": (run_file(emission__self_correct=[1]), "emission.self_correct must be one of drop"),
    "near": (run_file(emission__near_duplicates="x"), "emission.near_duplicates must be a number from 0 to 1"),
    "unknown check": (run_file(emission__base_url="http://evil"), "emission holds 'base_url', which this version"),
    "balance": (run_file(emission__balance="ask"), "emission.balance evens out fixed labels"),
    "strategy": (run_file(identity__strategy="evil"), "identity.strategy must be one of naive, random"),
    "other folder": (run_file(identity__strategy="naive"), "its strategy is naive, and its folder tree"),
    "method": (run_file(identity__method=5), "identity.method must be one of self-reference"),
    "chains": (run_file(identity__chains=10**9), "identity.chains must be a whole number from 1 to 10,000"),
    "contexts": (run_file(identity__contexts=10**6), "identity.contexts must be a whole number from 1 to 100"),
    "examples": (run_file(identity__num_examples=10**6), "identity.num_examples must be a whole number from 1 to 100"),
    "temperature": (run_file(identity__temperature=True), "identity.temperature must be a number .* not True"),
    "top_p": (run_file(identity__top_p=0), "identity.top_p must be a number from 0 to 1, but not 0"),
    "seed": (run_file(identity__seed=2**70), "identity.seed is a number that takes more than 64 bits"),
    "model": (run_file(identity__model="m\x1b[2J"), "identity.model must be a name of at most 256 printable"),
    "demo rows": (run_file(identity__model="demo"), "its rows are the demo writer's"),
    "unknown setting": (run_file(identity__api_key="x"), "identity holds 'api_key', which this version"),
    "no model": (lambda files: {RUN: files[RUN].replace(b'"model"', b'"nodel"')}, "identity.model is missing"),
    "example nested": (run_file(identity__example={"question": [[1]]}), "identity: the formatting example cannot be"),
    "options of the example": (run_file(identity__example={"question": "a", "options": 5}), "identity: the format"),
    "no labels": (run_file(task={"name": "a", "inputs": 5, "answer": "b", "options": "c"}), "'inputs' must be a list"),
    "guide": (run_file(identity__guide={"description": "a", "draws": {"b": 5}}), "a guide draws 'b' from a list"),
    "seed_from": (run_file(seed_from=PLACE | {"dataset": "../../etc"}), "seed_from.dataset must be the name"),
    "more examples": (run_file(identity__more_examples=[5]), "identity.more_examples must be a list of at most 999"),
    "examples without end": (run_file(identity__more_examples=[{}] * 1000), "identity.more_examples must be a list"),
    "an example more": (run_file(identity__more_examples=[{"question": "a"}]), "identity: the formatting example"),
    "the same again": (lambda files: twice(files), "identity: two formatting examples have the same inputs"),
    "no first example": (
        run_file(identity__example=None, identity__more_examples=[{}], seed_from=PLACE),
        "identity.more_examples are there without an example",
    ),
    "shown": (run_file(identity__shown=1), "identity.shown must be a whole number from 2 to 32, not 1"),
    "aside a text": (run_file(task__aside="why"), "'aside' must be a list of texts, not 'why'"),
    "aside an input": (run_file(task__aside=["question"]), "task: .*fields must be named and differ"),
    "no example": (run_file(identity__example=None), "neither a formatting example nor a seed_from"),
    "digest": (run_file(run="0" * 16), "what it says it is makes the run [0-9a-f]{8}, not 00000000"),
    "digest a path": (run_file(run="../../../etc/pas"), "run must be 16 hex digits"),
    "labels twice": (run_file(task__labels=["a", "A "]), "task: .*labels must be two or more different texts"),
    "labels by no width": (run_file(task__labels=["a", "a\u200b"]), "labels must be two or more different texts"),
    "labels without end": (run_file(task__labels=[f"{n}" for n in range(50_000)]), "50,000 labels are too many"),
    "label that hides": (run_file(task__labels=["a", "b\u202e"]), "task.labels holds control characters"),
    "labels a text": (run_file(task__labels="abc"), "'labels' must be a list of texts, not 'abc'"),
    "options": (run_file(task__num_options=True), "'num_options' must be 2 or more, or null, not True"),
    # Its replies.
    "lane": (line(lane=2**70), "line 2: lane must be a whole number from -1 to 2,147,483,647, not 118"),
    "occurrence": (line(occurrence=-1), "line 2: occurrence must be a whole number from 0 to"),
    "key": (line(request="a\ud800"), "line 2: request must be 16 hex digits"),
    "long key": (line(request="a" * 17), "line 2: request must be 16 hex digits"),
    "negative tokens": (line(prompt_tokens=-12_000_000), "line 2: prompt_tokens must be a whole number from 0 to 2,"),
    "many tokens": (line(completion_tokens=2**63 - 1), "line 2: completion_tokens must be a whole number from 0 to"),
    "true tokens": (line(prompt_tokens=True), "line 2: prompt_tokens must be a whole number .* not True"),
    "NaN tokens": (text(b'"prompt_tokens": ', b'"prompt_tokens": NaN, "x": '), "line 2: .*NaN is no number"),
    "text of a surrogate": (line(text="a\udc00"), "line 2: text holds a lone surrogate"),
    "text a list": (line(text=["a"]), "line 2: text must be a text of at most 2,000,000 characters"),
    "text of 50 MB": (line(text="x" * 50_000_000), "line 2: .*it has 50,.* bytes, 16,777,216 are the most"),
    "text of 3 MB": (line(text="x" * 3_000_000), "line 2: text must be a text of at most 2,000,000 characters"),
    "reason": (line(reason="\x1b[31m"), "line 2: reason must be a short code"),
    "no text": (line(text="gone"), "line 2: text is missing"),
    "more": (line(admin=1), "line 2: it holds 'admin', which this version"),
    "two answers": (
        lambda files: {REPLIES: files[REPLIES] + files[REPLIES].splitlines(True)[0].replace(b"? ", b"! ")},
        "it answers what line 1 answers",
    ),
    "deep line": (more(DEEP.encode() + b"\n"), r"line \d+: this is no JSON object .it is nested too deeply"),
    "a list": (more(b"[1, 2]\n"), r"line \d+: this is no JSON object .it is a list"),
    "not UTF-8": (more(b'{"text": "\xff"}\n'), r"line \d+: it is not UTF-8, byte 10"),
    "byte order mark": (lambda files: {REPLIES: b"\xef\xbb\xbf" + files[REPLIES]}, "line 1: this is no JSON object"),
    "empty": (lambda files: {REPLIES: b""}, "journal.jsonl is empty"),
    "cut": (lambda files: {REPLIES: files[REPLIES][:-40]}, r"line \d+: this is no JSON object"),
    "gzip": (lambda files: {REPLIES: gzip.compress(files[REPLIES])}, r"line \d+: it is not UTF-8"),
    "similarity NaN": (compared(value=float("nan")), "NaN is no number"),
    "similarity infinite": (text(b'{"lane"', INFINITE), "value must be a number from"),
    "similarity of 2": (compared(value=2), "value must be a number from -1.001 to 1.001, not 2"),
    "similarity key": (compared(row="\ud800"), "row must be 16 hex digits"),
    # Its rows.
    "extra column": (parquet(lambda t: t.append_column("x", pa.array([1] * 40))), "the column 'x' is none of"),
    "answer in other words": (parquet(lies), r"row 7: answer_text is 'x', which is not what its answer \d stands for"),
    "no column": (parquet(lambda t: t.drop_columns(["depth"])), "the column 'depth' is missing"),
    "twice": (parquet(lambda t: t.append_column("id", t.column("id"))), "the column 'id' is there 2 times"),
    "other type": (parquet(as_dictionary), "the column 'question' is dictionary.* instead of string"),
    "null": (parquet(lambda t: pa.Table.from_pylist([{"id": None}] * 40, schema=t.schema)), "a value is missing"),
    "long text": (parquet(long_text), "a text of 200,000 bytes, 80,000 are the most"),
    "many options": (parquet(many_options), "rows of more than 1,000 options"),
    "no rows": (parquet(lambda t: t.slice(0, 0)), "it speaks of 40 rows, and there are 0"),
    "ten million rows": (bomb, "there are 10,000,000 rows to be read, 1,000,000 are the most"),
    "damaged": (lambda files: {TRAIN: files[TRAIN][:-30]}, "train-00000-of-00001.parquet cannot be read"),
    "damaged inside": (lambda files: {TRAIN: files[TRAIN][:9] + b"\xff" * 400 + files[TRAIN][409:]}, "cannot be read"),
    "no Parquet": (lambda files: {TRAIN: b""}, "train-00000-of-00001.parquet cannot be read"),
    # What is in the repository.
    "odd split": (lambda files: {"tree/evil-00000-of-00001.parquet": files[TRAIN]}, "'evil-00000-.* is no file of"),
    "path": (lambda files: {"tree/../../train-00000-of-00001.parquet": files[TRAIN]}, "is no file of the splits"),
    "no run.json": (lambda files: {RUN: None}, "run.json is missing"),
    "odd folder": (
        lambda files: {REPLIES: None, "../tree/journal.jsonl": files[REPLIES]},
        "no configuration of a run is called '../tree'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_repository_is_refused_and_changes_nothing(
    change: Callable[[Files], dict[str, bytes | None]], said: str, here: Here
) -> None:
    before, calls = here.journals(), here.server.calls()
    changed = here.tree | change(here.tree)
    here.hub.put("datasets/me/x", {name: data for name, data in changed.items() if data is not None})
    done = here.take()
    one_line(done, 1, rf"^error: me/x\S*: .*{said}" if "odd folder" not in said else said)
    assert all(len(line) < 600 and line.isprintable() for line in done.err.splitlines())
    assert (here.journals(), here.server.calls(), here.loaded) == (before, calls, "")
    assert len(before) == 2, "the run itself is here, and another"


def test_each_thing_wrong_is_told(here: Here) -> None:
    def all_negative(files: Files) -> Files:
        lines = [json.loads(line) | {"prompt_tokens": -1} for line in files[REPLIES].splitlines()]
        return {REPLIES: "".join(json.dumps(line) + "\n" for line in lines * 5).encode()}

    wrong = run_file(validation="x", identity__chains=0, identity__model="")(here.tree)
    here.hub.put("datasets/me/x", here.tree | wrong | all_negative(here.tree))
    done = here.take()
    lines = [line.strip() for line in done.err.splitlines()]
    assert done.code == 1 and lines[0].startswith("error: me/x@tree: run.json: ")
    assert [re.search(r"run.json: (\S+) must", line)[1] for line in lines[:3]] == [  # type: ignore[index]
        "validation", "identity.model", "identity.chains",
    ]  # fmt: skip
    assert sum("prompt_tokens must be" in line for line in lines) == 17
    assert re.fullmatch(r"and \d+ more. Nothing was taken over", lines[20]) and len(lines) == 21


def test_rows_that_were_pushed_without_the_text_of_their_answers(here: Here) -> None:
    """As they were before rows had it."""
    here.hub.put("datasets/me/x", here.tree | parquet(lambda t: t.drop_columns(["answer_text"]))(here.tree))
    done = here.take()
    assert done.code == 0 and "they are all 40 published ones" in done.err


def test_without_n_the_published_rows_are_made_again_and_nothing_is_bought(here: Here) -> None:
    calls = here.server.calls()
    nobody = {"LLM_CREATED_CACHE": str(here.home / "nobody"), "OPENAI_API_KEY": ""}
    out = str(here.home / "anew")
    done = here.take("--out", out, **nobody)
    assert done.code == 0, done.err
    assert "40 rows made again without a request: they are all 40 published ones" in done.err
    assert written(Path(out)) == written(here.home / "tree")
    # A reply that is missing is not bought either: what can be made is written, and what lacks is told.
    here.hub.put("datasets/me/x", here.tree | {REPLIES: b"".join(here.tree[REPLIES].splitlines(True)[:-1])})
    out = str(here.home / "short")
    done = here.take("--out", out, LLM_CREATED_CACHE=str(here.home / "short-runs"))
    assert done.code == 3 and "its journal lacks the replies to some requests; nothing was bought, -n 40" in done.err
    short = written(Path(out))
    assert 0 < len(short) < 40 and short == written(here.home / "tree")[: len(short)]
    assert here.server.calls() == calls
    done = here.take(
        "-n", "40", "--out", out, "--base-url", here.server.url, LLM_CREATED_CACHE=str(here.home / "short-runs")
    )
    assert done.code == 0 and written(Path(out)) == written(here.home / "tree"), done.err
    assert here.server.calls() > calls


def test_a_run_of_several_examples_and_of_columns_aside_is_made_again(here: Here, tmp_path: Path) -> None:
    words = [f"What is number {at}?" for at in range(3)]
    told = [{"question": one, "options": ["a", "b", one], "answer": "a", "why": "so", "id": 1} for one in words]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, told)))
    line = ("create", "--example", str(tmp_path / "mine.jsonl"), "--model", "m", "--base-url", here.server.url)
    more = ("--strategy", "pool", "--shown", "3", "-n", "30", "--label-space", "variable", "--answer-field", "answer")
    more += ("--aside", "why", "--push-to-hub", "me/several", "--with-journal")
    pushed = here.person(*line, *more, "--out", str(tmp_path / "out"))
    assert pushed.code == 0, pushed.err
    assert "its 3 formatting examples go along" in pushed.err
    files = here.hub.files("datasets/me/several")
    about, card = json.loads(files["pool/run.json"]), files["README.md"].decode()
    assert [one["question"] for one in about["identity"]["more_examples"]] == words[1:]
    assert about["task"]["aside"] == ["why"] and "| why | text that the model wrote" in card
    assert "3 formatting examples, which are no rows; the first 3" in card and "What is number 2?" in card
    where = ("--out", str(tmp_path / "again"))
    done = here.person("create", "--from", "me/several", *where, LLM_CREATED_CACHE=str(tmp_path / "runs"))
    assert done.code == 0 and "they are all 30 published ones" in done.err, done.err
    assert written(tmp_path / "again") == written(tmp_path / "out")


def test_what_a_local_run_holds_stays_beside_what_is_absorbed(here: Here) -> None:
    lines = [json.loads(line) for line in here.tree[REPLIES].splitlines()]
    other = [line | {"text": "another", "completion_tokens": 9} for line in lines]
    new = lines[0] | {"request": "f" * 16, "prompt_tokens": 2**31 - 1}
    here.hub.put(
        "datasets/me/x", here.tree | {REPLIES: "".join(json.dumps(line) + "\n" for line in [*other, new]).encode()}
    )
    before = here.journals()
    done = here.take()
    assert done.code == 0 and "1 replies taken over, 40 rows made again" in done.err, done.err
    path = next(path for path in before if json.loads(here.tree[RUN])["run"] in path)
    was, now = ([row for row in held[path] if '"replies"' in row] for held in (before, here.journals()))
    assert set(was) < set(now) and len(now) == len(was) + 1
    shown = here.person("show", json.loads(here.tree[RUN])["run"])
    assert shown.code == 0, shown.err


def test_votes_that_a_stranger_asks_for_need_a_yes(here: Here) -> None:
    calls = here.server.calls()
    here.hub.put("datasets/me/x", here.tree | run_file(emission__verify=3)(here.tree))
    mine = {"LLM_CREATED_CACHE": str(here.home / "votes")}
    out = ("--out", str(here.home / "voted"), "--base-url", here.server.url)
    done = here.take(*out, **mine)
    assert done.code == 3 and "its journal lacks the votes on some rows" in done.err
    said = r"its rows passed 3 votes each \(--verify 3\): about 60 calls. Add --yes to agree"
    one_line(here.take(*out, "-n", "60", **mine), 2, said)
    one_line(here.take(*out, "-n", "40", **mine), 2, "3 votes each .*: the calls for those that its journal lacks")
    assert here.server.calls() == calls


def test_no_embedding_model_of_a_stranger_is_loaded(here: Here) -> None:
    """Choices are in the published journal; near-duplicates are checked with a model that the person names."""
    mine = {"LLM_CREATED_CACHE": str(here.home / "models")}

    def taken(files: Files, *more: str, out: str = "chosen") -> Done:
        here.hub.put("datasets/me/x", files)
        return here.take("--out", str(here.home / out), *more, **mine)

    done = taken(here.contrastive)
    assert done.code == 0 and "they are all 40 published ones" in done.err, done.err
    assert written(here.home / "chosen") == written(here.home / "contrastive")
    grown = ("-n", "60", "--base-url", here.server.url)
    model = "sentence-transformers/all-MiniLM-L6-v2"
    one_line(taken(here.contrastive, *grown), 2, f"the embedding model '{model}' is loaded. Add --yes to agree")
    assert here.loaded == ""
    done = taken(here.contrastive, *grown, "--yes")
    assert done.code == 0 and here.loaded == f"{model}\n", done.err
    (here.home / "loaded").unlink()
    # Similarities that are missing are not computed.
    mine["LLM_CREATED_CACHE"] = str(here.home / "without")
    path = "contrastive/journal.jsonl"
    kept = [line for line in here.contrastive[path].splitlines(True) if b'"value"' not in line]
    done = taken(here.contrastive | {path: b"".join(kept)}, out="without")
    assert done.code == 3 and re.search("its journal lacks the similarities of the rows that the example", done.err)
    # The check that the rows have passed, with the model that its publisher had.
    near = run_file(emission={"near_duplicates": 0.99, "embedding_model": "evil/model"})(here.tree)
    done = taken(here.tree | near, out="near")
    assert done.code == 0 and here.loaded == "", done.err
    assert "note: the published rows passed --near-duplicates 0.99 --embedding-model evil/model; no emb" in done.err
    done = taken(here.tree | near, "--near-duplicates", "0.99", "--embedding-model", "my/model", out="near")
    assert done.code == 0 and here.loaded == "my/model\n", done.err


@pytest.mark.slow
def test_no_model_that_a_stranger_names_is_loaded(here: Here, tmp_path: Path) -> None:
    """Of a model in the publisher's process nobody learns where it lies, and only a person says where it is here."""
    pytest.importorskip("llguidance")
    folder = Path(tiny.writer(tmp_path / "tiny-writer"))
    line = ("create", "sst2", "--method", "simprompt", "--model", f"local:{folder}", "--max-tokens", "60", "-n", "4")
    done = here.person(*line, "--with-journal", "--out", str(tmp_path / "rows"), "--push-to-hub", "me/local")
    assert done.code == 0, done.err
    files = here.hub.files("datasets/me/local")
    assert not any(str(tmp_path).encode() in content for content in files.values())
    mine = {"LLM_CREATED_CACHE": str(tmp_path / "runs")}

    def taken(*more: str, **env: str) -> Done:
        out = ("--out", str(tmp_path / "taken"), "--max-tokens", "60")
        return here.person("create", "--from", "me/local", *more, *out, **mine | env)

    done = taken()
    assert done.code == 0 and "they are all 4 published ones" in done.err, done.err
    one_line(taken("-n", "40"), 2, "the model 'tiny-writer' is loaded, which writes them here. Add --yes to agree")
    one_line(taken("-n", "40", "--yes"), 2, "--model local:tiny-writer cannot be loaded: ")  # there is none on the Hub
    one_line(taken("-n", "6", "--model", "local"), 2, "is by 'local:tiny-writer', and --model local is another one")
    one_line(taken("--model", "other"), 2, "--from takes the run as it was published: leave out --model")
    done = taken("-n", "40", "--model", f"local:{folder}")
    assert done.code == 0 and len(written(tmp_path / "taken")) == 40, done.err
    assert written(tmp_path / "taken")[:4] == written(tmp_path / "rows")


@pytest.mark.slow
def test_a_repository_is_refused_in_a_process_of_its_own(here: Here) -> None:
    for change in (raw(DEEP), parquet(lambda t: t.append_column("x", pa.array([1] * 40)))):
        here.hub.put("datasets/me/x", here.tree | change(here.tree))
        command = [sys.executable, "-m", "llm_created", "create", "--from", "me/x", "--out", str(here.home / "p")]
        done = subprocess.run(command, env=here.env, capture_output=True, text=True)
        one_line(Done(done.returncode, done.stdout, done.stderr), 1, "^error: me/x@tree: ")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "an object is wanted, not \\[\\]"),
        ({"inputs": "ab"}, "'inputs' must be a list of texts, not 'ab'"),
        ({"name": 5}, "names, fields and labels are texts, not 5"),
        ({"labels": ["a", None]}, "names, fields and labels are texts, not None"),
        ({"labels": ["yes", "y\u200bes"]}, "labels must be two or more different texts"),
        ({"labels": ["yes", "\u2066"]}, "labels must be two or more different texts"),
        ({"inputs": ["a", "a\ufeff"]}, "fields must be named and differ"),
        ({"num_options": 2.0}, "'num_options' must be 2 or more, or null, not 2.0"),
    ],
)
def test_a_task_that_is_none_is_refused(value: Any, said: str) -> None:
    good = Task("t", ("a",), labels=("yes", "no")).to_json()
    with pytest.raises(UsageError, match=said):
        Task.from_json(good | value if isinstance(value, dict) else value)


def test_a_task_loses_what_nobody_sees() -> None:
    said = {"name": "a\x1b[2Jb", "inputs": ["q\u202e"], "options": "o\x00", "answer": "a\ud800", "num_options": None}
    task = Task.from_json(said | {"labels": ["\u2067ja\u2069", "nein\n"]})
    assert task == Task("a[2Jb", ("q",), "a", "o", ("ja", "nein"))
    assert Task.from_json(task.to_json()) == task


@pytest.mark.parametrize(
    "value", [{"labels": {"a": 1}}, {"seed": 5}, {"source": []}, {"draws": {"a": "bc"}}, {"draws": {"a": [1, 2]}}]
)
def test_a_guide_of_other_kinds_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Guide.from_json({"description": "d"} | value)


def test_what_people_said_goes_along_and_is_taken_as_it_was_said(here: Here, tmp_path: Path) -> None:
    digest, rows = json.loads(here.tree[RUN])["run"], written(here.home / "tree")
    mine = {"LLM_CREATED_CACHE": str(tmp_path / "runs")}
    shutil.copytree(here.home / "runs" / "runs" / digest, tmp_path / "runs" / "runs" / digest)
    path = tmp_path / "runs" / "runs" / digest / "journal.sqlite"
    for row in rows[:4]:
        human.add(path, human.Said(row["id"], "Ada", human.WRONG))
    line = ("create", "csqa", "--model", "m", "--base-url", here.server.url, "--reviewed", "drop", "-n", "36")
    push = ("--with-journal", "--out", str(tmp_path / "rows"), "--push-to-hub", "me/reviewed")
    done, calls = here.person(*line, *push, **mine), here.server.calls()
    assert done.code == 0 and "4 answers of people go along, under the names that they gave: Ada" in done.err, done.err
    assert written(tmp_path / "rows") == rows[4:]
    take = ("create", "--from", "me/reviewed", "--out", str(tmp_path / "taken"))
    done = here.person(*take, LLM_CREATED_CACHE=str(tmp_path / "anew"))
    assert done.code == 0 and "they are all 36 published ones" in done.err, done.err
    assert written(tmp_path / "taken") == rows[4:] and here.server.calls() == calls
    # Who has changed their mind since is not spoken for by what they once published.
    human.add(path, human.Said(rows[0]["id"], "Ada", human.LABEL, rows[0]["answer_text"]))
    done = here.person(*take, **mine)
    assert "they are NOT the published ones, train row 1 differs first" in done.err and here.server.calls() == calls
