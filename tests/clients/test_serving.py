"""A server that is started for a run: it answers, one line tells of it when it does not, and it never outlives us."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PROXIES

import llm_created
from llm_created.cli.main import main

SERVED = str(Path(__file__).with_name("served.py"))


def alive(process: int) -> bool:
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
    return bool(said) and not said.startswith("Z")


def gone(folder: Path, within: float = 30.0) -> bool:
    """Whether all processes of the servers that ran in this folder have ended."""
    until = time.monotonic() + within
    processes = [int(one) for one in (folder / "processes").read_text().split()]
    while any(map(alive, processes)) and time.monotonic() < until:
        time.sleep(0.05)
    return bool(processes) and not any(map(alive, processes))


def command(folder: Path, **how: Any) -> str:
    """What is given to `serve`."""
    return shlex.join([sys.executable, SERVED, "{port}", str(folder), json.dumps(how)])


def told(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "told.json").read_text()))


def log() -> Path:
    (found,) = Path(os.environ["LLM_CREATED_CACHE"]).glob("*/*/server.log")
    return found


@pytest.fixture
def create(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`llm-created create` in this process: its code, and what it tells the person."""

    def run(serve: str, *flags: str, model: str = "m") -> tuple[int, str]:
        line = ["create", "csqa", "--strategy", "naive", "--format", "jsonl", "--out", str(tmp_path / "out")]
        try:
            code = main([*line, "--model", model, "--serve", serve, "-n", "20", *flags])
        except SystemExit as left:
            code = int(left.code or 0)
        return code, capsys.readouterr().err

    return run


def start(folder: Path, *flags: str, until: str = "asked", **how: Any) -> subprocess.Popen[str]:
    """A run in a process of its own, whose server has come as far as the file `until` says."""
    line = [sys.executable, "-m", "llm_created", "create", "csqa", "--strategy", "naive", "--model", "m", "-n", "2000"]
    line += ["--out", str(folder / "out"), "--serve", command(folder, **how), *flags]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (folder / until).exists() and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None
    return process


def test_a_run_starts_its_server_ends_it_and_needs_none_where_it_buys_nothing(
    create: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):  # the proxies of the environment lead nowhere
        monkeypatch.delenv(name)
    assert os.environ[PROXIES[0]]
    for name in ("OPENAI_API_KEY", "VLLM_API_KEY", "MY_KEY"):
        monkeypatch.setenv(name, "sk-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    model = """a "b' c; touch x {port} $(id) --host 0"""
    serve = command(tmp_path, workers=True, health=[503, 500, 200]) + " --name={model}"
    code, said = create(serve, "--api-key-env", "MY_KEY", model=model)
    assert code == 0 and "another one" not in said
    before = told(tmp_path)
    assert before["argv"][-1] == f"--name={model}" and len(before["argv"]) == 5
    assert not {"OPENAI_API_KEY", "VLLM_API_KEY", "MY_KEY"} & set(before["env"])
    assert gone(tmp_path), "its workers, too, and what has left its group"
    rows = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    assert len(rows) == 20

    (tmp_path / "told.json").unlink()
    assert create(serve, model=model)[0] == 0 and not (tmp_path / "told.json").exists()
    code, said = create(serve, "-n", "40", model=model)
    assert code == 0 and "another one" not in said, "another port is no other server"
    assert told(tmp_path)["port"] != before["port"]
    assert (tmp_path / "out" / "train.jsonl").read_text().splitlines()[:20] == rows
    assert gone(tmp_path)


@pytest.mark.parametrize(
    ("serve", "flags", "model", "says"),
    [
        ("vllm-of-nobody --port {port}", (), "m", "there is no program 'vllm-of-nobody' here: install it"),
        ("python --port 8000", (), "m", "--serve 'python --port 8000' has no {port}: put it where the command takes"),
        ("{port}", (), "m", "has no {port}"),
        ("", (), "m", "--serve takes vllm, llama-server, ollama, or a command"),
        ("python '{port}", (), "m", "cannot be read as a command: no closing quotation"),
        ("vllm", ("--base-url", "http://h/v1"), "m", "leave out --base-url 'http://h/v1', or --serve"),
        ("vllm", (), "demo", "--model demo is built in: leave out --serve"),
        ("python {port}", (), "-x", "--model '-x' would be read as an option by the server"),
        ("vllm", ("--serve-timeout", "0"), "m", "--serve-timeout"),
    ],
)
def test_what_cannot_be_started_is_said_before_anything_is_done(
    create: Callable[..., tuple[int, str]], serve: str, flags: tuple[str, ...], model: str, says: str
) -> None:
    # In one word, as the parser takes `--model -x` for two flags.
    code, said = create(serve, *flags, f"--model={model}")
    assert code == 2 and said.count("\n") == 1 and says in said
    assert not Path(os.environ["LLM_CREATED_CACHE"]).exists()


@pytest.mark.parametrize(
    ("how", "flags", "says"),
    [
        ({"exits": 3}, (), "ended with exit code 3: 'no such weights' is the last line of {log}"),
        ({"health": [503]}, ("--serve-timeout", "1"), "could not be asked within 1 s (--serve-timeout): "),
    ],
)
def test_a_server_that_does_not_come_is_one_line(
    create: Callable[..., tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
    flags: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.setattr("llm_created.clients.serving._SAY_AFTER", 0.1)
    code, said = create(command(tmp_path, **how), *flags)
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert said.count("waiting for the server (") == 1
    assert code == 1 and len(lines) == 1 and says.format(log=log()) in lines[0] and str(log()) in lines[0]
    # On a busy machine it may have been ended before it wrote who it was.
    assert not (tmp_path / "processes").exists() or gone(tmp_path)


def test_a_program_that_cannot_be_run_is_one_line(create: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    program = tmp_path / "broken"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    code, said = create(f"{shlex.quote(str(program))} {{port}}")
    assert code == 1 and "could not be started (No such file or directory)" in said.splitlines()[-1]


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_line(
    create: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr("llm_created.clients.serving.free_port", lambda: other.getsockname()[1])
        code, said = create(command(tmp_path))
    assert code == 1 and re.search(r"ended with exit code 1: .*address already in use.* is the last line", said)


def test_a_server_that_dies_in_the_middle_ends_the_run_which_goes_on_with_another(
    create: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, said = create(command(tmp_path, dies_after=2), "--concurrency", "2")
    line = said.splitlines()[-1]
    assert code == 1 and "ended with exit code 7 in the middle of the run: 'out of memory, key [key]'" in line
    assert str(log()) in line and line.endswith("What came is kept; run the same command again to go on")
    code, said = create(command(tmp_path))
    assert code == 0 and re.search("[12] repl(y|ies) read from the journal", said)


@pytest.mark.parametrize(
    ("preset", "model", "line"),
    [
        ("vllm", "org/name", "serve org/name --host 127.0.0.1 --port {port}"),
        pytest.param(
            "llama-server", "org/name:Q4", "-hf org/name:Q4 --host 127.0.0.1 --port {port}", marks=pytest.mark.slow
        ),
        ("llama-server", "weights.gguf", "-m weights.gguf --host 127.0.0.1 --port {port}"),
        ("ollama", "name:1b", "serve"),
    ],
)
def test_presets(
    create: Callable[..., tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    preset: str,
    model: str,
    line: str,
) -> None:
    """Each calls its program as that is called; here the program is ours."""
    port = "${OLLAMA_HOST#127.0.0.1:}" if preset == "ollama" else '$(for last; do :; done; echo "$last")'
    how = json.dumps({"error": "unknown_model"} if preset == "ollama" else {})
    program = tmp_path / preset
    program.write_text(
        f'#!/bin/sh\necho "$@" > {shlex.quote(str(tmp_path))}/line\n'
        f"exec {shlex.join([sys.executable, SERVED])} {port} {shlex.quote(str(tmp_path))} '{how}'\n"
    )
    program.chmod(0o755)
    (tmp_path / "weights.gguf").touch()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    code, said = create(preset, model=model)
    assert (tmp_path / "line").read_text().strip() == line.format(port=told(tmp_path)["port"])
    if preset == "ollama":
        assert code == 1 and "ollama has no model 'name:1b': get it with `ollama pull name:1b`" in said
    else:
        assert code == 0
    assert gone(tmp_path)


def test_a_killed_run_leaves_no_server(tmp_path: Path) -> None:
    run = start(tmp_path, workers=True, latency=0.2)
    run.kill()
    run.communicate()
    assert gone(tmp_path)


@pytest.mark.slow
def test_ctrl_c_before_the_server_is_there(tmp_path: Path) -> None:
    run = start(tmp_path, until="told.json", health=[503])
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 3 and "stopped at 0 of 2000 rows: interrupted" in said
    assert gone(tmp_path)


@pytest.mark.slow
def test_load_dataset(tmp_path: Path) -> None:
    rows = llm_created.load_dataset("csqa", model="m", serve=command(tmp_path), num_rows=20, split="train")
    assert rows.num_rows == 20 and gone(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_asked_to_end_takes_in_what_is_on_its_way_and_ends_its_server(
    tmp_path: Path, number: signal.Signals
) -> None:
    run = start(tmp_path, workers=True, latency=0.3)
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 3 and "interrupted" in said
    assert gone(tmp_path, within=0), "before the command returns"


@pytest.mark.slow
def test_a_stubborn_server_is_killed(create: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    assert create(command(tmp_path, stubborn=True, workers=True))[0] == 0
    assert gone(tmp_path, within=0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_whoever_ends_the_watcher_ends_the_server(tmp_path: Path, number: signal.Signals) -> None:
    run = start(tmp_path, latency=0.3)
    served = int((tmp_path / "processes").read_text().split()[0])
    said = subprocess.run(["ps", "-o", "ppid=", "-p", str(served)], capture_output=True, text=True, check=True).stdout
    os.kill(int(said), number)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 1 and "was ended from outside" in told.splitlines()[-1]
    assert gone(tmp_path)


@pytest.mark.slow
def test_two_runs_have_a_server_each(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    runs = [start(folder, "-n", "100", "--seed", str(n), latency=0.2) for n, folder in enumerate(folders)]
    for run in runs:
        run.communicate(timeout=60)
        assert run.returncode == 0
    first, second = (told(folder) for folder in folders)
    assert first["port"] != second["port"] and all(map(gone, folders))


@pytest.mark.slow
def test_label(tmp_path: Path) -> None:
    path, out = tmp_path / "rows.jsonl", tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps({"text": f"a film, the {number}th"}) + "\n" for number in range(20)))
    line = ["label", str(path), "--task", "sst2", "--model", "m", "--out", str(out), "--serve", command(tmp_path)]
    assert main(line) == 0 and len(out.read_text().splitlines()) == 20
    assert (tmp_path / "asked").exists() and gone(tmp_path)


@pytest.mark.slow
def test_the_log_is_of_the_last_start_and_bounded(create: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    assert create(command(tmp_path, lines=20_000))[0] == 0
    assert log().stat().st_size <= 9 << 20
    assert "line 19999 ." in log().read_text() and "line 0 ." not in log().read_text()
    assert create(command(tmp_path, lines=1), "-n", "30")[0] == 0
    assert log().stat().st_size < 2000 and "line 0 ." in log().read_text()
