"""What is where, in docs/design.md: a line a folder, each with the first line of its `__init__.py`.

python scripts/tree.py            # print it
python scripts/tree.py --write    # put it into docs/design.md
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from blocks import put

ROOT = Path(__file__).resolve().parent.parent
# Those that are not packages say it here.
FOLDERS = {
    "llm_created": "",
    "builders": "",
    "train": "",
    "scripts": "What a person starts: tests, benchmarks, the tables and figures of the documents",
    "tests": "Mirrors the folders of the library; at the top stands what tests share",
    "docs": "The site (`make docs`): a guide whose commands run in the tests, how it is built, real figures",
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
    """Print the tree, or put it in its place."""
    if sys.argv[1:] == ["--write"]:
        put("docs/design.md", "tree", f"```text\n{tree()}```")
    else:
        print(tree(), end="")


if __name__ == "__main__":
    main()
