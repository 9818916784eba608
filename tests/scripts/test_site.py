"""README and the site: their commands run and print what stands below them, they name what there is, load nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pages
import pytest
import tiny
from hub import Hub
from server import Server

import llm_created

ROOT = pages.ROOT
README = ROOT / "README.md"
# Written by scripts from real data, or of how the library is built: their commands are no reader's.
OTHERS = ("design.md", "repetition.md", "results.md")
GUIDE = [README, *sorted(path for path in pages.DOCS.glob("*.md") if path.name not in OTHERS)]


@pytest.fixture
def reader(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a reader's files, a key, and a server that stands where OpenAI would."""
    bin_folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    # Both channels of a command come in their order.
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-readme-0123456789")
    pages.furnish(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    return tmp_path


def test_readme_is_short_and_its_light_commands_run(reader: Path) -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 200
    (code,) = (block.text for block in pages.blocks(README) if block.kind == "python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    ran = pages.play(README, reader, lambda line: not line.startswith(pages.HEAVY))
    assert ran >= 6


@pytest.mark.slow
@pytest.mark.parametrize("page", [path for path in GUIDE if pages.blocks(path)], ids=lambda path: path.stem)
def test_the_code_of_a_page_runs_and_prints_what_stands_below_it(
    page: Path, reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any(line.startswith(pages.HEAVY) for line in pages.commands(page)):
        for package in ("accelerate", "sklearn", "torch"):
            pytest.importorskip(package, reason=f"{package} is not installed")
    small = tiny.encoder(reader / "small encoder") if page.stem == "scores" else ""
    with Hub() as hub:
        for name, value in hub.env().items():
            monkeypatch.setenv(name, value)
        pages.play(page, reader, encoder=small)


def test_no_command_is_left_untried() -> None:
    known = ("llm-created ", "head ", "printf ", *pages.HEAVY, *pages.SCRIPTS)
    for page in GUIDE:
        for line in pages.commands(page):
            assert line.startswith(known), f"no test runs {line!r} of {page.name}"


def test_every_flag_that_is_named_exists() -> None:
    from llm_created.cli.words import parser

    known = pages.flags(one.format_help() for one in parser()[1].values())
    # Of training, of pip, of the scripts.
    source = (ROOT / "train" / "arguments.py").read_text("utf-8")
    known |= {f"--{name.replace('_', '-')}" for name in re.findall(r"^    (\w+): .* = flag\(", source, re.MULTILINE)}
    known |= {"--train", "--no-deps", "--real", "--write"}
    for page in GUIDE:
        text = re.sub(r"--serve \"[^\"]*\"", "", page.read_text("utf-8"))
        for flag in pages.flags(re.findall(r"`[^`]*`", text)) | pages.flags(pages.commands(page)):
            assert flag in known, f"{page.name}: {flag}"


def test_what_scripts_write_is_as_they_would_write_it() -> None:
    for script, page in (("gallery", "docs/tasks.md"), ("tree", "docs/design.md"), ("worth", "README.md")):
        done = subprocess.run([sys.executable, f"scripts/{script}.py"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() in (ROOT / page).read_text("utf-8"), (
            f"python scripts/{script}.py --write puts it right"
        )


RESULTS = """
### sst2

100 test rows. Human rows:
20: 50.0 (40.0-60.0), 100: 71.6 (61.8-76.9).

| method | rows | checks | seeds | tokens a row | CPU s | sst2 | creak | worth |
|---|--:|---|--:|--:|--:|--:|--:|--:|
| simprompt | 100 | all rows | 3 | 190 | 133 | 66.4 (60.7-72.1) | 50.1 (49-51) | ~ 72 |
| tree | 96 of 100 | all rows | 3 | 190 | 133 | 70.0 (60.7-72.1) | 50.1 (49-51) | ~ 90 |
| simprompt | 300 | all rows | 3 | 190 | 133 | 99.0 (60.7-72.1) | 50.1 (49-51) | ~ 72 |
| simprompt | 100 | likelihood, drop | 3 | 532 | 248 | 98.0 (60.8-67.2) | 50.1 (49-51) | ~ 61 |

### creak

100: 51.0 (50.0-52.0).

| method | rows | checks | seeds | tokens a row | CPU s | creak | worth |
|---|--:|---|--:|--:|--:|--:|--:|
| simprompt | 100 | all rows | 3 | 190 | 133 | 52.0 (50.7-53.1) | ~ 110 |
"""


def test_whether_labelling_is_better_is_told_of_as_many_rows_without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import worth

    table, _, sentence = worth.told(list(worth.lines(RESULTS))).rpartition("\n\n")
    assert table.splitlines()[2:] == [
        "| sst2 | 71.6 | simprompt 66.4, tree 70.0 |",
        "| creak | 51.0 | simprompt 52.0 |",
    ]
    assert sentence == "In 1 of these 2 tasks people's rows were ahead of every method's."


def test_what_is_printed_is_compared() -> None:
    assert pages.matches("kept ...\n...\nof 12 rows", "kept all\nand\nmore\nof 12 rows\n")
    assert not pages.matches("of 12 rows", "of 13 rows")
    assert pages.matches("mine  77.8 ██ p = 0.1", "mine 61.0  p = 0.3", figures=False)
    assert not pages.matches("mine 77.8", "yours 77.8", figures=False)


def test_the_reference_has_every_public_name_once() -> None:
    named = re.findall(r"^::: llm_created\.(\w+)$", (pages.DOCS / "reference.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == llm_created.__all__


def test_every_page_is_in_the_navigation_and_links_lead_somewhere() -> None:
    nav = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in [README, *pages.DOCS.glob("*.md")]:
        assert page is README or f": {page.name}\n" in nav, page.name
        for link in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    for package in ("material", "mkdocstrings_handlers.python"):
        pytest.importorskip(package, reason="pip install '.[docs]'")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = sorted((tmp_path / "site").rglob("*.html"))
    assert {page.stem for page in made} >= {path.stem for path in GUIDE if path is not README}
    for page in made:
        tags = re.findall(r"<(?:script|img|iframe|link)\b[^>]*", page.read_text("utf-8"))
        loaded = re.findall(r"(?:src|href)=[\"']?([^\"' >]+)", " ".join(tags))
        assert not [one for one in loaded if re.match(r"(https?:)?//", one)], page
