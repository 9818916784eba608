"""One run as one HTML file: it opens from disk, asks the network for nothing, and runs no text that a model wrote."""

from __future__ import annotations

import argparse
import base64
import hashlib
import html
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .console import harmless, out, rewrite, say
from .errors import RunFailed, UsageError
from .funnel import funnel
from .journal import Journal
from .runs import find
from .task import Task
from .text import slug

_TEMPLATES = Path(__file__).with_name("templates")
_GENERATOR = b'<meta name="generator" content="llm-created report">'
_RESULTS = "results"
# Chart.js 4.6.1, the file `dist/chart.umd.min.js` of the npm package `chart.js`, as it is; its licence goes along.
_CHARTS, _LICENCE = "vendor/chart.umd.min.js", "vendor/chart.LICENSE.md"
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def page(
    journal: Journal,
    task: Task,
    scores: list[dict[str, Any]] | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> str:
    """The report of a run as one HTML page.

    What models wrote is in it as JSON that cannot end its element, and is shown as text nodes only. Should that ever
    fail, the page's content security policy lets no other script than its own two run, and nothing be requested.

    Args:
        journal (`Journal`): the run's journal, open.
        task (`Task`): its task.
        scores (`list[dict[str, Any]]`, *optional*): what `report_data.score_lines` gave.
        progress (`Callable[[int], None]`, *optional*): told now and then how many replies were read.
    """
    from .report_data import data, read, replies

    reading = read(journal, task, progress or (lambda turns: None))
    identity = journal.get("identity")
    library = f"/*\n{_template(_LICENCE)}*/\n" + re.sub(r"\n//# sourceMappingURL=.*", "", _template(_CHARTS))
    script = _template("report.js") + _template("browse.js")
    style = _template("report.css")
    values = {
        "csp": _policy([library, script], style),
        "title": html.escape(harmless(f"{task.name} · {identity['strategy']} · {identity['model']}: dataset report")),
        "style": style,
        "data": as_script(data(journal, task, reading, scores or ())),
        "replies": as_script(replies(reading)),
        "library": library,
        "script": script,
    }
    # One pass: what stands in the values is not looked at again.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _template("report.html"))


def as_script(value: Any) -> str:
    """JSON that can stand in a `<script>` element: no character in it means anything to an HTML parser."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in _UNSAFE.items():
        text = text.replace(character, escaped)
    return text


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _policy(scripts: list[str], style: str) -> str:
    """The page's content security policy: its own scripts and style, known by their hashes, and nothing else."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def report(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created report RUN`: write the report of a run."""
    with Journal(find(args.run)) as journal:
        stored = journal.get("task")
        if stored is None:
            raise UsageError(
                f"the run {journal.folder.name[:8]} has no replies yet: `llm-created create` goes on with it"
            )
        task = Task.from_json(stored)
        name = f"report-{slug(task.name)}-{journal.get('identity')['strategy']}-{journal.folder.name[:8]}.html"
        path = Path(args.out or name).expanduser()
        if path.is_dir():
            path /= name
        _check(path)
        scores = _scores(args.results, journal.folder.name)
        shown = _Progress(funnel(journal).turns)
        text = page(journal, task, scores, progress=shown)
        shown.end()
    _write(path, text)
    out(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


def _check(path: Path) -> None:
    """A report may take the place of a report, and of nothing else."""
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            ours = _GENERATOR in file.read(4096)
    except OSError as error:
        raise UsageError(f"--out {str(path)!r} cannot be read: {error.strerror or error}") from None
    if not ours:
        raise UsageError(f"--out {str(path)!r} is there already and is no report: give another name")


def _scores(root: str | None, run: str) -> list[dict[str, Any]]:
    """The scores in the folder that was named; else those in `results`, if they are there and can be read."""
    from .report_data import score_lines

    if root is not None:
        return score_lines(root, run)
    if not Path(_RESULTS).is_dir():
        return []
    try:
        return score_lines(_RESULTS, run)
    except UsageError as error:
        say(f"no scores in the report: {error} (--results names another folder)")
        return []


class _Progress:
    """How far the reading is: one line that is rewritten on a terminal, nothing elsewhere."""

    def __init__(self, turns: int) -> None:
        self._turns, self._terminal = turns, sys.stderr.isatty()

    def __call__(self, turns: int) -> None:
        if self._terminal:
            rewrite([f"{turns:,} of {self._turns:,} replies read"], 1, sys.stderr)

    def end(self) -> None:
        if self._terminal:
            rewrite([], 1, sys.stderr)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.incomplete")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, "utf-8", newline="\n")
        os.replace(part, path)
    except OSError as error:
        raise RunFailed(f"cannot write {path}: {error.strerror or error}") from None
