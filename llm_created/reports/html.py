"""One run as one HTML file: it opens from disk, asks the network for nothing, and runs no text that a model wrote."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import RunFailed
from ..runs.journal import Journal
from ..tasks.task import Task
from ..utils.console import harmless

_TEMPLATES = Path(__file__).with_name("templates")
GENERATOR = b'<meta name="generator" content="llm-created report">'
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
        scores (`list[dict[str, Any]]`, *optional*): what `run_scores.score_lines` gave.
        progress (`Callable[[int], None]`, *optional*): told now and then how many replies were read.
    """
    from .html_data import data, read, replies

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


def write(path: Path, text: str) -> None:
    """Write a report under a temporary name and rename it."""
    part = path.with_name(f".{path.name}.incomplete")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, "utf-8", newline="\n")
        os.replace(part, path)
    except OSError as error:
        raise RunFailed(f"cannot write {path}: {error.strerror or error}") from None
