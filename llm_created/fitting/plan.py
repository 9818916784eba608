"""What is to be fitted: a person's rows, read and parted, and the run that creates from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..checks.chosen import named
from ..creation.define import identity
from ..data.columns import Columns
from ..data.examples import Labelled, read_labelled
from ..errors import UsageError
from ..evaluation.results import fingerprint
from ..runs.identity import MAX_EXAMPLES, SELF_REFERENCE, Identity, known_strategy
from ..runs.settings import Settings
from ..tasks.builtin import Source
from ..tasks.task import Reason, Row, Task
from ..utils.text import digest, shorten
from .split import Split, hold_out

Tell = Callable[[str], None]
HELD_FILE = "held-out.jsonl"
# Part of what says whether a folder holds this very fit: a later version makes it anew.
_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What a person asks for.

    Attributes:
        file (`str`): their rows.
        columns (`Columns`): what they say of the columns.
        out (`Path`): the folder that the classifier is kept in.
        strategy (`str`): how rows are created.
        test (`str`, *optional*): a file of rows to score on, in place of a part of their own.
        share (`float`): of their rows, to score on.
        examples (`int`): formatting examples, at most.
        embedding_model (`str`, *optional*): what a linear model sees, in place of the usual.
        features (`str`, *optional*): `"tfidf"` or `"embeddings"`, in place of what is best here.
        encoder (`str`, *optional*): a transformer to train in place of a linear model.
        overwrite (`bool`): put it in the place of another fit.
    """

    file: str
    columns: Columns
    out: Path
    strategy: str = "tree"
    test: str | None = None
    share: float = 0.3
    examples: int = 40
    embedding_model: str | None = None
    features: str | None = None
    encoder: str | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class Ready:
    """What is known before anything is bought.

    Attributes:
        plan (`Plan`): what was asked for.
        settings (`Settings`): of the run, with the held-out rows among what it must not repeat.
        given (`Labelled`): what was read.
        split (`Split`): its rows in two parts.
        shown (`list[Row]`): the formatting examples.
        made (`Identity`): the run.
    """

    plan: Plan
    settings: Settings
    given: Labelled
    split: Split
    shown: list[Row]
    made: Identity

    @property
    def task(self) -> Task:
        """The task of the rows."""
        return self.given.task

    def digest(self, features: str) -> str:
        """What says whether a folder holds this very fit."""
        rows = [fingerprint(self.split.mine), fingerprint(self.split.held)]
        checks = named(self.settings, self.made)
        # Ours is said by its rows; it is called by its path as long as it is not there.
        checks["check_against"] = [name for name in checks.get("check_against", ()) if not name.endswith(HELD_FILE)]
        asked = [self.settings.num_rows, checks, features, self.plan.encoder, self.plan.features]
        return digest([_FORMAT, self.task.to_json(), rows, self.made.digest, asked])


def ready(plan: Plan, settings: Settings, tell: Tell) -> Ready:
    """Read the rows, hold out a part, and define the run; what is wrong is said before anything is bought.

    Raises:
        UsageError: the file cannot be read, a column cannot be told, or there is too little to learn from.
    """
    if not 0 < plan.share < 1:
        raise UsageError(f"`share` is a share of the rows, between 0 and 1, not {plan.share:g}: try 0.3")
    if not 1 <= plan.examples <= MAX_EXAMPLES:
        raise UsageError(f"`examples` must be from 1 to {MAX_EXAMPLES:,}, not {plan.examples}")
    if settings.leaks != "drop":
        raise UsageError(f"`leaks` {settings.leaks}: a row that repeats a held-out one is always left out here")
    given = read_labelled(plan.file, plan.columns)
    for line in given.said:
        tell(f"{Path(plan.file).name}: {line}")
    split = _parts(plan, given, settings.seed)
    _enough(plan, given.task, split.mine)
    _tell_split(given, split, tell)
    held = [str(plan.out / ".fit" / HELD_FILE)] if split.held else []
    against = settings.check_against or ()
    settings = replace(settings, check_against=[*([against] if isinstance(against, str) else against), *held])
    if given.task.labels and settings.balance is False and known_strategy(plan.strategy) in SELF_REFERENCE:
        settings.balance = "ask"
    shown = _examples(given.task, split.mine, plan.examples)
    first, *more = map(given.task.example, shown)
    made = identity(settings, Source(given.task, first, more_examples=more), plan.strategy)
    return Ready(plan, settings, given, split, shown, made)


def _parts(plan: Plan, given: Labelled, seed: int) -> Split:
    if plan.test is None:
        return hold_out(given.rows, plan.share, seed, given.task.labels is not None)
    task = given.task
    options = task.options if task.variable else None
    told = Columns(task.inputs, task.answer, options, task.labels or (), "variable" if task.variable else None)
    try:
        held = read_labelled(plan.test, told).rows
    except UsageError as error:
        raise UsageError(f"`test` {plan.test!r}: {error}; it must have the columns of {plan.file!r}") from None
    if task.labels is not None:
        held = [row._replace(options=task.labels) for row in held]
    keys = {row.key for row in held}
    mine = [row for row in given.rows if row.key not in keys]
    both = len(given.rows) - len(mine)
    rule = f"the rows of {Path(plan.test).name}" + f"; {both:,} rows of yours are among them, and left out" * (
        both > 0
    )
    return Split(mine, held, 0, rule)


def _enough(plan: Plan, task: Task, mine: Sequence[Row]) -> None:
    if task.labels is not None and len({row.answer for row in mine}) < 2:
        raise UsageError(
            f"{plan.file!r}: to learn from there are {len(mine)} labelled rows, of one label: label some of another"
        )
    if len(mine) < 2:
        raise UsageError(f"{plan.file!r}: to learn from there is {len(mine)} labelled row: label some more")


def _tell_split(given: Labelled, split: Split, tell: Tell) -> None:
    tell(f"{len(split.mine):,} rows to learn from, {len(split.held):,} held out: {split.rule}")
    if given.unlabelled:
        tell(f"{len(given.unlabelled):,} rows without a label: `llm-created predict` gives them one at the end")
    labels = given.task.labels
    if labels is not None:
        there = {row.answer for row in split.mine}
        lacking = [label for at, label in enumerate(labels) if at not in there]
        if lacking:
            tell(f"note: no row to learn from is {shorten(', '.join(map(repr, lacking)), 100)}")
    if not split.held:
        tell("note: nothing is held out, so nothing is measured: label more rows, or give `test` FILE")


def _examples(task: Task, mine: Sequence[Row], most: int) -> list[Row]:
    """The formatting examples: evenly over labels, in an order by hash, one of each at least."""
    groups: dict[int, list[Row]] = {}
    for row in sorted(mine, key=lambda one: digest(["example", one.id])):
        # A row that lists an option twice is scored as it is, and shown to nobody.
        if isinstance(task.read(task.example(row)), Reason):
            continue
        groups.setdefault(row.answer if task.labels else 0, []).append(row)
    in_turn = [
        row for line in zip_longest(*(groups[key] for key in sorted(groups))) for row in line if row is not None
    ]
    if not in_turn:
        raise UsageError("no row to learn from can be shown to a model: each lists an option twice")
    return in_turn[: max(most, len(groups))]


def records(task: Task, rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    """Rows as the records of a file that any command reads, the answer as text."""
    found: list[Mapping[str, Any]] = []
    for row in rows:
        record: dict[str, Any] = dict(zip(task.inputs, row.inputs, strict=True))
        if task.variable:
            record[task.options] = list(row.options)
        found.append(record | {task.answer: row.options[row.answer]})
    return found
