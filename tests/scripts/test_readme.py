"""Every command and every line of code in README.md runs, and prints what it says it prints."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import pytest
import tiny
from hub import Hub
from server import Server

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = [(kind, text) for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)]
SCRIPTS = ("bash scripts/", "python scripts/", "make ")


def commands() -> list[str]:
    lines = [line.split("  #")[0].strip() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
    return [line for line in lines if line]


@pytest.fixture
def folder(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, a key, and a server that stands where OpenAI would."""
    bin_folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-readme-0123456789")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    return tmp_path


def run(line: list[str] | str, folder: Path) -> str:
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, shell=isinstance(line, str), timeout=100)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_code_prints_what_stands_below_it(folder: Path) -> None:
    code = [text for kind, text in BLOCKS if kind == "python"]
    printed = [BLOCKS[at + 1][1] for at, (kind, _) in enumerate(BLOCKS) if kind == "python"]
    assert len(code) == 2
    for source, expected in zip(code, printed, strict=True):
        assert run([sys.executable, "-c", source], folder).strip() == expected.strip()
    assert len([line for line in code[0].splitlines() if line.strip()]) <= 12


PAGES = ("llm-created review", "llm-created audit")


def looked_at(line: str, folder: Path) -> str:
    """What a command gives that serves a page, after somebody has finished on it at once."""
    with subprocess.Popen(
        f"exec {line} --no-browser", cwd=folder, stdout=subprocess.PIPE, text=True, shell=True
    ) as page:
        assert page.stdout
        url = page.stdout.readline().strip()
        origin = url.rsplit("/", 2)[0]
        headers = {"Origin": origin, "Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"{url}finish", b"{}", headers), timeout=20).close()
        printed = page.stdout.read()
    assert page.returncode == 0, line
    return printed


HEAVY = ("accelerate ", "python -m ", "llm-created evaluate", "llm-created push", "llm-created create --from")


def prepared(folder: Path) -> list[str]:
    """The commands in their order, once what they find in the folder is there."""
    run([sys.executable, "-c", next(text for kind, text in BLOCKS if kind == "python")], folder)
    test = [{"question": f"Is {n} a number?", "options": ["True", "False"], "label": n % 2 == 0} for n in range(40)]
    (folder / "my_test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in test))
    return [line for line in commands() if not line.startswith(SCRIPTS)]


def test_every_light_command_runs_in_order(folder: Path) -> None:
    light = [line for line in prepared(folder) if not line.startswith(HEAVY)]
    assert len(light) >= 9
    for line in light:
        assert (looked_at if line.startswith(PAGES) else run)(line, folder).strip(), line


@pytest.mark.slow
def test_every_command_runs_in_order_with_a_small_encoder_and_a_hub(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("accelerate", "sklearn", "torch"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    small = tiny.encoder(folder / "small encoder")
    with Hub() as hub:
        for name, value in hub.env().items():
            monkeypatch.setenv(name, value)
        for line in prepared(folder):
            (looked_at if line.startswith(PAGES) else run)(line.replace("roberta-large", shlex.quote(small)), folder)


def test_no_command_is_left_untried() -> None:
    for line in commands():
        assert line.startswith(("llm-created ", *HEAVY, *SCRIPTS)), f"no test runs {line!r}"


def test_every_flag_that_the_table_names_exists() -> None:
    help_text = "".join(
        subprocess.run([sys.executable, "-m", "llm_created", name, "--help"], capture_output=True, text=True).stdout
        for name in ("create", "preview", "show", "evaluate", "check", "push", "review", "audit")
    )
    for flag in set(re.findall(r"`(--[a-z-]+)", README)):
        assert flag in help_text, flag


def test_the_tree_is_that_of_the_files() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "tree.py")], capture_output=True, text=True)
    assert BLOCKS[-1][1] == done.stdout, "python scripts/tree.py --write puts it right"


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
