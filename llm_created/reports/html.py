"""One run as one HTML file: it opens from disk, asks the network for nothing, and runs no text that a model wrote."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis.funnel import funnel
from ..errors import UsageError
from ..runs.journal import Journal
from ..tasks.task import Task
from ..utils.console import harmless
from ..utils.files import whole

if TYPE_CHECKING:
    from .html_data import Doubted

_TEMPLATES = Path(__file__).with_name("templates")
GENERATOR = b'<meta name="generator" content="llm-created report">'
# Chart.js 4.6.1, the file `dist/chart.umd.min.js` of the npm package `chart.js`, as it is; its licence goes along.
_CHARTS, _LICENCE = "vendor/chart.umd.min.js", "vendor/chart.LICENSE.md"


def parts(
    journal: Journal,
    task: Task,
    scores: list[dict[str, Any]] | None = None,
    doubted: Doubted | None = None,
    *,
    progress: Callable[[int, int], None] = lambda turns, of: None,
) -> Iterator[str]:
    """The report of a run as one HTML page, part by part.

    What models wrote is in it as JSON that cannot end its element, and is shown as text nodes only. Should that ever
    fail, the page's content security policy lets no other script than its own two run, and nothing be requested.

    Args:
        journal (`Journal`): the run's journal, open until the last part was taken.
        task (`Task`): its task.
        scores (`list[dict[str, Any]]`, *optional*): what `run_scores.score_lines` gave.
        doubted (`Doubted`, *optional*): rows whose labels are likely wrong.
        progress (`Callable[[int, int], None]`, *optional*): told now and then how many replies were read, of how many.
    """
    from .html_data import blocks
    from .html_read import read

    count = funnel(journal)
    reading = read(journal, task, lambda turns: progress(turns, count.turns))
    data, replies = blocks(journal, task, reading, count, scores or (), doubted)
    identity = journal.get("identity")
    title = f"{task.name} · {identity['strategy']} · {identity['model']}: dataset report"
    library = f"/*\n{template(_LICENCE)}*/\n" + re.sub(r"\n//# sourceMappingURL=.*", "", template(_CHARTS))
    own = template("report.js") + template("browse.js")
    style = template("report.css")
    values: dict[str, Iterable[str]] = {
        "csp": [policy([library, own], style)],
        "title": [html.escape(harmless(title))],
        "style": [style],
        "data": data,
        "replies": replies,
        "library": [library],
        "script": [own],
    }
    yield from filled("report.html", values)


def filled(name: str, values: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """A template with values in it, in one pass: what stands in the values is not looked at again."""
    for at, part in enumerate(re.split(r"\{\{(\w+)\}\}", template(name))):
        yield from values[part] if at % 2 else (part,)


def template(name: str) -> str:
    """A template as it is."""
    return (_TEMPLATES / name).read_text("utf-8")


def policy(scripts: Sequence[str], style: str, more: str = "") -> str:
    """A page's content security policy: its own scripts and style, known by hashes, nothing else but `more`."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'" + more
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def check(path: Path) -> None:
    """A report may take the place of a report, and of nothing else.

    Raises:
        UsageError: something else is there.
    """
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            ours = GENERATOR in file.read(4096)
    except OSError as error:
        raise UsageError(f"`out` {str(path)!r} cannot be read: {error.strerror or error}") from None
    if not ours:
        raise UsageError(f"`out` {str(path)!r} is there already and is no report: give another name")


def write(path: Path, page: Iterable[str]) -> None:
    """Write a report, part by part, and whole or not at all."""
    with whole(path) as incomplete, incomplete.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(page)
