"""A fit on paper: the card beside the classifier, and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..evaluation.scores import is_majority
from ..models import use
from ..reports.markdown import fence, inline
from ..tasks.task import Task
from .compare import Arm, Compared
from .verdict import p

_SHOWN = 30
_HEAD = ("trained on", "yours", "created", "accuracy", "95 % interval", "macro F1", "against yours", "paired test")


def table(arms: Sequence[Arm]) -> list[list[str]]:
    """The arms as lines of cells, the head first."""
    lines = [
        ["trained on", "yours", "created", "accuracy", "95 % interval", "macro F1", "against yours", "paired test"]
    ]
    for arm in arms:
        score, gain = arm.score, arm.gain
        mark = " (constant)" if score.constant else " (= majority)" if is_majority(score) else ""
        cells = [arm.name + mark, f"{arm.mine:,}", f"{arm.created:,}", f"{100 * score.accuracy:.1f}"]
        cells += [f"{100 * score.low:.1f} to {100 * score.high:.1f}", f"{100 * score.macro_f1:.1f}"]
        if gain is not None:
            cells += [f"{100 * gain.points:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})", p(gain.test)]
        lines.append(cells)
    return lines


def card(facts: Mapping[str, Any], task: Task, verdict: str, folder: str, kind: str) -> str:
    """README.md: what the classifier does, what it was trained on, how good it is, how it is used."""
    return "\n".join(_card(facts, task, verdict, folder, kind)) + "\n"


def _card(facts: Mapping[str, Any], task: Task, verdict: str, folder: str, kind: str) -> Iterator[str]:
    yield f"# {inline(task.name)}: a classifier"
    yield ""
    yield verdict
    yield ""
    labels = (
        f"One of {len(task.labels)} labels: {_labels(task)}." if task.labels else "One of the options of each row."
    )
    yield f"- **It reads** {', '.join(map(inline, task.inputs))}. **It answers** {inline(task.answer)}: {labels}"
    yield f"- **It is** {inline(facts['model'])}, trained on {inline(facts['trained_on'])}, chosen {facts['why']}."
    writer = f"{inline(facts['writer'])}, run `{facts['run'][:8]}`, strategy {facts['strategy']}"
    yield f"- **Created rows** were written by {writer}."
    yield f"- **Held out**: {inline(facts['rule'])}."
    yield ""
    yield "```bash"
    yield from (line.strip() for line in use.lines(folder, task, kind)[1:])
    yield "```"
    yield ""
    yield "All figures are in `report.md`, and as JSON in `fit.json`."


def _labels(task: Task) -> str:
    labels = task.labels or ()
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(inline(repr(label)) for label in labels[:_SHOWN]) + more


def report(facts: Mapping[str, Any], task: Task, found: Compared, verdict: str) -> str:
    """report.md: everything that was found out."""
    return "\n".join(_report(facts, task, found, verdict)) + "\n"


def _report(facts: Mapping[str, Any], task: Task, found: Compared, verdict: str) -> Iterator[str]:
    yield from (f"# {inline(task.name)}: mine, created, or both", "", verdict, "")
    if found.arms:
        majority = found.arms[0].score.majority
        yield f"Models: {inline(facts['model'])}; {found.arms[0].score.n:,} held-out rows, of which the commonest "
        yield f"answer has {100 * majority:.1f} %. Intervals are Wilson's, and of differences Agresti and Min's; tests"
        yield "are exact McNemar tests on the same rows."
        yield ""
        yield from _markdown(table(found.arms))
    if found.curve:
        yield from ("", "## Your own rows alone", "")
        yield from _markdown([["rows", "accuracy"], *([f"{n:,}", f"{100 * a:.1f}"] for n, a in found.curve.items())])
        yield from ("", "Parts are the mean of five draws.")
    yield from ("", "## What was done", "")
    for name in ("read", "held out", "formatting examples", "created", "leaks", "unlabelled", "kept"):
        yield f"- **{name}**: {inline(facts['done'][name])}"
    yield from ("", "## The rows that were created", "", "The first five, as they are:", "")
    yield fence("\n".join(facts["sample"]), "json")


def _markdown(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    head, *rest = lines
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for line in rest:
        yield f"| {' | '.join([*line, *[''] * (len(head) - len(line))])} |"
