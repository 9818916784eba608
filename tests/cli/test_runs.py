"""What is kept of runs: how far each came, how large it is, and that nothing is left of one that is deleted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llm_created.cli.main import main
from llm_created.clients.prices import look_up_price
from llm_created.runs.folders import cache_folder, run_folder
from llm_created.runs.lock import RunLock


def create(out: Path, *more: str) -> str:
    assert main(["create", "csqa", "--model", "demo", "--out", str(out), *more]) in (0, 3)
    return str(json.loads((out / "run.json").read_text())["run"])


def test_runs_says_how_far_how_large_and_hides_previews(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = create(tmp_path / "done", "-n", "10", "--name", "first")
    short = create(tmp_path / "short", "-n", "40", "--seed", "1", "--max-calls", "2")
    assert main(["preview", "creak", "--model", "demo"]) == 0
    capsys.readouterr()
    with_lock = RunLock(run_folder(done))
    with_lock.acquire(wait=False)
    assert main(["runs"]) == 0
    with_lock.release()
    out, err = capsys.readouterr()
    lines = {line[:8]: line for line in out.splitlines()}
    assert set(lines) == {done[:8], short[:8]}
    assert re.search(r"10/10 +under way +\d+\.\d kB +csqa", lines[done[:8]]) and "(first)" in lines[done[:8]]
    assert re.search(r"\d+/40 +stopped +\d+\.\d kB", lines[short[:8]])
    assert "1 that were only previewed are not shown" in err and str(cache_folder()) in err
    assert main(["runs", "--all"]) == 0
    out = capsys.readouterr().out
    assert "finished" in out and "previewed" in out and "creak" in out
    preview = next(line[:8] for line in out.splitlines() if "previewed" in line)
    for run, folder in ((preview, None), ("first", run_folder(done))):
        assert main(["rm", run, "--yes"]) == 0
        out, err = capsys.readouterr()
        assert re.search(r"\d+\.\d kB, \d+ replies", err) and re.search(r"\d+\.\d kB are free again", out)
        assert folder is None or (not folder.exists() and not list(cache_folder().glob("removed/*")))
    assert (tmp_path / "done" / "train.parquet").exists()
    assert main(["runs", "--all"]) == 0 and capsys.readouterr().out.startswith(short[:8])


def test_a_price_says_how_new_its_table_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    price = look_up_price("gpt-4o-mini", "https://api.openai.com/v1")
    assert price and re.fullmatch(r"genai-prices [\d.]+, newest price of \d{4}-\d\d-\d\d \(openai\)", price.source)
    assert look_up_price("no-such-model", "https://api.openai.com/v1") is None
    words = ["create", "csqa", "--model", "no-such-model", "--max-cost", "1", "--out", str(tmp_path / "out")]
    assert main(words) == 2 and "--price IN,OUT" in capsys.readouterr().err


@pytest.mark.slow
def test_the_help_of_finetune_says_its_defaults() -> None:
    pytest.importorskip("transformers", reason="the `train` extra is not installed")
    command = [sys.executable, "-m", "llm_created.train.finetune", "--help"]
    said = " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()).replace(
        "- large", "-large"
    )
    for text in ("(default roberta-large)", "passes over the training rows (default 10)", "(default tenth)"):
        assert text in said
    assert "default None" not in said and "default False" not in said
