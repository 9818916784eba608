"""The tree at the end of README.md: every file with the first line of its docstring.

python scripts/tree.py            # print it
python scripts/tree.py --write    # put it into README.md
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 96
FOLDERS = {
    "llm_created": "the library: what an example is, how one is asked for, read, chosen, kept, published",
    "builders": "one file a task: the task, one row, where its human data lives; installed as llm_created.builders",
    "train": "train a model, score it, compare, sweep; installed as llm_created.train",
    "scripts": "what a person starts",
    "tests": "mirrors the folders of the library; at the top what the tests share",
}


def comment(path: Path) -> str:
    """The first line of a file's docstring, or of a script's comment; up to a colon where it is long."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        line = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    else:
        line = next((part.lstrip("# ") for part in text.splitlines() if part.startswith("# ")), "")
    line = line.rstrip(".")
    for mark in (": ", "; ", ". ", ", "):
        if len(line) > WIDTH:
            line = line.partition(mark)[0]
    return line


def files(folder: Path) -> Iterator[str]:
    """The lines of a folder: its files, then the folders in it, each with what it is for."""
    deep = len(folder.relative_to(ROOT).parts)
    for path in sorted(folder.iterdir()):
        if path.suffix in (".py", ".sh") and path.name != "__init__.py":
            yield f"{'  ' * deep + path.name:<23} {comment(path)}"
    for inner in sorted({path.parent for path in folder.glob("*/*.py")}):
        about = inner / "__init__.py"
        yield f"{'  ' * deep + inner.name + '/':<23} {comment(about) if about.exists() else ''}".rstrip()
        yield from files(inner)


def tree() -> str:
    """All folders with their files."""
    lines = []
    for folder, about in FOLDERS.items():
        lines += [f"{folder + '/':<24}{about}", *files(ROOT / folder)]
    lines.append(f"{'docs/':<24}design.md: how it is built and why; results.md: real figures from real data")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the tree, or put it in the place of the last block of README.md."""
    if sys.argv[1:] != ["--write"]:
        print(tree(), end="")
        return
    readme = ROOT / "README.md"
    head, _, tail = readme.read_text("utf-8").rpartition("```text\n")
    readme.write_text(f"{head}```text\n{tree()}```{tail.partition('```')[2]}", "utf-8")


if __name__ == "__main__":
    main()
