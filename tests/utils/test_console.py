"""Nothing that a model, a stranger or a command line says can act on the terminal; what can be read stays as it is."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
import textwrap
import unicodedata
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server import Server

from llm_created.cli.live import describe
from llm_created.cli.main import main
from llm_created.creation.progress import Tally
from llm_created.reports.markdown import block, fence, inline
from llm_created.runs import folders, journal
from llm_created.utils import console

ROOT = Path(__file__).resolve().parents[2]
# Sets the title, turns red by C1, reorders, isolates, breaks a line.
EVIL = "a\x1b]0;owned\x07b\x9b31mc\u202etxt.exe\u2066d\u200f\u061c\u2028e"
# What stays in a row, whose other controls are dropped when it is read.
BIDI = "see \u202etxt.exe\u202c and \u2067this\u2069"
READABLE = (
    "plain ASCII, with \t a tab",
    "日本語と한국어 (CJK)",
    "עברית and العربية from right to left",
    "e\u0301 o\u0308 combining",
    "👩\u200d👩\u200d👧 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f ❤️",
    "क्\u200dष می\u200cخواهم",
    "\\x1b is not what it spells",
)


def acts(text: str) -> list[str]:
    """The characters of an output that do more than be read, by what Unicode says of them."""
    embeds = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return [
        one
        for one in text
        if (unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") and one not in "\n\t")
        or unicodedata.bidirectional(one) in embeds
        or one in "\u200e\u200f\u061c"
    ]


class Cli:
    """Runs `llm-created` in this process; nothing that it says may act."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *argv: str | Path) -> tuple[int, str, str]:
        self._capsys.readouterr()
        try:
            code = main([str(one) for one in argv])
        except SystemExit as left:
            code = int(left.code or 0)
        out, err = self._capsys.readouterr()
        assert not acts(out + err), (out, err)
        return code, out, err


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    return Cli(capsys)


def rows(number: int, text: str) -> list[dict[str, object]]:
    return [{"sentence": f"{text} {at}", "answer": ("good", "bad")[at % 2]} for at in range(number)]


def write(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in records), "utf-8")
    return path


def task(folder: Path, name: str = "movies") -> Path:
    """A `task.json`."""
    path = folder / "task.json"
    value = {"name": name, "inputs": ["sentence"], "options": "options", "answer": "answer", "labels": ["good", "bad"]}
    path.write_text(json.dumps(value), "utf-8")
    return path


def example(folder: Path) -> Path:
    path = folder / "example.json"
    path.write_text(json.dumps({"sentence": "It was.", "options": ["good", "bad"], "answer": "good"}), "utf-8")
    return path


def created(cli: Cli, server: Server, text: str, *more: str) -> str:
    """The digest of a run of three rows with this text in them."""
    reply = "\n".join(json.dumps({"sentence": f"{text} {at}", "answer": "good"}) for at in range(3))
    server.reset(reply=f"text:{EVIL}\n{reply}")
    asked = ["--example", str(example(Path())), "--label-space", "fixed", "--model", "m", "--base-url", server.url]
    code, out, err = cli("create", *asked, "-n", "3", "--strategy", "naive", *more)
    assert code == 0, err
    found = re.search(r"^run (\w+)", out)
    assert found
    return found[1]


# The doors.

# Not an alphabet: the few characters that matter would drown in it.
TEXTS = st.lists(
    st.characters() | st.sampled_from(sorted({*EVIL, *BIDI, *"日本語👧", "\r", "\x85", "\u200e", "\ud800"}))
).map("".join)


@given(TEXTS)
def test_what_goes_through_a_door_is_harmless_and_else_unchanged(text: str) -> None:
    shown = console.harmless(text)
    assert not acts(shown)
    assert shown == text or acts(text)
    assert console.harmless(shown) == shown
    for door, redirect in ((console.out, redirect_stdout), (console.say, redirect_stderr)):
        said = io.StringIO()
        with redirect(said):
            door(text)
        assert said.getvalue() == shown.replace("\n", "\\n") + "\n"


@given(TEXTS, st.sampled_from(["ascii", "latin-1", "cp1252", "shift_jis", "utf-16", "utf-8"]))
def test_a_stream_of_any_encoding_takes_any_text(text: str, encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding, errors="strict", newline="\n")
    with redirect_stdout(stream):
        console.out(text)
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding).endswith("\n")  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", READABLE)
def test_what_can_be_read_is_not_touched(text: str) -> None:
    assert console.harmless(text) == text


def test_what_acts_is_spelled_out() -> None:
    assert console.harmless(EVIL) == r"a\x1b]0;owned\x07b\x9b31mc\u202etxt.exe\u2066d\u200f\u061c\u2028e"
    assert console.harmless("over\rwritten \ud800") == r"over\rwritten \ud800"
    assert console.harmless("Windows\r\nlines") == "Windows\nlines"


@given(TEXTS, st.integers(20, 100))
def test_widths_count_what_is_shown(text: str, width: int) -> None:
    for line in (console.fit(text, width), *console.wrap(text, width, "  ", "    ")):
        assert console.columns(line) <= width and not acts(line)
    assert console.wrap(text.replace("\t", " "), 10**9) == textwrap.wrap(
        console.harmless(text.replace("\t", " ")), 10**9
    )


def test_columns_are_those_of_a_terminal() -> None:
    assert [console.columns(text) for text in ("abc", "日本語", "e\u0301", "👧", "עברית", r"\u202e")] == [
        3,
        6,
        1,
        2,
        5,
        6,
    ]
    assert console.fit("日本語", 6) == "日本語" and console.fit("日本語の", 6) == "日本…"
    assert console.wrap("日本語の映画 film", 9) == ["日本語の", "映画", "film"]
    assert console.left("日本", 6) + "|" == "日本  |" and console.right("日本", 6) == "  日本"


def test_the_live_lines_keep_our_codes_and_no_others() -> None:
    tally = Tally(10, 1, 1, 0, 0, Counter({EVIL: 1}), 0, 0.0)
    to = io.StringIO()
    console.rewrite(describe(tally, 1.0, 200), 2, to)
    ours, shown = to.getvalue()[:13], to.getvalue()[13:]
    assert ours == "\r\x1b[2K\x1b[1A\x1b[2K" and "owned" in shown and not acts(shown)


def test_a_stream_that_was_closed_before_the_start_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["create", "creak", "--model", "demo", "-n", "20", "--out", str(tmp_path), "--name", "quiet"]) == 0
    assert main(["show", "quiet"]) == 0
    assert main(["show", "nothing"]) == 2


SOURCES = [*(ROOT / "llm_created").rglob("*.py"), *(ROOT / "train").rglob("*.py"), *(ROOT / "builders").rglob("*.py")]


FOR_THE_DOOR = ("print", "input", "logging.basicConfig", "logging.StreamHandler")


def breaks(source: str) -> list[str]:
    """Where a source goes past the doors."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        writes = re.fullmatch(r"sys\.(__)?std(out|err)(__)?(\.buffer)?\.write\w*", called)
        if writes or called in FOR_THE_DOOR or called.endswith("ArgumentParser"):
            found.append(f"line {node.lineno}: {called}")
        if called == "warnings.warn" and not isinstance(node.args[0], ast.Constant):
            text = ast.unparse(node.args[0])
            found += [f"line {node.lineno}: {text}"] if "harmless(" not in text and "num_proc" not in text else []
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_goes_past_the_doors(path: Path) -> None:
    found = breaks(path.read_text("utf-8"))
    if path.name == "console.py":
        assert len(found) == 2, "it holds the one input() and the one basicConfig()"
    elif path.name == "arguments.py":
        # A parser for dataclasses, which is one of ours as well.
        assert "class Parser(console.Parser, HfArgumentParser)" in path.read_text("utf-8")
    else:
        assert not found


def test_the_rule_sees_what_it_is_for() -> None:
    for line in ("print(1)", "sys.stderr.write('')", "argparse.ArgumentParser()", "warnings.warn(text)", "input('?')"):
        assert breaks(line), line


# What commands say.


@pytest.mark.parametrize(
    "argv",
    [
        ["show", EVIL],
        ["show", f"first\nerror: forged {BIDI}"],
        ["create", EVIL, "--model", "demo"],
        ["create", "csqa", "--strategy", EVIL, "--model", "demo"],
        ["create", "csqa", "--method", BIDI, "--model", "demo"],
        ["create", "csqa", "--model", EVIL],
        ["create", "csqa", "--model", "demo", "-n", "3", "--name", EVIL],
        ["create", "csqa", "--model", "demo", "-n", EVIL],
        ["create", "csqa", "--model", "demo", "--filter", BIDI],
        ["create", "--example", f"{BIDI}.json", "--model", "demo"],
        ["create", "csqa", "--model", "m", "--base-url", BIDI],
        ["check", f"{BIDI}.jsonl", "--task", "creak"],
        ["label", f"{BIDI}.jsonl", "--task", BIDI, "--model", "demo"],
        ["compare", EVIL, BIDI],
        ["evaluate", BIDI, "--on", BIDI],
        ["report", EVIL],
        ["push", EVIL, BIDI],
        ["push-model", BIDI, BIDI],
        [EVIL],
        ["runs", EVIL, "\nerror: forged"],
        ["show", "x", f"--{EVIL}"],
    ],
    ids=lambda argv: ascii(" ".join(argv))[:40],
)
def test_an_error_that_repeats_what_was_typed_is_one_harmless_line(argv: list[str], cli: Cli) -> None:
    code, out, err = cli(*argv)
    assert (code, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1, err


def test_a_run_with_hostile_replies_rows_and_names(cli: Cli, server: Server, tmp_path: Path) -> None:
    run = created(cli, server, BIDI)
    folder = next((folders.cache_folder() / "runs").glob(f"{run}*"))
    with journal.Journal(folder) as opened:
        stored = opened.get("task")
        identity = opened.get("identity")
    with journal.Journal(folder, identity) as opened:  # as somebody else's journal may come
        opened._db.execute("UPDATE readings SET name = ?", (f"n\n{EVIL}",))
        opened.set("price", [1.0, 2.0, EVIL])
    code, out, _ = cli("show", run, "--sample", "3")
    assert code == 0 and r"see \u202etxt.exe\u202c and \u2067this\u2069 0" in out
    assert all(len(line) <= 100 for line in out.splitlines())
    code, out, _ = cli("runs")
    assert code == 0 and "owned" in out and out.count("\n") == 1
    with journal.Journal(folder, identity) as opened:
        opened.set("task", stored | {"name": f"n{EVIL}"})
    for command in ("show", "report"):
        cli(command, run)
    cli("runs")
    page = next(tmp_path.glob("report-*.html"), None)
    if page:
        title = re.search(r"<title>(.*?)</title>", page.read_text("utf-8"), re.DOTALL)
        assert title and not acts(title[1])


def test_what_a_preview_shows_of_prompt_and_reply(cli: Cli, server: Server, tmp_path: Path) -> None:
    server.reset(reply=f"text:{EVIL}")
    asked = ["--example", str(example(tmp_path)), "--label-space", "fixed", "--model", "m", "--base-url", server.url]
    _, out, _ = cli("preview", *asked, "-n", "3")
    assert r"a\x1b]0;owned\x07b\x9b31mc\u202etxt.exe" in out


def test_a_server_s_error_text(cli: Cli, server: Server, tmp_path: Path) -> None:
    server.reset(error="unknown_model")
    asked = ["--example", str(example(tmp_path)), "--label-space", "fixed", "--base-url", server.url]
    code, _, err = cli("create", *asked, "--model", f"m{BIDI}", "-n", "3")
    assert code == 1 and "does not exist" in err and r"\u202e" in err


def test_check_label_compare_and_evaluate(cli: Cli, server: Server, tmp_path: Path) -> None:
    of = task(tmp_path)
    there = write(tmp_path / f"{BIDI}.jsonl", [*rows(20, BIDI), *rows(2, BIDI)])
    bad = write(tmp_path / "bad.jsonl", [*rows(20, BIDI), *rows(2, BIDI), {"sentence": BIDI, "answer": BIDI}])
    code, out, err = cli("check", bad, "--task", of, "--check-against", there, "--report", tmp_path / "found.jsonl")
    assert code == 0 and r"answer_not_in_options" in out and r"row 21: see \u202etxt.exe" in out, err
    assert all(len(line) <= 80 for line in out.splitlines() if not line.startswith("written:"))
    code, out, err = cli("label", there, "--task", of, "--model", "demo", "--votes", "3")
    assert code == 0 and r"\u202e" in out, err
    code, out, err = cli("evaluate", there, "--on", there, "--task", of)
    assert code == 0 and r"\u202e" in out and r"\u202e" in err, err  # and the warning of a leak
    one, two = created(cli, server, BIDI, "--name", "one"), created(cli, server, BIDI, "--seed", "7")
    for form in ("text", "markdown"):
        assert cli("compare", one, two, "--format", form)[0] == 0


@pytest.mark.parametrize("name", [EVIL, BIDI, f"two\nlines {BIDI}"])
def test_a_name_in_a_task_json(name: str, cli: Cli, tmp_path: Path) -> None:
    of, there = task(tmp_path, name), write(tmp_path / "rows.jsonl", rows(20, BIDI))
    for argv in (
        ["check", there, "--task", of],
        ["label", there, "--task", of, "--model", "demo"],
        ["evaluate", there, "--on", there, "--task", of],
        ["check", write(tmp_path / "bad.jsonl", [{"x": 1}]), "--task", of],
    ):
        _, out, err = cli(*argv)
        assert not re.search(r"^lines", out + err, re.MULTILINE)


def test_what_a_model_proposes(cli: Cli, server: Server) -> None:
    proposed = json.dumps({f"place {BIDI}": ["here", f"there {BIDI}"], f"x{EVIL}": 3})
    server.reset(reply=f"text:{proposed}")
    asked = ["--attributes", "ask", "--method", "attrprompt", "--model", "m", "--base-url", server.url]
    code, out, err = cli("create", "sst2", *asked, "-n", "3")
    assert code == 0 and r"there see \u202etxt.exe" in out and "left out" in err


# Streams that cannot show everything, and readers who leave.


MAIN = "import sys; from llm_created.cli.main import main; sys.exit(main())"


def process(code: str, *argv: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", code, *argv]
    return subprocess.run(command, capture_output=True, env=os.environ | environment, check=False)


@pytest.mark.parametrize(
    "environment",
    [{"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii:strict"},
     {"PYTHONIOENCODING": "latin-1"}],
    ids=["C", "ascii", "latin-1"],
)  # fmt: skip
def test_show_where_the_terminal_knows_few_signs(environment: dict[str, str], cli: Cli, server: Server) -> None:
    run = created(cli, server, f"日本 é 👩\u200d👧 {BIDI}")
    done = process(MAIN, "show", run, **environment)
    out = done.stdout.decode("latin-1" if "latin-1" in environment.values() else "ascii")
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    assert not acts(out) and r"\u65e5\u672c" in out and r"\u202etxt.exe" in out
    assert "asked" in out and "->" in out and all(len(line) <= 100 for line in out.splitlines() if "\\u" not in line)
    wrong = process(MAIN, "show", "日", **environment)
    assert wrong.returncode == 2 and wrong.stderr.startswith(b"error: ") and b"\\u" in wrong.stderr


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("argv", ["show {run} --sample 3", "runs", "--help", "show nothing"])
def test_a_reader_who_leaves_is_told_nothing(argv: str, both: bool, cli: Cli, server: Server, tmp_path: Path) -> None:
    run = created(cli, server, "A film")
    gone, end = os.pipe()
    os.close(gone)
    with (tmp_path / "err").open("wb") as err:
        arguments = [sys.executable, "-c", MAIN, *argv.format(run=run).split()]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(arguments, stdout=end, stderr=end if both else err, env=buffered, check=False)
    os.close(end)
    said = (tmp_path / "err").read_text("utf-8")
    assert "Traceback" not in said and "BrokenPipe" not in said
    assert done.returncode == (2 if argv == "show nothing" and not both else 0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_full_disk_behind_the_output_is_one_line() -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-c", MAIN, "runs"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=buffered, check=False)
    assert done.returncode == 1 and re.fullmatch(rb"error: the output cannot be written: .+\n", done.stderr), done


def test_log_records_go_through_the_door() -> None:
    code = (
        r"from llm_created.utils import console; import logging; "
        r"console.show_logs(); logging.getLogger('x').warning(%s)"
    )
    done = process(code % ascii(f"{EVIL}\nsecond"), PYTHONIOENCODING="utf-8")
    assert not acts(done.stderr.decode()) and done.stderr.decode().count("\n") == 2 and b"owned" in done.stderr


def test_the_commands_for_models(capsys: pytest.CaptureFixture[str]) -> None:
    from llm_created.train.arguments import Finetune, command
    from llm_created.train.compare import main as compare

    for argv in ([EVIL], ["a.jsonl", f"{EVIL}.jsonl"]):
        assert compare(argv) in (1, 2)
        said = capsys.readouterr()
        assert not acts(said.out + said.err) and said.err.startswith("error: ") and said.err.count("\n") == 1
    with pytest.raises(SystemExit):
        compare(["results", f"--{EVIL}"])
    assert not acts(capsys.readouterr().err)
    with pytest.raises(SystemExit):
        command(Finetune, lambda args: None, "about", ["--train", "x", "--seed", EVIL])
    with pytest.raises(SystemExit):
        command(Finetune, lambda args: None, "about", ["--train", "x", f"--{EVIL}"])
    said = capsys.readouterr()
    assert not acts(said.out + said.err) and "owned" in said.err and said.err.count("\n") == 2


# Pages and cards.


@pytest.mark.parametrize("shown", [inline, block, fence])
def test_cards_show_what_reorders_spelled_out(shown: object) -> None:
    for text in (EVIL, BIDI, "\u061c"):
        assert not acts(shown(text))  # type: ignore[operator]
    assert "עברית 👩\u200d👧" in shown("עברית 👩\u200d👧")  # type: ignore[operator]
