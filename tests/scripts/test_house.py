"""The house: what `make quality` holds it to, its measures, and what a person who works on it finds at the door."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = '"$(BIN)/'


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """`lint-imports` on the tree in this folder, which stands before the installed one."""
    code = "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The library's files, and the rule."""
    pytest.importorskip("importlinter")
    shutil.copytree(ROOT / "llm_created", tmp_path / "llm_created", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_the_rule_is_kept(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout
    assert "Contracts: 2 kept, 0 broken." in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("tasks/guide.py", "from ..reports import card", "llm_created.tasks.guide -> llm_created.reports.card"),
        ("hub/kinds.py", "from ..loading import load", "llm_created.hub.kinds -> llm_created.loading.load"),
        ("runs/lock.py", "from . import journal", "- .lock -> .journal"),
        ("attic/__init__.py", "", "attic"),
    ],
    ids=["up", "sideways", "in a circle", "a folder without a floor"],
)
def test_an_import_against_the_rule_is_found(file: str, line: str, said: str, copy: Path) -> None:
    path = copy / "llm_created" / file
    path.parent.mkdir(exist_ok=True)
    text = path.read_text("utf-8") if path.exists() else '"""New."""\n'
    path.write_text(f"{text}\n{line}\n", "utf-8")
    done = lint(copy)
    assert done.returncode == 1
    assert said in done.stdout, done.stdout


def test_no_folder_holds_more_than_fourteen_modules() -> None:
    modules = [path for path in (ROOT / "llm_created").rglob("*.py") if path.name != "__init__.py"]
    held = Counter(path.parent.relative_to(ROOT) for path in modules)
    assert max(held.values()) <= 14, held.most_common(3)


def test_a_package_says_what_it_is_for_and_imports_nothing() -> None:
    for path in (ROOT / "llm_created").glob("*/**/__init__.py"):
        assert re.fullmatch(r'"""[^"]+"""\n', path.read_text("utf-8")), path


# The measures


def house(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "house.py"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def column(text: str, at: int) -> dict[str, str]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return {row[0]: row[at] for row in cells}


CODE = '''"""A module."""


def plain(a: int, *, b: int = 0) -> int:
    return a + b


def many(a, b, c, d, e, f, g):
    """Two ways for each of eleven."""
    return [x for x in a if b and c or d] if e else f and g


class C:
    @staticmethod
    def twisted(self, x: int) -> int:
        for one in range(x):
            while one:
                try:
                    if one > 1:
                        pass
                    elif one > 2:
                        pass
                except ValueError:
                    match one:
                        case 1 if x and one:
                            pass
                        case 2:
                            pass
                        case 3:
                            pass

        def inside(y: int) -> int:
            return y if y else 0

        return inside(x) or 1
'''


def test_what_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "thing"
    (folder / "tests").mkdir(parents=True)
    (folder / "inner").mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "code.py").write_text(CODE)
    (folder / "inner" / "bare.py").write_text("x = 1\n")
    (folder / "tests" / "test_code.py").write_text(CODE * 3)
    done = house(str(folder))
    assert done.returncode == 0, done.stderr
    assert column(done.stdout, 2) == {
        "": "thing",
        "---": "--:",
        "modules": "2",
        "most modules in one folder": "1",
        "function lines, median/p90": "2.5/16",
        "functions with more than 6 parameters": "25.0 %",
        "complexity above 10": "25.0 %",
        "module docstrings": "33.3 %",
        "fully typed": "75.0 %",
    }


def test_this_house() -> None:
    done = house(str(ROOT / "builders"))
    ours = column(done.stdout, 1)
    assert (ours["module docstrings"], ours["fully typed"]) == ("100 %", "100 %")
    assert int(ours["most modules in one folder"]) <= 14
    worst = house("--worst", "2").stdout.splitlines()
    assert len(worst) == 2 and re.fullmatch(r" *\d+  [\w/]+\.py:\d+ \w+", worst[0])
    assert "neither an installed package nor a folder: nothing_like_it" in house("nothing_like_it").stderr


def test_the_table_stands_where_it_is_written() -> None:
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    assert text.count("<!-- house: python scripts/house.py --write -->") == text.count("<!-- /house -->") == 1
    stands = text.partition("--write -->\n\n")[2].partition("\n<!-- /house")[0]
    assert list(column(stands, 1)) == list(column(house(str(ROOT / "builders")).stdout, 1))


# What a person finds who comes to work on it


def quality() -> list[str]:
    """The commands of `make quality`, without where the programs are."""
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\nquality:")[2].partition("\n\n")[0]
    return [line.strip().replace(BIN, "").replace('"', "") for line in recipe.splitlines()[1:]]


def test_before_a_commit_runs_what_ci_runs() -> None:
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert repo["repo"] == "local"
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in repo["hooks"]] == quality()
    for hook in repo["hooks"]:
        assert (hook["language"], hook["pass_filenames"]) == ("system", False)


def test_the_workflow_runs_the_tests_where_it_says() -> None:
    told: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    job = told["jobs"]["test"]
    oldest = re.search(r"python_requires = >=(\S+)", (ROOT / "setup.cfg").read_text("utf-8"))
    assert oldest and job["strategy"]["matrix"] == {
        "os": ["ubuntu-latest", "macos-latest"],
        "python": [oldest[1], "3.14"],
    }
    assert job["runs-on"] == "${{ matrix.os }}"
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash scripts/test.sh"]
    assert told["permissions"] == {"contents": "read"}


def test_contributing_is_one_page_and_true() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert len(text.splitlines()) <= 60
    targets = set(re.findall(r"^([\w-]+):  ##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([\w-]+)`", text)) == targets
    for name in re.findall(r"`((?:\w+/)*\w+/|(?:\w+/)*\w+\.(?:py|md|sh))`", text):
        assert (ROOT / name).exists() or (ROOT / "llm_created" / name).exists(), name


def test_the_tree_knows_every_folder() -> None:
    design = (ROOT / "docs" / "design.md").read_text("utf-8")
    tree = design.partition("<!-- tree: ")[2].partition("```text\n")[2].partition("```")[0]
    listed = [line.split("/")[0].strip() for line in tree.splitlines()]
    packages = configparser.ConfigParser()
    packages.read(ROOT / "setup.cfg", "utf-8")
    assert {name.split(".")[-1] for name in packages["options"]["packages"].split()} <= set(listed)
    assert all(len(line) <= 120 and line.split("/", 1)[1].strip() for line in tree.splitlines())
