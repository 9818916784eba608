"""The scripts that a fresh clone is tried with: the quickstart, and the one that runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree whose `.venv` sees the packages of this environment: nothing is downloaded."""
    pytest.importorskip("setuptools", reason="setuptools is needed to install without a network")
    clone = tmp_path_factory.mktemp("a clone") / "llm created"
    ignored = shutil.ignore_patterns(".git", ".venv", "*.egg-info", "__pycache__", ".*_cache", "results", "created")
    shutil.copytree(ROOT, clone, ignore=ignored)
    venv.create(clone / ".venv", with_pip=True)
    # Python 3.11 puts a setuptools of its own beside pip, older than the one that builds this.
    old = [str(clone / ".venv" / "bin" / "python"), "-m", "pip", "uninstall", "-qq", "-y", "setuptools"]
    subprocess.run(old, check=True, capture_output=True)
    packages = next((clone / ".venv").glob("lib/python*/site-packages"))
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "tests-environment.pth").write_text(f"{here}\n")
    return clone


def offline() -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if name not in ("CI", "SLOW", "VENV", "MAKEFLAGS")}
    return mine | {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.mark.slow
def test_the_quickstart_runs_to_its_end_and_again(clone: Path) -> None:
    for _ in range(2):
        done = subprocess.run(
            ["bash", "scripts/quickstart.sh"], cwd=clone, capture_output=True, text=True, env=offline(), timeout=200
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for words in ("200/200 rows", "asked", "→ kept 200", "next:", "answer positions"):
            assert words in done.stdout, words
    assert list(clone.glob("quickstart/**/train.parquet"))


@pytest.mark.slow
def test_the_test_script_installs_and_runs(clone: Path) -> None:
    done = subprocess.run(
        ["bash", "scripts/test.sh", "tests/scripts/test_scripts.py", "-q", "-k", "import"],
        cwd=clone, capture_output=True, text=True, env=offline(), timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
