"""The doors into the Hugging Face stack: `load_dataset`, builder classes, scripts, caching, streaming, errors."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from paper_tasks import NAMES
from server import Server

import llm_created
from llm_created import UsageError
from llm_created.clients.demo.client import DemoClient
from llm_created.creation import stream
from llm_created.embeddings import Similarity
from llm_created.errors import RunFailed, StoppedShort
from llm_created.loading import builder
from llm_created.loading.load import builder_class
from llm_created.tasks import builtin as tasks

ROOT = Path(__file__).resolve().parents[2]
OLD = "LLM_CREATED_DATASETS36_PYTHON"
EXAMPLE = {
    "question": "Where would you put a letter to a friend?",
    "options": ["mailbox", "refrigerator", "bookshelf", "drawer", "waste basket"],
    "answer": "mailbox",
}
demo = partial(llm_created.load_dataset, model="demo")


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    until = time.monotonic() + 2
    while threads() and time.monotonic() < until:
        time.sleep(0.01)
    assert not threads()


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "my_example.json"
    path.write_text(json.dumps(EXAMPLE), "utf-8")
    return path


def threads() -> list[str]:
    """The loops that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("llm-created")]


def at(server: Server, num_rows: int = 100, name: str = "tree", **more: Any) -> Any:
    """csqa's training split, written by the loopback server."""
    more = {"base_url": server.url, "model": "m", "split": "train"} | more
    return llm_created.load_dataset("csqa", name, num_rows=num_rows, **more)


def built(name: str = "tree", **more: Any) -> Any:
    return builder_class("csqa")(config_name=name, **{"model": "m", "num_rows": 10} | more)


def in_cache(pattern: str = "datasets/csqa/*/*/dataset_info.json") -> list[Path]:
    return sorted(Path(os.environ["HF_HOME"]).glob(pattern))


def refuse(*_: Any) -> None:
    raise AssertionError("the loop was opened")


# Doors.


def test_load_dataset() -> None:
    loaded = demo("csqa", "tree", num_rows=100)
    assert isinstance(loaded, datasets.DatasetDict) and list(loaded) == ["train"]
    assert loaded["train"].features == tasks.load("csqa").task.features
    train = demo("csqa", "tree", split="train", num_rows=100)
    assert isinstance(train, datasets.Dataset) and train.num_rows == 100
    assert train[:] == loaded["train"][:] and "demo" in train.info.description
    assert demo("csqa", num_rows=100)["train"][:] == train[:], "tree is the default"
    assert demo("csqa", "tree", split="train[10:20]", num_rows=100)[:] == train[10:20]


@pytest.mark.parametrize("task", NAMES)
def test_every_task_of_the_paper(task: str) -> None:
    train = demo(task, "random", num_rows=20, split="train")
    known = tasks.load(task).task
    assert train.features == known.features and train.num_rows == 20
    for record in train:
        assert set(record) == {"id", *known.columns, "answer_text", "parent_id", "depth"} and all(
            record[name] for name in known.inputs
        )


def test_rows_know_where_they_come_from() -> None:
    train = demo("csqa", "tree", num_rows=300, split="train")
    (seed,) = {record["parent_id"] for record in train if record["depth"] == 1}
    depths = {seed: 0} | {record["id"]: record["depth"] for record in train}
    assert seed not in train["id"] and tasks.load("csqa").example["question"] not in train["question"]
    assert len(depths) == 301 and max(train["depth"]) > 2
    assert all(depths[record["parent_id"]] == record["depth"] - 1 for record in train)


def test_the_rows_are_those_of_the_command(tmp_path: Path) -> None:
    train = demo("boolq_open", "random", num_rows=60, split="train", seed=7)
    command = "create boolq_open --strategy random --model demo -n 60 --seed 7 --format jsonl --out".split()
    line = [sys.executable, "-m", "llm_created", *command, str(tmp_path / "out")]
    subprocess.run(line, check=True, capture_output=True, env=os.environ | {"LLM_CREATED_CACHE": str(tmp_path / "c")})
    lines = (tmp_path / "out" / "train.jsonl").read_text("utf-8").splitlines()
    written = [json.loads(line) for line in lines]
    for record in written:
        record["answer"] = train.features["answer"].str2int(record["answer"])
    assert [{name: record[name] for name in train.column_names} for record in written] == train.to_list()


def test_diverse_is_another_name_of_contrastive(monkeypatch: pytest.MonkeyPatch) -> None:
    def embed(self: Similarity, rows: Any) -> Any:
        vectors = [np.random.default_rng(int(row.id[:8], 16)).normal(size=8) for row in rows]
        return [vector / np.linalg.norm(vector) for vector in vectors]

    monkeypatch.setattr(Similarity, "require", lambda self: None)
    monkeypatch.setattr(Similarity, "_embed", embed)
    train = demo("csqa", "diverse", num_rows=60, split="train")
    monkeypatch.setattr(DemoClient, "complete", refuse)
    assert demo("csqa", "contrastive", num_rows=60, split="train")[:] == train[:]
    assert built("diverse").cache_dir == built("contrastive").cache_dir == built(None, strategy="diverse").cache_dir


def test_a_builder_file(tmp_path: Path) -> None:
    file = tmp_path / "letters.py"
    shutil.copy(ROOT / "builders" / "csqa.py", file)
    train = demo(str(file), "naive", num_rows=30, split="train")
    assert train.info.dataset_name == "letters" and train[:] == demo("csqa", "naive", num_rows=30, split="train")[:]
    assert demo(file, "naive", num_rows=30, streaming=True)["train"].features == train.features


def test_one_example_through_both_doors(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = demo(example, "tree", num_rows=50, label_space="variable", split="train")
    assert train.num_rows == 50 and list(train.features) == [
        "id",
        *EXAMPLE,
        f"{list(EXAMPLE)[-1]}_text",
        "parent_id",
        "depth",
    ]
    (tmp_path / "elsewhere").mkdir()
    other = shutil.copy(example, tmp_path / "elsewhere")
    llm_created.register()
    how: dict[str, Any] = {"strategy": "tree", "model": "demo", "num_rows": 50, "label_space": "variable"}
    with monkeypatch.context() as patched:
        patched.setattr(stream, "_Handover", refuse)
        for path in (str(example), str(other)):
            assert datasets.load_dataset("llm_created", data_files=path, split="train", **how)[:] == train[:]
            assert llm_created.load_dataset("llm_created", data_files=path, split="train", **how)[:] == train[:]
    streamed = datasets.load_dataset("llm_created", data_files=str(example), streaming=True, **how)
    assert list(streamed["train"]) == train.to_list()


def test_a_fixed_label_space_by_keyword(tmp_path: Path) -> None:
    path = tmp_path / "sky.json"
    path.write_text('{"question": "is the sky blue on a clear day", "answer": "True"}', "utf-8")
    for labels in ("True,False", ("True", "False")):
        train = demo(str(path), "naive", num_rows=10, labels=labels, split="train")
        assert train.features["answer"] == datasets.ClassLabel(names=["True", "False"])


def test_data_files_are_one_example(example: Path, tmp_path: Path) -> None:
    llm_created.register()
    for name in ("b.json", "c.txt", "folder/d.csv", "folder/e.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}", "utf-8")
    two = [str(example), str(tmp_path / "b.json")]
    cases: list[Any] = [
        two,
        {"train": two[0], "test": two[1]},
        str(tmp_path / "c.txt"),
        str(tmp_path / "folder" / "*"),
    ]
    for load in (datasets.load_dataset, llm_created.load_dataset):
        for data_files in cases:
            with pytest.raises(UsageError, match="must be one file that holds formatting examples .*, not '"):
                load("llm_created", data_files=data_files, model="demo")
    for data_files in (str(tmp_path / "folder"), None, []):
        with pytest.raises(UsageError, match="one file"):
            llm_created.load_dataset("llm_created", data_files=data_files, model="demo")
    for load in (datasets.load_dataset, llm_created.load_dataset):
        with pytest.raises((FileNotFoundError, UsageError), match=r"missing\.json"):
            load("llm_created", data_files=str(tmp_path / "missing.json"), model="demo")
    with pytest.raises(UsageError, match="given twice"):
        demo(example, data_files=str(example))
    with pytest.raises(UsageError, match="goes with an example"):
        demo("csqa", data_files=str(example))


def test_without_data_files_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n", "utf-8")
    (tmp_path / "more.csv").write_text("a,b\n1,2\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    llm_created.register()
    with pytest.raises(UsageError, match=r"one file .*rows\.csv"):
        datasets.load_dataset("llm_created", strategy="tree", model="demo")


def test_the_builder_class() -> None:
    from llm_created.builders.csqa import Csqa

    builder = Csqa(config_name="tree", model="demo", num_rows=50)
    builder.download_and_prepare()
    assert builder.as_dataset()["train"][:] == demo("csqa", "tree", num_rows=50)["train"][:]
    assert builder_class("csqa") is builder_class(str(ROOT / "builders" / "csqa.py")) is Csqa
    assert len(in_cache()) == 1


def human_folder(shared: Path, task: str = "mcqa_5/csqa") -> Path:
    return shared / "human" / task


def test_human_rows_of_local_files(shared: Path, tmp_path: Path) -> None:
    folder = human_folder(shared)
    parts = llm_created.load_dataset("csqa", "human", human_data=str(folder))
    assert {split: part.num_rows for split, part in parts.items()} == {"train": 8500, "validation": 1221}
    assert parts["train"].features == tasks.load("csqa").task.features and set(parts["train"]["depth"]) == {0}
    assert "labelled by people" in parts["train"].info.description
    lines = (folder / "dev.jsonl").read_text("utf-8").splitlines()[:30]
    for name in ("a", "b"):
        (tmp_path / name).write_text("\n".join(lines), "utf-8")
    files = {"test": str(tmp_path / "a")}
    few = llm_created.load_dataset("csqa", "human", human_data=files, split="test")
    assert few.to_list() == parts["validation"].to_list()[:30]
    streamed = llm_created.load_dataset("csqa", "human", human_data=files, streaming=True, split="test")
    assert list(streamed) == few.to_list()
    # Another path to the same content is the same data; other content is not.
    same = built("human", human_data={"test": str(tmp_path / "b")}).cache_dir
    assert same == built("human", human_data=files).cache_dir
    (tmp_path / "b").write_text("\n".join(lines[1:]), "utf-8")
    assert built("human", human_data={"test": str(tmp_path / "b")}).cache_dir != same


def test_human_errors_are_told_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"question": "q"}\n', "utf-8")
    with pytest.raises(UsageError, match=r"train\.jsonl, line 1"):
        llm_created.load_dataset("csqa", "human", human_data=str(tmp_path))
    with pytest.raises(RunFailed, match="cannot load 'tau/commonsense_qa' from the Hub"):
        llm_created.load_dataset("csqa", "human")


def test_the_formatting_example_from_human_data(shared: Path) -> None:
    how = {"seed_example": "human", "human_data": str(human_folder(shared)), "num_rows": 10, "split": "train"}
    first, second = (set(demo("csqa", "naive", seed=seed, **how)["parent_id"]) for seed in (1, 2))
    assert len(first) == len(second) == 1 and first != second


def test_a_script_under_datasets_3(tmp_path: Path) -> None:
    python = os.environ.get(OLD)
    if not python:
        pytest.skip(f"{OLD} names no python that has datasets 3.6 and this library")
    code = f"""
import datasets, json, llm_created
assert datasets.__version__.startswith("3."), datasets.__version__
script = {str(ROOT / "builders" / "csqa.py")!r}
how = dict(model="demo", num_rows=50, trust_remote_code=True)
loaded = datasets.load_dataset(script, "tree", **how)
assert list(loaded) == ["train"] and loaded["train"].num_rows == 50
assert list(datasets.load_dataset(script, "tree", streaming=True, **how)["train"]) == loaded["train"].to_list()
try:
    datasets.load_dataset(script, "tree", **(how | dict(max_calls=2, num_rows=60)))
except llm_created.StoppedShort as error:
    assert "allow_partial" in str(error)
assert llm_created.load_dataset("csqa", model="demo", num_rows=50)["train"].to_list() == loaded["train"].to_list()
print(json.dumps(loaded["train"].to_list()))
"""
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == demo("csqa", "tree", num_rows=50, split="train").to_list()


# The cache.


def test_the_same_call_again_opens_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = at(server).to_list()
    bought = server.calls()
    with monkeypatch.context() as patched:
        patched.setattr(stream, "_Handover", refuse)
        assert at(server, concurrency=3, timeout=7.0, max_calls=900, patience=50, rpm=1e6).to_list() == rows
        assert at(server, base_url="http://127.0.0.1:9/v1").to_list() == rows
    assert server.calls() == bought and len(in_cache()) == 1
    # Made again when asked for, from the journal.
    assert at(server, download_mode="force_redownload").to_list() == rows and server.calls() == bought


def test_growing_buys_the_difference(server: Server) -> None:
    first = at(server, 100).to_list()
    assert server.calls() == 20
    grown = at(server, 300, concurrency=5).to_list()
    assert grown[:100] == first and server.calls() == 60
    assert at(server, 50).to_list() == first[:50] and server.calls() == 60
    assert len(in_cache()) == 3


def test_code_that_shapes_rows_makes_them_again_from_the_journal(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = at(server).to_list()
    bought = server.calls()
    monkeypatch.setattr(builder, "reading", lambda *of: "other code")
    opened: list[int] = []
    handover = stream._Handover
    monkeypatch.setattr(stream, "_Handover", lambda *args: opened.append(1) or handover(*args))
    assert at(server).to_list() == rows and at(server).to_list() == rows
    assert opened == [1] and server.calls() == bought and len(in_cache()) == 2


def test_a_filter_is_another_cache_and_buys_what_it_lacks(server: Server) -> None:
    def odd(row: Any) -> str | None:
        return None if int(row["id"], 16) % 2 else "even"

    first = at(server, 200).to_list()
    assert server.calls() == 40
    kept = at(server, 80, filter=odd).to_list()
    assert kept == [row for row in first if int(row["id"], 16) % 2][:80] and server.calls() == 40


def test_what_a_function_does_is_the_same_text_in_every_process(tmp_path: Path) -> None:
    lines = ["def keep(row):", " return [x for x in row] if row['id'] in {'a', 'b', 'c', 'd'} else (lambda: 'no')()"]
    (tmp_path / "mine.py").write_text("\n".join(lines), "utf-8")
    code = "import mine; from llm_created.utils.user_code import code_of; print(code_of(mine.keep))"
    told = {
        subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONHASHSEED": seed})
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
    from llm_created.utils.user_code import code_of

    assert code_of(lambda row: [x for x in row if x]) != code_of(lambda row: [x for x in row if not x])
    assert code_of(len) == ""


def test_no_key_is_taken_or_written(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-verysecret123"
    monkeypatch.setenv("MY_KEY", secret)
    at(server, 20, api_key_env="MY_KEY")
    at(server, 20)
    assert len(in_cache()) == 1
    with pytest.raises(UsageError, match=r"api_key= is not taken.*OPENAI_API_KEY") as caught:
        at(server, 20, api_key=secret)
    assert secret not in str(caught.value)
    caches = Path(os.environ["HF_HOME"]).parent
    paths = list(caches.rglob("*"))
    assert len(paths) > 5 and not [path for path in paths if "verysecret" in str(path)]
    assert not [path for path in paths if path.is_file() and secret.encode() in path.read_bytes()]


# Errors.


def test_errors_come_out_as_themselves(server: Server) -> None:
    for streaming in (False, True):
        take: Callable[[Any], Any] = list if streaming else lambda ready: ready
        with pytest.raises(UsageError, match="which model"):
            take(llm_created.load_dataset("csqa", streaming=streaming, split="train"))
        server.reset(error="unknown_model")
        with pytest.raises(RunFailed, match="unknown model 'm'"):
            take(at(server, streaming=streaming))
        server.reset()
        with pytest.raises(StoppedShort, match="allow_partial=True") as caught:
            take(at(server, 200, name="naive", max_calls=4, seed=int(streaming), streaming=streaming))
        assert caught.value.wanted == 200 and caught.value.kept == 20
    assert not in_cache() and not in_cache("datasets/**/*.arrow")


def test_a_run_that_stopped_short_is_tried_again(server: Server) -> None:
    with pytest.raises(StoppedShort):
        at(server, 100, max_calls=4)
    with pytest.warns(UserWarning, match="stopped at 20 of 100 rows"):
        part = at(server, 100, max_calls=4, allow_partial=True).to_list()
    assert len(part) == 20 and server.calls() == 4
    with pytest.warns(UserWarning, match="stopped at 40 of 100 rows"):
        assert at(server, 100, max_calls=8, allow_partial=True).to_list()[:20] == part
    with pytest.warns(UserWarning, match="stopped at"):
        assert len(list(at(server, 100, max_calls=8, allow_partial=True, streaming=True))) == 40
    assert at(server, 100).to_list()[:20] == part and server.calls() == 20


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"modle": "m"}, "unknown keyword 'modle': did you mean 'model'"),
        ({"stratgy": "tree"}, "did you mean 'strategy'"),
        ({"name": "tre"}, "unknown strategy 'tre': did you mean 'tree'"),
        ({"name": "random", "strategy": "tree"}, "contradicts"),
        ({"data_dir": "somewhere"}, "human_data"),
        ({"label_space": "fixed"}, "label_space= goes with an example of your own"),
        ({"features": datasets.Features()}, "features="),
        ({"num_rows": 0}, "at least 1"),
    ],
)
def test_a_wrong_call(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        demo("csqa", **given)


def test_an_unknown_task() -> None:
    with pytest.raises(UsageError, match="did you mean 'csqa'"):
        demo("csaq")


def test_a_disk_that_is_full_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("datasets.arrow_writer.ArrowWriter.write", full)
        with pytest.raises(RunFailed, match=r"cannot write the rows to .*No space left"):
            demo("csqa", num_rows=20)
    assert not in_cache()
    assert demo("csqa", num_rows=20)["train"].num_rows == 20


def test_num_proc_is_answered() -> None:
    with pytest.warns(UserWarning, match="num_proc=4 is not needed: one process keeps all requests in flight"):
        assert demo("csqa", num_rows=20, num_proc=4)["train"].num_rows == 20


@pytest.mark.slow
def test_the_progress_bar_knows_its_total() -> None:
    code = "import llm_created; llm_created.load_dataset('csqa', model='demo', num_rows=40)"
    environment = os.environ | {"HF_DATASETS_DISABLE_PROGRESS_BARS": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "40/40" in done.stderr, done.stderr


# Streaming.


def answered() -> int:
    """Replies in the one journal."""
    (path,) = Path(os.environ["LLM_CREATED_CACHE"]).glob("runs/*/journal.sqlite")
    with sqlite3.connect(path) as journal:
        return int(journal.execute("SELECT count(*) FROM replies WHERE answered IS NOT NULL").fetchone()[0])


def test_rows_appear_as_they_are_written(server: Server) -> None:
    server.reset(latency=0.1)
    streamed = iter(at(server, 150, streaming=True, concurrency=8))
    first = next(streamed)
    early = server.calls()
    rows = [first, *streamed]
    assert early <= 8 < 30 == server.calls()
    assert rows == at(server, 150).to_list() and server.calls() == 30


@pytest.mark.parametrize("name", ["naive", "random", "tree"])
def test_looking_at_one_row_does_not_buy_a_dataset(server: Server, name: str) -> None:
    server.reset(latency=0.05)
    assert next(iter(at(server, 5000, name, streaming=True, concurrency=8)))["id"]
    assert not threads()
    # The root of a tree is one call. Of a flight, each that comes before the first may be followed by one more.
    assert 1 <= server.calls() <= (1 if name == "tree" else 15) and answered() == server.calls()


def test_leaving_in_the_middle_loses_no_paid_reply(server: Server) -> None:
    server.reset(latency=0.02, shuffle=0.05)
    streamed, seen = at(server, 5000, "naive", streaming=True, concurrency=16), []
    for row in streamed:
        seen.append(row)
        if len(seen) == 150:
            break
    assert not threads()
    calls = server.calls()
    # 30 calls were read, 16 are in flight, and a few rows wait to be taken.
    assert answered() == calls <= 30 + 2 * 16 + stream._Handover.AHEAD // 5
    assert list(streamed.take(150)) == seen and not threads()
    assert next(iter(streamed.skip(100))) == seen[100]
    assert server.calls() <= calls + 2 * 16, "what was read before is not bought again"


def test_leaving_ends_the_asking(server: Server) -> None:
    server.reset(latency=0.05)
    rows = iter(at(server, 5000, "naive", streaming=True, concurrency=2))
    for _ in range(10):
        next(rows)
    # No row will come any more at which the loop could see that nobody is there.
    server.reset(latency=0.05, reply="useless")
    while (calls := server.calls()) < 2:
        time.sleep(0.01)
    del rows
    assert not threads() and server.calls() <= calls + 2


def test_a_second_pass_is_free_and_in_the_same_order(server: Server) -> None:
    streamed = at(server, 120, "random", streaming=True)
    first = list(streamed)
    calls = server.calls()
    assert list(streamed) == first == at(server, 120, "random").to_list() and server.calls() == calls
    state, rows = None, iter(streamed)
    for _ in range(50):
        next(rows)
        state = streamed.state_dict()
    del rows
    streamed.load_state_dict(state)
    assert list(streamed) == first[50:] and server.calls() == calls


def test_a_stream_that_nobody_reads_gives_the_run_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = at(server, 300, seed=1).to_list()
    calls = server.calls()
    rows = iter(at(server, 300, seed=1, streaming=True))
    seen = [next(rows) for _ in range(10)]
    # In this process at once: without it, the second call would wait for the first for ever.
    started = time.monotonic()
    assert at(server, 50, seed=1).to_list() == whole[:50]
    assert time.monotonic() - started < stream._Handover.IDLE / 2
    assert [*seen, *rows] == whole
    # For other processes after a while.
    monkeypatch.setattr(stream._Handover, "IDLE", 0.1)
    rows = iter(at(server, 300, seed=1, streaming=True))
    seen = [next(rows) for _ in range(100)]
    time.sleep(0.5)
    assert not threads() and [*seen, *rows] == whole
    pairs = list(zip(at(server, 300, seed=1, streaming=True), at(server, 300, seed=1, streaming=True), strict=True))
    assert [one for one, _ in pairs] == [other for _, other in pairs] == whole
    assert server.calls() == calls


@pytest.mark.slow
def test_a_stream_left_open_at_the_end_of_a_script() -> None:
    code = """
import llm_created
rows = iter(llm_created.load_dataset("csqa", model="demo", num_rows=100_000, streaming=True, split="train"))
print(next(rows)["id"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.slow
def test_a_streaming_dataset_can_be_pickled(example: Path) -> None:
    for path, how in (("csqa", {}), (example, {"label_space": "variable"})):
        streamed = demo(path, num_rows=30, streaming=True, split="train", **how)
        assert list(pickle.loads(pickle.dumps(streamed))) == list(streamed)
    code = "import pickle, sys; print(next(iter(pickle.load(sys.stdin.buffer)))['id'])"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(streamed), capture_output=True, check=True)
    assert done.stdout.decode().strip() == next(iter(streamed))["id"]


# Where it is called from.


def test_in_a_running_loop() -> None:
    async def main() -> tuple[Any, Any]:
        ready = demo("csqa", num_rows=40, split="train")
        return ready.to_list(), [*demo("csqa", num_rows=40, split="train", streaming=True)]

    ready, streamed = asyncio.run(main())
    assert ready == streamed and len(ready) == 40


def test_two_threads_read_one_run(server: Server) -> None:
    whole = at(server, 200, seed=3).to_list()
    rows: dict[int, list[Any]] = {}

    def read(number: int) -> None:
        rows[number] = [*at(server, 200, seed=3, streaming=True)]

    readers = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert rows == {0: whole, 1: whole}


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(200, 150), pytest.param((200, 200), marks=pytest.mark.slow)])
def test_the_second_process_waits_and_buys_nothing(server: Server, sizes: tuple[int, int]) -> None:
    server.reset(latency=0.15)
    code = """
import sys, llm_created
rows = llm_created.load_dataset("csqa", model="m", base_url=sys.argv[1], num_rows=int(sys.argv[2]), split="train")
print(len(rows), rows[100]["id"])
"""
    line = [sys.executable, "-c", code, server.url]
    both = [
        subprocess.Popen([*line, str(n)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for n in sizes
    ]
    told = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert [int(out.split()[0]) for out, _ in told] == list(sizes)
    assert len({out.split()[1] for out, _ in told}) == 1
    assert server.calls() == 40
    assert max(Counter(entry["id"] for entry in server.log()).values()) == 1


def test_killed_while_it_fills_the_cache(server: Server) -> None:
    server.reset(latency=0.05)
    code = "import sys, llm_created as l; l.load_dataset('csqa', model='m', base_url=sys.argv[1], num_rows=400)"
    process = subprocess.Popen([sys.executable, "-c", code, server.url], stderr=subprocess.DEVNULL)
    while server.calls() < 20 + random.randrange(20):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not in_cache() and at(server, 400).num_rows == 400
    assert server.calls() <= 80 + 32


@pytest.mark.slow
def test_imports_stay_light() -> None:
    code = f"""
import sys
heavy = {{"datasets", "torch", "transformers", "openai", "pyarrow", "numpy"}}
import llm_created
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from llm_created.tasks import builtin as tasks
for task in (*tasks.names(), {str(ROOT / "builders" / "csqa.py")!r}):
    assert tasks.load(task).task.name
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert llm_created.Builder.__module__ == "llm_created.loading.builder" and tasks.load("csqa").task.name == "csqa"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert demo("creak", "naive", num_rows=10)["train"].num_rows == 10
