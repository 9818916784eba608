"""A run that there is, in Python and in a notebook."""

from __future__ import annotations

import html
import os
from itertools import islice
from pathlib import Path
from typing import Any

from ..analysis import funnel as counts
from ..errors import UsageError
from ..reports import html as report_page
from ..reports import terminal
from ..runs.folders import find
from ..runs.journal import Journal, Spent
from ..runs.kept import kept_rows
from ..tasks.task import Task
from ..utils.console import harmless
from ..utils.text import shorten, slug

_STAGES = ("asked", "parsed", "valid", "unique", "kept")
_SHOWN, _LETTERS = 5, 160


class Run:
    """A run that was made: its rows, what became of what was asked for, and what it cost.

    In a notebook it shows itself. Nothing is asked of a model, and nothing is changed.

    Args:
        run (`str` or `os.PathLike`): the beginning of its digest, its name, its folder, or the folder of its rows.

    Raises:
        UsageError: there is no such run, or it has no replies yet.

    Example:

        >>> import llm_created
        >>> rows = llm_created.load_dataset("csqa", "tree", model="demo", num_rows=20, split="train")
        >>> run = llm_created.Run(llm_created.Run.all()[0])
        >>> run.rows.num_rows, run.funnel.kept, run.cost
        (20, 20, 0.0)
        >>> run.report("csqa.html").name
        'csqa.html'
    """

    def __init__(self, run: str | os.PathLike[str]) -> None:
        self._found = find(os.fspath(run))
        with self._open() as journal:
            stored = journal.get("task")
            if stored is None:
                raise UsageError(f"the run {journal.folder.name[:8]} has no replies yet: make rows of it first")
            self.task = Task.from_json(stored)
            self.digest = journal.folder.name

    @staticmethod
    def all() -> list[str]:
        """The digests of the runs in the cache, the last first."""
        from ..runs.folders import all_runs

        return [digest for digest, _, _ in all_runs()]

    def _open(self) -> Journal:
        return self._found.open()

    @property
    def rows(self) -> Any:
        """Its rows so far, a `datasets.Dataset` with the features of the task."""
        import datasets

        with self._open() as journal:
            records = [self.task.record(row) for row in kept_rows(journal, self.task)]
        return datasets.Dataset.from_list(records, features=self.task.features)

    @property
    def funnel(self) -> counts.Funnel:
        """What became of all that was asked for."""
        with self._open() as journal:
            return counts.funnel(journal)

    @property
    def spent(self) -> Spent:
        """Calls and tokens over its whole life."""
        with self._open() as journal:
            return journal.spent()

    @property
    def cost(self) -> float | None:
        """Dollars over its whole life, `None` where the model's price is not known."""
        with self._open() as journal:
            return counts.cost(journal.spent(), journal.get("price"))

    def report(self, out: str | os.PathLike[str] | None = None) -> Path:
        """Write the report of the run, one page that opens from disk.

        Args:
            out (`str` or `os.PathLike`, *optional*): the file, by default named by the run.

        Returns:
            `Path`: the file.

        Raises:
            UsageError: something else stands there.
        """
        with self._open() as journal:
            strategy = journal.get("identity")["strategy"]
            to = Path(out or f"report-{slug(self.task.name)}-{strategy}-{self.digest[:8]}.html").expanduser()
            report_page.check(to)
            report_page.write(to, report_page.parts(journal, self.task))
        return to

    def __repr__(self) -> str:
        with self._open() as journal:
            return "\n".join(terminal.run(journal, self.task, width=100, sample=1))

    def _repr_html_(self) -> str:
        """The run in a notebook; what a model wrote is text in it."""
        with self._open() as journal:
            count, identity = counts.funnel(journal), journal.get("identity")
            rows = [self.task.example(row) for row in islice(kept_rows(journal, self.task), _SHOWN)]
            dollars = counts.cost(journal.spent(), journal.get("price"))
            spent, target = journal.spent(), journal.get("target", 0)
        tokens = spent.prompt_tokens + spent.completion_tokens
        cost = "price not known" if dollars is None else f"${dollars:,.4f}"
        head = f"{self.task.name} · {identity['strategy']} · {identity['model']}: {count.kept:,} of {target:,} rows"
        stages = " → ".join(f"{stage} {getattr(count, stage):,}" for stage in _STAGES)
        lines = [f"run {self.digest[:8]}", stages, f"{spent.calls:,} calls, {tokens:,} tokens, {cost}"]
        return f"<h4>{_said(head)}</h4><p>{'<br>'.join(map(_said, lines))}</p>{_table(self.task.fields, rows)}"


def _table(fields: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    head = "".join(f"<th>{_said(name)}</th>" for name in fields)
    body = "".join(f"<tr>{''.join(f'<td dir=auto>{_said(row[name])}</td>' for name in fields)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _said(value: Any) -> str:
    text = " | ".join(map(str, value)) if isinstance(value, list) else str(value)
    return html.escape(harmless(shorten(text, _LETTERS)))
