"""The tree at the end of README.md: a line a folder, each with the first line of its `__init__.py`.

python scripts/tree.py            # print it
python scripts/tree.py --write    # put it into README.md
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Those that are not packages say it here.
FOLDERS = {
    "llm_created": "",
    "builders": "",
    "train": "",
    "scripts": "What a person starts: tests, benchmarks, the tables and figures of the documents",
    "tests": "Mirrors the folders of the library; at the top stands what tests share",
    "docs": "How it is built and why; real figures from real data",
}


def about(folder: Path) -> str:
    """What a package says of itself, in a line."""
    text = (folder / "__init__.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")


def lines(folder: Path, deep: int = 0) -> Iterator[str]:
    """A folder, and the packages in it."""
    said = FOLDERS.get(folder.name) if not deep else ""
    yield f"{'  ' * deep + folder.name + '/':<16}{said or about(folder)}"
    if (folder / "__init__.py").exists():
        for inner in sorted(path.parent for path in folder.glob("*/__init__.py")):
            yield from lines(inner, deep + 1)


def tree() -> str:
    """All folders."""
    return "".join(f"{line}\n" for name in FOLDERS for line in lines(ROOT / name))


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
