"""Blocks of the documents that a script writes: `<!-- NAME: the command -->` to `<!-- /NAME -->`."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _marked(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: [^\n]* -->\n).*?(<!-- /{name} -->)", re.S)


def block(page: str, name: str) -> str:
    """What stands in a block of a page; `ValueError` if there is none."""
    found = _marked(name).search((ROOT / page).read_text("utf-8"))
    if found is None:
        raise ValueError(f"{page} has no block {name!r}")
    return found[0].split("\n", 1)[1].rpartition("\n")[0].strip("\n") + "\n"


def put(page: str, name: str, text: str) -> None:
    """Put a text into its block of a page; `ValueError` if there is none."""
    block(page, name)
    old = (ROOT / page).read_text("utf-8")
    new = _marked(name).sub(lambda found: f"{found[1]}\n{text.strip()}\n\n{found[2]}", old)
    (ROOT / page).write_text(new, "utf-8")
