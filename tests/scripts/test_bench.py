"""The benchmark runs and prints its table; what it measures is for a quiet machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_create.py"


@pytest.mark.parametrize("names", [["start"], pytest.param(["pool", "rate"], marks=pytest.mark.slow)])
def test_prints_its_table(names: list[str]) -> None:
    only = [word for name in names for word in ("--only", name)]
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", *only], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    head, *lines, last = done.stdout.splitlines()
    assert head.split() == ["what", "measured", "limit", "ratio", "verdict"]
    assert len(lines) >= 2 and {line.split()[-1] for line in lines} <= {"ok", "OVER", "stated"}
    assert "over the limit" in last


def test_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--only", "start"], capture_output=True, text=True, timeout=300, check=True
    )
    assert next(line for line in done.stdout.splitlines() if line.startswith("import llm_created")).endswith("ok")
