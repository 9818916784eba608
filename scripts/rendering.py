"""Lines of figures as Markdown that also reads as text, and as CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import paper

from llm_created.train.cells import HUMAN
from llm_created.utils import files

TASKS = list(paper.TRAIN_ROWS)
SETS = [HUMAN, "naive", *paper.TRAINED_ON[1:]]
WIDTH = 80
Line = dict[str, Any]


def place(name: str, known: Sequence[str]) -> tuple[int, str]:
    """Known names in their order, then the others."""
    return known.index(name) if name in known else len(known), name


def pipes(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """A Markdown table that also reads as text: the first columns to the left, columns that are empty left out."""
    rows = [list(row) for row in rows]
    used = [at for at in range(len(head)) if any(row[at] for row in rows)]
    wide = {at: max(3, *(len(row[at]) for row in [list(head), *rows])) for at in used}

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(row[i].ljust(wide[i]) if i < left else row[i].rjust(wide[i]) for i in used) + " |"

    rule = "|" + "|".join("-" * (wide[i] + 2) if i < left else "-" * (wide[i] + 1) + ":" for i in used) + "|"
    return [line(head), rule, *map(line, rows)]


def text(said: str) -> list[str]:
    """A paragraph."""
    return [*textwrap.wrap(said, WIDTH, break_on_hyphens=False), ""]


def point(said: str) -> list[str]:
    """A bullet."""
    return textwrap.wrap(said, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def as_csv(made: Iterable[Line]) -> str:
    """Lines as CSV: every column that any of them has."""
    made = list(made)
    names = list(dict.fromkeys(name for one in made for name in one))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for one in made:
        values = (one.get(name) for name in names)
        writer.writerow(f"{value:.4f}" if isinstance(value, float) else value for value in values)
    return text.getvalue()


def write(path: Path, text: str) -> None:
    """Write a file under a temporary name, rename it, and say so."""
    files.write_text(path, text)
    print(path)
