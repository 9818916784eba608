"""What bad input gets: one line that says what was wrong, the value and what to do; the right exit code; nothing lost.

Exit code 2 is for a wrong call, 1 for a failed run, 3 for a run that stopped short.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets  # noqa: F401 -- a run imports it beside its requests; the next test wants it whole
import pytest
from conftest import PROXIES
from server import Server

from llm_created.cli.main import main
from llm_created.clients import openai as openai_client
from llm_created.runs.folders import cache_folder
from llm_created.runs.journal import FILE_NAME
from llm_created.runs.lock import RunLock

KEY = "sk-proj-SECRET0123456789"
QA = {"question": "Where is a seat?", "options": ["sofa", "pond", "sky"], "answer": "sofa"}
YES_NO = {"question": "Is ice cold?", "options": ["yes", "no"], "answer": "yes"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, a key, and waits between attempts that are a fiftieth of the real ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.1)
    monkeypatch.setattr(openai_client, "ODD_WAIT", 0.01)


class Cli:
    """Runs `llm-created` in this process, and checks what every error has in common."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *argv: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        try:
            code = main(list(argv))
        except SystemExit as left:
            code = int(left.code or 0)
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err and KEY not in out + err
        return code, out, err

    def wrong(self, *argv: str) -> str:
        """The one line that a wrong call gets; it leaves nothing behind."""
        code, out, err = self(*argv)
        assert (code, out) == (2, ""), err
        assert err.startswith("error: ") and err.count("\n") == 1 and len(err) < 600
        assert not Path("created").exists() and not (cache_folder() / "runs").exists()
        return err

    def failed(self, *argv: str) -> str:
        """The line that a failed run ends with."""
        code, _, err = self(*argv)
        last = err.rstrip("\n").splitlines()[-1]
        assert code == 1 and last.startswith("error: ") and len(last) < 600, err
        return last

    def short(self, *argv: str) -> str:
        """What a run that stopped short says at its end: why, and the command that goes on."""
        code, _, err = self(*argv)
        why, again = err.rstrip("\n").splitlines()[-2:]
        assert code == 3 and again.startswith(f"to go on: {shlex.join(['llm-created', *argv])}"), err
        return why


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def run_of(server: Server, *flags: str, n: int = 40) -> list[str]:
    """A run against the server, with JSON lines in `out`."""
    what = ("create", "csqa", "--model", "m", "--strategy", "random", "-n", str(n))
    return [*what, "--base-url", server.url, "--concurrency", "4", "--format", "jsonl", "--out", "out", *flags]


def rows(folder: str = "out") -> list[str]:
    path = Path(folder, "train.jsonl")
    return path.read_text("utf-8").splitlines() if path.exists() else []


def bought(server: Server) -> list[str]:
    """The ids of the requests that were answered."""
    return [entry["id"] for entry in server.log() if entry["status"] == 200]


# The formatting example


def dumps(example: Any) -> bytes:
    return json.dumps(example).encode()


@pytest.mark.parametrize(
    ("content", "flags", "said"),
    [
        (b'{"question": "a",\n "answer": }', (), "not JSON: Expecting value at line 2, column 12"),
        (b"not json at all", (), "line 1, column 1"),
        (b"[" * 100_000, (), "nested too deeply"),
        (b'{"question": ' + b"9" * 5_000 + b"}", (), "cannot be read as JSON"),
        (b"", (), "is empty"),
        (b" \n\t", (), "is empty"),
        (b"[]", (), "my.json holds no rows"),
        (dumps([QA, 3]), (), "my.json, row 2: an object is wanted, not 3"),
        (b'"text"', (), "not a text"),
        (b"null", (), "not null"),
        (b"{}", (), "the formatting example is empty"),
        (b'{"question": null}', (), "the formatting example is empty"),
        (dumps(QA) + b"\n{", (), "more than one JSON value (the second begins at line 2, column 1)"),
        (json.dumps(QA).encode("utf-16"), (), "is not UTF-8 (byte 0): save it as UTF-8"),
        ('{"question": "Où?"}'.encode("latin-1"), (), "is not UTF-8 (byte 15)"),
        (b" " * 4_000_001, (), "4,000,001 bytes: one formatting example is wanted, not a dataset"),
        (dumps(QA | {"answer": "lawn"}), ("--label-space", "variable"), "answer 'lawn' is not among its options"),
        (dumps(QA | {"answer": 0}), ("--label-space", "variable"), "answer 0 is not among its options ['sofa', "),
        (dumps(QA | {"options": ["sofa", "Sofa "]}), (), "'sofa' more than once: ['sofa', 'Sofa ']"),
        (dumps(QA | {"options": ["sofa"]}), (), "two or more entries, not 1: ['sofa']"),
        (dumps(QA | {"options": []}), (), "two or more entries, not 0"),
        (dumps(QA | {"options": ["sofa", ""]}), (), "an empty entry"),
        (dumps(QA | {"options": "sofa, pond"}), ("--options-field", "options"), "must be a list, not a text"),
        (dumps(QA | {"question": {"text": "Where?"}}), (), "'question' of the formatting example holds nested values"),
        (dumps(QA | {"options": [["sofa"], ["pond"]]}), (), "'options' of the formatting example holds nested values"),
        (dumps(QA | {"question": ""}), ("--label-space", "variable"), "'question' is empty"),
        (dumps(QA | {"question": "x" * 20_001}), ("--label-space", "variable"), "longer than 20,000 characters"),
        (dumps(QA | {"question": ["a", "b"]}), (), "several lists (question, options): say which with --options-"),
        (dumps(QA | {"id": 5}), ("--label-space", "variable"), "the field name 'id' is the library's; rename it"),
        (dumps(QA | {"Question": "x"}), ("--label-space", "variable"), "fields must be named and differ"),
        (dumps(QA | {"": "x"}), ("--label-space", "variable"), "the key '' of the formatting example is empty"),
        (dumps(QA | {"a\ud800": "x"}), ("--label-space", "variable"), r"the key 'a\ud800' of the formatting example"),
        (dumps({"options": ["a", "b"], "answer": "a"}), ("--label-space", "variable"), "no input field"),
        # What cannot be inferred: the keys seen, and the flag.
        (dumps({"text": "a", "mood": "good"}), (), "(keys seen: 'text', 'mood')"),
        (dumps({"text": "a", "answer": "good"}), (), "give its labels with --labels a,b,c"),
        (dumps({"text": "a", "mood": "good"}), ("--labels", "fine,bad"), "'mood') holds one of 'fine', 'bad'"),
        (dumps({"text": "bad", "mood": "bad"}), ("--labels", "fine,bad"), "'mood'): name it with --answer-field"),
        (dumps(QA), ("--answer-field", "anser"), "'anser' is not a key of the example; its keys are 'question', 'op"),
        (dumps(QA), ("--options-field", "choices"), "'choices' is not a key of the example; its keys are 'question'"),
        (dumps(QA), ("--options-field", "question"), "the options 'question' must be a list, not a text"),
        (dumps(QA), (), "--label-space fixed; if each row brings its own: --label-space variable"),
        # Contradictions.
        (dumps(QA), ("--labels", "sofa,pond,sky", "--label-space", "variable"), "leave out --label-space variable"),
        (dumps(QA), ("--labels", "sofa,lawn"), "--labels sofa,lawn and the example's 'options'"),
        (dumps({"text": "a", "mood": "x"}), ("--labels", "x", "--answer-field", "mood"), "two or more different"),
    ],
)  # fmt: skip
def test_a_formatting_example_that_cannot_be_used(
    cli: Cli, tmp_path: Path, content: bytes, flags: tuple[str, ...], said: str
) -> None:
    (tmp_path / "my.json").write_bytes(content)
    assert said in cli.wrong("create", "--example", "my.json", "--model", "demo", *flags)


def test_an_example_that_is_not_there_or_is_a_folder(cli: Cli, tmp_path: Path) -> None:
    assert "there is no file 'none.json': give a JSON file" in cli.wrong("create", "--example", "none.json")
    (tmp_path / "folder").mkdir()
    assert "cannot read 'folder': Is a directory" in cli.wrong("create", "--example", "folder")


def test_a_task_json_says_everything_itself(cli: Cli, tmp_path: Path) -> None:
    task = {"name": "t", "inputs": ["question"], "options": "options", "answer": "answer", "labels": ["yes", "no"]}
    (tmp_path / "task.json").write_bytes(dumps(task | {"example": YES_NO}))
    said = cli.wrong("create", "--example", "task.json", "--model", "demo", "--labels", "yes,no")
    assert "'task.json' is a task.json" in said and "leave out" in said
    del task["answer"]
    (tmp_path / "task.json").write_bytes(dumps(task | {"example": YES_NO}))
    assert "'answer' is missing" in cli.wrong("create", "--example", "task.json", "--model", "demo")


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": [1]},
        {"labels": [1, 2]},
        {"inputs": "question"},
        {"inputs": 5},
        {"num_options": "3"},
    ],
)
def test_a_task_json_with_values_of_the_wrong_kind(cli: Cli, tmp_path: Path, change: dict[str, Any]) -> None:
    task = {"name": "t", "inputs": ["question"], "options": "options", "answer": "answer", "labels": None} | change
    (tmp_path / "task.json").write_bytes(dumps(task | {"example": QA}))
    cli.wrong("create", "--example", "task.json", "--model", "demo")


def test_a_task_json_cannot_name_a_path(cli: Cli, tmp_path: Path, server: Server) -> None:
    task = {"name": "../../escaped", "inputs": ["question"], "options": "options", "answer": "answer", "labels": None}
    (tmp_path / "deep").mkdir()
    os.chdir(tmp_path / "deep")
    Path("task.json").write_bytes(dumps(task | {"example": QA}))
    code, _, _ = cli("create", "--example", "task.json", "--model", "m", "--base-url", server.url, "-n", "5")
    assert code == 0 and sorted(path.name for path in tmp_path.iterdir()) == ["deep"]


# Names, numbers, flags


def test_names_that_are_not_known_get_the_nearest(cli: Cli) -> None:
    assert "unknown task 'cqsa': did you mean 'csqa'?" in cli.wrong("create", "cqsa", "--model", "demo")
    assert "there is no builder file 'mine.py'" in cli.wrong("create", "mine.py", "--model", "demo")
    assert "unknown strategy 'tre': did you mean 'tree'?" in cli.wrong(
        "create", "csqa", "--model", "demo", "--strategy", "tre"
    )
    assert "there is no run 'nothing'" in cli.wrong("show", "nothing")
    assert "'crate'" in cli.wrong("crate")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("-n", "0"), "-n must be at least 1, not 0"),
        (("-n", "-5"), "-n must be at least 1, not -5"),
        (("-n", "many"), "'many'"),
        (("--chains", "-1"), "--chains must be at least 1, not -1"),
        (("--chains", "0"), "--chains must be at least 1, not 0"),
        (("--num-examples", "0"), "--num-examples must be from 1 to 100, not 0"),
        (("--concurrency", "0"), "--concurrency must be at least 1, not 0"),
        (("--patience", "0"), "--patience must be at least 1, not 0"),
        (("--max-tokens", "0"), "--max-tokens must be at least 1, not 0"),
        (("--temperature", "3"), "--temperature must be from 0 to 2, not 3.0"),
        (("--temperature", "nan"), "--temperature must be from 0 to 2, not nan"),
        (("--top-p", "0"), "--top-p must be above 0 and at most 1, not 0.0"),
        (("--timeout", "0"), "--timeout must be a number above 0, not 0.0"),
        (("--timeout", "inf"), "--timeout must be a number above 0, not inf"),
        (("--rpm", "-3"), "--rpm must be a number above 0, not -3.0"),
        (("--tpm", "inf"), "--tpm must be a number above 0, not inf"),
        (("--max-cost", "0"), "--max-cost must be a number above 0, not 0.0"),
        (("--max-calls", "-1"), "--max-calls must be a number above 0, not -1"),
        (("--structured", "yes"), "'yes'"),
        (("--price", "cheap"), "--price takes two numbers"),
        (("--price", "1,2,3"), "not '1,2,3'"),
        (("--no-such-flag",), "--no-such-flag"),
        (("--example", "my.json"), "give a task ('csqa') or --example ('my.json'), not both"),
        (("--label-space", "fixed"), "--label-space goes with --example"),
        (("--labels", "a,b"), "--labels goes with --example"),
        (("--paper", "--chains", "8"), "--paper sets --chains 1: leave out 8, or --paper"),
        (("--paper", "--temperature", "0.5"), "--paper sets --temperature 1.0: leave out 0.5"),
        (("--name", "../up"), "--name '../up': use up to 64 letters"),
        (("--instruction-extra", "my rules.txt"), "cannot read 'my rules.txt'"),
        (("--seed-example", "human", "--human-data", "nowhere"), "'nowhere'"),
        (("--model", ""), "--model demo"),
        (("--model", "\udcff"), r"'\udcff'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_flags_that_cannot_work(cli: Cli, flags: tuple[str, ...], said: str) -> None:
    assert said in cli.wrong("create", "csqa", "--model", "demo", *flags)


def test_no_model_shows_the_three_ways(cli: Cli) -> None:
    said = cli.wrong("create", "csqa")
    assert all(way in said for way in ("OPENAI_API_KEY", "--base-url http://localhost:8000/v1", "--model demo"))
    assert "which task? One of" in cli.wrong("create", "--model", "demo")


def test_a_cap_in_dollars_needs_a_price(cli: Cli, server: Server) -> None:
    said = cli.wrong(*run_of(server, "--max-cost", "1"))
    assert "--max-cost needs a price" in said and "--price IN,OUT" in said
    assert server.calls() == 0


def test_no_key_for_openai_itself(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    said = cli.wrong("create", "csqa", "--model", "gpt-4o-mini")
    assert all(way in said for way in ("OPENAI_API_KEY is not set", "export", "--base-url", "--model demo"))
    assert "MY_KEY is not set" in cli.wrong("create", "csqa", "--model", "gpt-4o-mini", "--api-key-env", "MY_KEY")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nonsense", "takes module:function, not 'nonsense'"),
        (".mine:check", "takes module:function"),
        ("missing_module:check", "No module named 'missing_module'"),
        ("mine:chekc", "'mine' has no function 'chekc'"),
        ("mine:NUMBER", "'mine' has no function 'NUMBER'"),
        ("broken:check", "invalid syntax (broken.py, line 2)"),
        ("raises:check", "ZeroDivisionError: division by zero (raises.py, line 1)"),
    ],
)
def test_a_filter_that_cannot_be_imported(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    for module, source in (("mine", "NUMBER = 1"), ("broken", "\ndef check(row:"), ("raises", "1 / 0")):
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    said_really = cli.wrong("create", "csqa", "--model", "demo", "--filter", name)
    assert f"--filter {name}" in said_really or repr(name) in said_really
    assert said in said_really.replace("'(' was never closed", "invalid syntax")


@pytest.mark.parametrize(
    ("body", "said"), [("return row['topic']", "KeyError: 'topic' (broke.py, line 2)"), ("return 5", "not 5")]
)
def test_a_filter_that_breaks_loses_nothing(
    cli: Cli, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    (tmp_path / "broke.py").write_text(f"def check(row):\n    {body}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "broke", raising=False)
    code, _, err = cli(*run_of(server, "--filter", "broke:check"))
    assert code == 2 and said in err.splitlines()[-1] and "broke:check" in err.splitlines()[-1]
    code, _, _ = cli(*run_of(server))
    assert code == 0 and len(bought(server)) == len(set(bought(server))) == 8


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("class X(", "mine.py, line 1"),
        ("import no_such_module", "No module named 'no_such_module' (mine.py, line 1)"),
        ("x = 1\nundefined()", "NameError: name 'undefined' is not defined (mine.py, line 2)"),
        ("", "must define one class"),
        ("from llm_created import Task\nTask('t', ())", "fields must be named"),
    ],
)
def test_a_builder_file_that_cannot_be_used(cli: Cli, tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(source)
    error = cli.wrong("create", "mine.py", "--model", "demo")
    assert said in error or said in error.replace("(mine.py, line 1)", "mine.py, line 1")


def test_an_instruction_file_may_have_any_name(cli: Cli, server: Server, tmp_path: Path) -> None:
    (tmp_path / "my rules.txt").write_text("Foxes.")
    (tmp_path / "latin.txt").write_bytes("Où".encode("latin-1"))
    flags = ("csqa", "--model", "m", "--base-url", server.url, "--instruction-extra", "my rules.txt")
    code, out, _ = cli("preview", *flags)
    assert code == 0 and "Foxes." in out and "my rules" not in out
    said = cli("create", "csqa", "--model", "demo", "--instruction-extra", "latin.txt")
    assert said[0] == 2 and "'latin.txt' is not UTF-8" in said[2]


# Folders


def test_an_out_folder_that_holds_other_things(cli: Cli, server: Server, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    assert "--out 'out' holds other files (thesis.tex): give an empty or a new" in cli.wrong(*run_of(server))
    for run in ("5", '["x"]', '{"run": 5}', "\x00"):
        (tmp_path / "out" / "run.json").write_text(run)
        assert "--out 'out' holds" in cli.wrong(*run_of(server))
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    assert "--out 'file' cannot be written: File exists" in cli.wrong(
        "create", "csqa", "--model", "demo", "--out", "file"
    )
    assert "--out 'file/x' cannot be written" in cli.wrong("create", "csqa", "--model", "demo", "--out", "file/x")


def test_an_out_folder_of_another_run(cli: Cli, server: Server) -> None:
    assert cli(*run_of(server))[0] == 0
    before = rows()
    code, _, err = cli(*run_of(server, "--seed", "7"))
    assert code == 2 and "--out 'out' holds the rows of the run" in err and "give another folder" in err
    assert rows() == before


@pytest.mark.parametrize("below", ["a file", "/proc/none"])
def test_a_cache_that_cannot_be_written(
    cli: Cli, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    folder = tmp_path / below
    if below == "a file":
        folder.write_text("")
    monkeypatch.setenv("LLM_CREATED_CACHE", str(folder / "cache"))
    said = cli.failed(*run_of(server))
    assert f"cannot write or lock {folder / 'cache'}" in said and "Set LLM_CREATED_CACHE" in said
    assert server.calls() == 0


def journal_file() -> Path:
    (path,) = (cache_folder() / "runs").glob(f"*/{FILE_NAME}")
    return path


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage " * 4_000)


def truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 // 4096 * 4096])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5_000])


def scribbled(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4_096] + b"\xff" * (len(content) - 4_096))


def odd_header(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE header SET value = '{'")
    db.close()


@pytest.mark.parametrize("damage", [garbage, truncated, cut, scribbled, odd_header])
def test_a_damaged_journal_is_named_and_left_alone(cli: Cli, server: Server, damage: Callable[[Path], None]) -> None:
    assert cli(*run_of(server))[0] == 0
    path, before = journal_file(), rows()
    damage(path)
    damaged, calls = path.read_bytes(), server.calls()
    said = cli.failed(*run_of(server, n=80))
    assert f"the journal {path} is damaged" in said and "Nothing was deleted" in said
    assert path.read_bytes() == damaged and rows() == before and server.calls() == calls
    assert f"the journal {path} is damaged" in cli("runs")[2]
    assert f"the journal {path} is damaged" in cli.failed("show", path.parent.name[:8])


def test_a_journal_of_another_version(cli: Cli, server: Server) -> None:
    assert cli(*run_of(server))[0] == 0
    with sqlite3.connect(journal_file()) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    said = cli.failed(*run_of(server, n=80))
    assert f"{journal_file()} is of journal version 99" in said and "move the file away" in said


def test_a_second_process_on_one_run_ends_at_once(cli: Cli, server: Server) -> None:
    assert cli(*run_of(server))[0] == 0
    lock, before = RunLock(journal_file().parent), rows()
    lock.acquire(wait=False)
    try:
        calls = server.calls()
        said = cli.failed(*run_of(server, n=80))
    finally:
        lock.release()
    assert f"another process is working on the run {journal_file().parent.name[:8]}" in said
    assert server.calls() == calls and rows() == before


def limited(size: int) -> Callable[[], None]:
    """Before a subprocess starts: no file of its may grow beyond `size`, which is how a full disk is met."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def start(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **how)
    assert "Traceback" not in done.stderr and "exception" not in done.stderr.lower(), done.stderr
    assert KEY not in done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_files_that_cannot_grow(server: Server, cli: Cli) -> None:
    """A disk that is full for the journal, in mid-run: what was written before is not bought again."""
    server.reset(latency=0.01)
    command = [sys.executable, "-m", "llm_created", *run_of(server, n=400)]
    done = start(command, preexec_fn=limited(600_000))
    assert done.returncode == 1
    assert f"error: cannot use the journal {journal_file()}" in done.stderr.splitlines()[-1]
    assert "run the same command again" in done.stderr.splitlines()[-1]
    stored = server.calls()
    assert stored > 8
    assert cli(*run_of(server, n=400))[0] == 0
    assert len(rows()) == 400
    assert len(bought(server)) - len(set(bought(server))) <= 4


@pytest.mark.parametrize("form", ["jsonl", "parquet", "arrow"])
def test_an_out_folder_that_is_full(server: Server, cli: Cli, form: str) -> None:
    assert cli(*run_of(server))[0] == 0
    calls, disk = server.calls(), Path("disk")
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        last = cli.failed(*run_of(server, "--format", form, "--out", "disk/new"))
        assert last.startswith("error: cannot write 'disk/new")
        assert "No space left on device. The replies are kept" in last
        assert list(Path("disk/new").iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        assert cli(*run_of(server, "--out", "disk/new"))[0] == 0
        assert rows("disk/new") == rows() and server.calls() == calls
        assert [path.name for path in disk.iterdir()] == ["new"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_full_disk_under_the_cache(
    server: Server, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system cannot be mounted here")
    try:
        monkeypatch.setenv("LLM_CREATED_CACHE", str(disk))
        said = cli.failed(*run_of(server, n=600))
        assert "cannot use the journal" in said and "full" in said
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        assert cli(*run_of(server, n=600))[0] == 0
        assert len(rows()) == 600 and len(bought(server)) - len(set(bought(server))) <= 4
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# Servers


def test_a_wrong_key_ends_the_run_and_shows_in_no_file(server: Server, cli: Cli, tmp_path: Path) -> None:
    assert cli(*run_of(server))[0] == 0
    server.reset(error="unauthorized")
    said = cli.failed(*run_of(server, n=100))
    assert "refused the API key (401): check OPENAI_API_KEY" in said and "[key]" in said
    files = [path for folder in (tmp_path, cache_folder()) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"error": "unknown_model"}, "unknown model 'm'"),
        ({"error": "no_credit"}, "no credit left"),
        ({"error": "server_down", "retry_after": 0.001}, "requests got no reply: the server still answered 503"),
        ({"rate_drop": 1.0}, "cannot get an answer from http://127.0.0.1"),
        ({"rate_cut": 1.0}, "cannot get an answer from http://127.0.0.1"),
        ({"reply": "html"}, "does --base-url end in /v1"),
        ({"reply": "list"}, "no chat completion but '[]'"),
        ({"reply": "error_200"}, "Provider returned error"),
        ({"refuses": ["response_format"]}, "use --structured auto or off"),
        ({"status": 405}, "answered 405"),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_servers_that_give_no_reply_fail_the_run(
    server: Server, cli: Cli, settings: dict[str, Any], said: str
) -> None:
    server.reset(**settings)
    assert said in cli.failed(*run_of(server, *(("--structured", "on") if "refuses" in settings else ())))
    assert rows() == []


def test_a_server_that_is_not_there_or_hangs(server: Server, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    there = run_of(server)
    at = there.index("--base-url") + 1
    said = cli.failed(*there[:at], "http://127.0.0.1:9/v1", *there[at + 1 :])
    assert "cannot get an answer from http://127.0.0.1:9" in said and "--base-url right?" in said
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    said = cli.failed(*there[:at], "http://nonexistent.invalid/v1", *there[at + 1 :])
    assert "cannot get an answer from http://nonexistent.invalid" in said
    server.reset(hang=1.0)
    assert "no answer within 0.05 seconds (--timeout)" in cli.failed(*run_of(server, "--timeout", "0.05"))


def test_an_outage_in_mid_run_ends_it_and_the_same_command_goes_on(server: Server, cli: Cli) -> None:
    server.reset(stop_after=11)
    assert "What came is kept; run the same command again" in cli.failed(*run_of(server, n=100))
    first = bought(server)
    server.reset()
    assert cli(*run_of(server, n=100))[0] == 0
    assert len(first) == 11 and not set(first) & set(bought(server))
    assert len(rows()) == 100


def test_a_storm_costs_no_row(server: Server, cli: Cli) -> None:
    assert cli(*run_of(server, n=100))[0] == 0
    calm = rows()
    server.reset(rate_429=0.2, rate_500=0.2, rate_drop=0.1, retry_after=0.01)
    code, _, _ = cli(*run_of(server, "--model", "m2", "--out", "stormy", n=100))
    assert code == 0 and len(rows("stormy")) == 100
    assert [json.loads(row)["question"] for row in rows("stormy")] == [json.loads(row)["question"] for row in calm]


@pytest.mark.parametrize(
    ("settings", "reason", "sample"),
    [
        ({"reply": "useless"}, "not_json", "the weather"),
        ({"reply": "text:[1, 2]"}, "not_json", "[1, 2]"),
        ({"reply": "text:{\"a\": 1}"}, "missing_field", '{"a": 1}'),
        ({"reply": "refusal"}, "refusal", "can't help"),
        ({"error": "context_length"}, "prompt_too_long", "maximum context length"),
        ({"error": "content_filter"}, "content_filter", "filtered"),
        ({"wrong_answer_rate": 1.0}, "answer_not_in_options", "about the"),
        ({"reply": "empty"}, "empty_reply", ""),
        ({"reply": "deep"}, "not_json", "[[[["),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else None,
)  # fmt: skip
def test_a_model_that_never_gives_a_row_ends_the_run(
    server: Server, cli: Cli, settings: dict[str, Any], reason: str, sample: str
) -> None:
    server.reset(**settings)
    why = cli.short(*run_of(server, "--patience", "5"))
    assert f"no new row in 5 turns in a row, most often {reason!r}" in why and sample in why and "--patience" in why
    assert "\x1b" not in why and len(why) < 400
    assert server.calls() <= 5 + 8 and rows() == []


def test_a_model_that_repeats_itself_is_shown_too(server: Server, cli: Cli) -> None:
    row = {"question": "Where is the one seat?", "options": ["a", "b", "c", "d", "e"], "answer": "a"}
    server.reset(reply=f"text:{json.dumps(row)}")
    why = cli.short(*run_of(server, "--patience", "5"))
    assert "most often 'duplicate'" in why and len(rows()) == 1
    assert "Where is the one seat?" in why


def test_wild_replies_cost_themselves_alone(server: Server, cli: Cli) -> None:
    for reply in ("control", "huge", "deep"):
        server.reset(reply=reply, reply_share=0.3, structured=False)
        code, out, _ = cli(*run_of(server, "--model", reply, "--out", reply))
        assert code == 0 and len(rows(reply)) == 40
        assert not any(ord(character) < 32 and character != "\n" for character in out)


# Leaving


class Running:
    """`llm-created create` in a process of its own."""

    def __init__(self, server: Server, *flags: str, n: int = 200) -> None:
        self.argv = run_of(server, *flags, n=n)
        command = [sys.executable, "-m", "llm_created", *self.argv]
        self._server = server
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def until(self, calls: int) -> None:
        """Wait until the server has seen so many requests."""
        deadline = time.monotonic() + 30
        while self._server.calls() < calls:
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.01)

    def until_it_says(self, words: str) -> None:
        assert self.process.stderr
        while words not in (line := self.process.stderr.readline()):
            assert line

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=30)
        assert "Traceback" not in out + err and "never retrieved" not in err
        return self.process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_drains_writes_the_prefix_and_says_how_to_go_on(
    server: Server, cli: Cli, number: signal.Signals
) -> None:
    server.reset(latency=0.1)
    running = Running(server)
    running.until(9)
    running.process.send_signal(number)
    code, _, err = running.ended()
    log, prefix = server.log(), rows()
    assert code == 3
    assert err.rstrip("\n").splitlines()[-1] == f"to go on: {shlex.join(['llm-created', *running.argv])}"
    assert "requests that are paid for" in err and f"stopped at {len(prefix)} of 200 rows: interrupted" in err
    assert {entry["status"] for entry in log} == {200} and len(log) < 40
    assert 0 < len(prefix) < 200
    server.reset()
    assert cli(*running.argv)[0] == 0
    assert not {entry["id"] for entry in log} & set(bought(server))
    assert rows()[: len(prefix)] == prefix and len(rows()) == 200


def test_a_second_interrupt_leaves_at_once(server: Server, cli: Cli) -> None:
    server.reset(hang=1.0)
    running = Running(server)
    running.until(4)
    running.process.send_signal(signal.SIGINT)
    running.until_it_says("Ctrl-C again leaves at once")
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=10) == 130
    assert rows() == []
    running.ended()
    server.reset()
    assert cli(*running.argv)[0] == 0


@pytest.mark.slow
def test_a_real_second_process_is_told_while_the_first_goes_on(server: Server, cli: Cli) -> None:
    server.reset(latency=0.3)
    running = Running(server, n=100)
    running.until(1)
    said = cli.failed(*run_of(server, "--out", "elsewhere", n=100))
    assert "another process is working on the run" in said
    assert running.ended()[0] == 0 and len(rows()) == 100


@pytest.mark.slow
def test_a_failed_run_leaves_its_process_cleanly(server: Server) -> None:
    """While the libraries that the end would have needed are still being imported beside it."""
    server.reset(error="unauthorized")
    for _ in range(3):
        done = start([sys.executable, "-m", "llm_created", *run_of(server)])
        assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("error: the server refused")


def test_a_journal_cut_to_nothing_is_not_taken_for_a_new_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["create", "csqa", "--model", "demo", "-n", "20", "--out", str(tmp_path / "out")]) == 0
    journal = next(Path(os.environ["LLM_CREATED_CACHE"]).glob("runs/*/journal.sqlite"))
    journal.write_bytes(b"")
    capsys.readouterr()
    assert main(["create", "csqa", "--model", "demo", "-n", "40", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert str(journal) in said and "empty" in said and "Nothing was deleted" in said


def test_one_more_example_is_another_run_and_says_so(cli: Cli, tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"Text number {at} of mine.", "label": "ab"[at % 2]}) for at in range(4)]
    line = ["create", "--example", "mine.jsonl", "--model", "demo", "-n", "5", "--format", "jsonl"]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines[:3]))
    assert "another run" not in cli(*line)[2]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    said = cli(*line)[2]
    assert "3 formatting examples, this one 4 formatting examples: another run, which begins anew" in said
    assert "another run" not in cli(*line)[2]
    assert "another run" not in cli("create", "agnews", "--method", "simprompt", "--model", "demo", "-n", "2")[2]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--label", "tone"), "--answer-field 'tone' is no column: the columns are 'text', 'label'"),
        (("--text", "body"), "--fields 'body' is no column: the columns are 'text', 'label'"),
        (("--text", "label", "--label", "label"), "--fields names 'label', which is the answer or the options"),
        (("--aside", "why"), "--aside 'why' is no column"),
        (("--labels", "a,c"), "mine.csv, row 2: its label 'b' is none of ['a', 'c']: correct it or leave it out"),
        (("--label-space", "variable"), "--label-space variable: no column lists a row's options"),
        (("--paper",), "--paper begins with one formatting example, and 2 are given"),
        (("--shown", "1", "--strategy", "pool"), "--shown must be from 2 to 32, not 1"),
        (("--seed-example", "human", "--human-data", "."), "--seed-example human draws one formatting example, and 2"),
    ],
)
def test_examples_in_a_file_that_cannot_be_used(cli: Cli, tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    (tmp_path / "mine.csv").write_text("text,label\none text,a\ntwo texts,b\n")
    code, out, err = cli("create", "--example", "mine.csv", "--model", "demo", "-n", "2", *flags)
    last = err.rstrip("\n").splitlines()[-1]
    assert (code, out) == (2, "") and last.startswith("error: ") and said in last
