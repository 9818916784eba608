"""Pages whose commands run: their blocks in order, and whether what they print is what stands below them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# Started by people, and tried elsewhere or not at all.
SCRIPTS = ("bash scripts/", "python scripts/", "make ", "pip ")
# Need scikit-learn, torch or a Hub.
HEAVY = (
    "accelerate ", "python -m ", "llm-created evaluate", "llm-created push", "llm-created create --from",
    "llm-created fit", "llm-created predict", "llm-created check rows --label-errors",
)  # fmt: skip
SERVED = ("llm-created review", "llm-created audit")


class Block(NamedTuple):
    """Of a page: `bash`, `python`, `text` ..., what stands in it, and the line before which it begins."""

    kind: str
    text: str
    at: int

    @property
    def commands(self) -> list[str]:
        """The lines of a shell, without what is said of them."""
        lines = (line.split("  #")[0].strip() for line in self.text.splitlines()) if self.kind == "bash" else ()
        return [line for line in lines if line]


def blocks(page: Path) -> list[Block]:
    """All code of a page."""
    text = page.read_text("utf-8")
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(one[1], one[2], text.count("\n", 0, one.start())) for one in found]


def commands(page: Path) -> list[str]:
    """All lines for a shell."""
    return [line for block in blocks(page) for line in block.commands]


def matches(said: str, printed: str, figures: bool = True) -> bool:
    """Is this what was printed? `...` stands for anything; without `figures`, numbers and spaces may differ."""
    if not figures:
        said, printed = (re.sub(r"[+-]?\d[\d,.]*|[█ ]+", " ", text) for text in (said, printed))
    pattern = re.escape(said.strip()).replace(re.escape("..."), ".*?")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def furnish(folder: Path) -> None:
    """What readers of the pages have: the files of a clone, a test set and rows without labels."""
    shutil.copytree(DOCS / "files", folder / "docs" / "files")
    test = [{"question": f"Is {n} a number?", "options": ["True", "False"], "label": n % 2 == 0} for n in range(40)]
    (folder / "my_test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in test))
    asked = [{"question": f"is {n} more than nine"} for n in range(5)]
    (folder / "unlabelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))


def run(line: list[str] | str, folder: Path) -> str:
    """What a command prints on both channels, in its order; it must end well."""
    done = subprocess.run(
        line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, shell=isinstance(line, str),
        timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}"
    return done.stdout


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


def play(page: Path, folder: Path, wanted: Callable[[str], bool] = lambda line: True, encoder: str = "") -> int:
    """Run a page's code in its order, and compare what is printed with the `text` that follows; how many were run.

    Args:
        page (`Path`): of Markdown.
        folder (`Path`): where it runs.
        wanted (`Callable`): which commands to run.
        encoder (`str`): the folder of a small model in the place of those of the Hub.
    """
    found, ran = blocks(page), 0
    if page.parent == DOCS:
        # Who reads the site has downloaded it; README speaks to who has a clone.
        shutil.copyfile(DOCS / "files" / "mails.csv", folder / "mails.csv")
    for block, after in zip(found, [*found[1:], None], strict=True):
        printed = ""
        if block.kind == "python":
            printed = run([sys.executable, "-c", block.text], folder)
        for line in filter(wanted, block.commands):
            if not line.startswith(SCRIPTS):
                here = re.sub(r"roberta-\w+", lambda _: shlex.quote(encoder), line)
                printed = (looked_at if line.startswith(SERVED) else run)(here, folder)
                assert printed.strip(), f"{line} says nothing"
                ran += 1
        if after is not None and after.kind == "text" and adjacent(page, block, after) and printed:
            exact = not any("llm-created fit" in line or "predict" in line for line in (*block.commands, block.text))
            assert matches(after.text, printed, exact), f"{page.name}:{after.at}\n{printed}"
    return ran


def adjacent(page: Path, block: Block, after: Block) -> bool:
    """Does nothing but an empty line stand between?"""
    end = block.at + block.text.count("\n") + 2
    return not "".join(page.read_text("utf-8").splitlines()[end : after.at]).strip()


def flags(texts: Iterable[str]) -> set[str]:
    """Every flag that is named."""
    return {flag for text in texts for flag in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", text)}
