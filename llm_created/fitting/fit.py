"""`llm-created fit`: a person's rows in, a classifier out, and whether created rows helped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError
from ..models import saved
from ..models.choose import usual
from ..models.features import Features
from ..runs.settings import Settings
from ..tasks.task import Row, Task
from ..utils import files, swap
from . import compare, encoders, pages
from .compare import BOTH, CREATED, MINE, Compared
from .created import Created, Watcher, create
from .plan import HELD_FILE, Plan, Ready, Tell, ready, records
from .verdict import sentence

FIT_FILE, WORK = "fit.json", ".fit"
_CREATED = "created.jsonl"
# What a fit writes into its folder; of an encoder also what stands beside its weights.
_OF_ENCODERS = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt",
    "special_tokens_map.json", "added_tokens.json", "spiece.model", "sentencepiece.bpe.model", "train_keys.txt",
    "result.json",
)  # fmt: skip
_OWN = (*saved.OWN, *_OF_ENCODERS, HELD_FILE, _CREATED, "report.md", "README.md", FIT_FILE)


class Fitted(NamedTuple):
    """What a fit has come to.

    Attributes:
        folder (`Path`): the classifier.
        task (`Task`): what it does.
        kind (`str`): `"linear"` or `"encoder"`.
        verdict (`str`): whether created rows helped, in words.
        table (`list[list[str]]`): the figures as lines of cells.
        about (`Mapping[str, Any]`): `fit.json`.
        new (`bool`): whether it was done now.
    """

    folder: Path
    task: Task
    kind: str
    verdict: str
    table: list[list[str]]
    about: Mapping[str, Any]
    new: bool


def fit(plan: Plan, settings: Settings, watcher: Watcher, tell: Tell) -> Fitted:
    """Read a person's rows, hold some out, create more, compare, and keep the best classifier.

    The same call resumes what was killed: replies are journaled, all else is computed again, and comes out the same.

    Args:
        plan (`Plan`): what is asked for.
        settings (`Settings`): of the run that creates rows.
        watcher (`Watcher`): shows the run while it goes on.
        tell (`Callable[[str], None]`): told a line at a time what is being done.

    Raises:
        UsageError: something in the call or the file is wrong; nothing was bought.
        StoppedShort: a person stopped it; the same call goes on.
        RunFailed: the run, or a training, could not go on.
    """
    made = ready(plan, settings, tell)
    if plan.encoder:
        encoders.check(plan.encoder)
    seen, about = usual(plan.embedding_model, plan.features)
    tell(f"features: {about}")
    digest = made.digest(seen.name)
    before = _before(plan, digest)
    if before is not None:
        return before
    work = plan.out / WORK
    _write_held(work, made)
    tell(f"run {made.made.digest[:8]} · {made.made.strategy} · {made.made.model} · {len(made.shown)} examples")
    created = create(made, watcher, tell)
    tell(f"{len(created.rows):,} rows created; comparing")
    found, trainings = _compared(made, created, seen, work, tell)
    facts = _facts(made, created, found, about)
    _keep(made, created, found, facts | {"digest": digest}, (seen, trainings))
    return _told(plan.out, True)


def _before(plan: Plan, digest: str) -> Fitted | None:
    """What is in the folder, if it is this very fit and ended as it was asked.

    Raises:
        UsageError: it holds something else.
    """
    out, there = plan.out, _names_in(plan.out)
    if FIT_FILE not in there:
        if set(there) - {WORK}:
            raise UsageError(f"`out` {str(out)!r} holds other files ({', '.join(there[:3])}): give a new folder")
        return None
    about = files.read_json(str(out / FIT_FILE), "a fit")
    if isinstance(about, dict) and about.get("digest") == digest and not about.get("short"):
        shutil.rmtree(out / WORK, ignore_errors=True)
        return _told(out, False)
    same = isinstance(about, dict) and about.get("digest") == digest
    if not (plan.overwrite or same):
        raise UsageError(
            f"`out` {str(out)!r} holds another fit (other rows, settings or numbers): give another folder, or "
            "`overwrite=True`"
        )
    return None


def _names_in(out: Path) -> list[str]:
    try:
        return sorted(path.name for path in out.iterdir()) if out.exists() else []
    except OSError as error:
        raise UsageError(f"`out` {str(out)!r} cannot be used: {error.strerror or error}") from None


def _told(folder: Path, new: bool) -> Fitted:
    about = files.read_json(str(folder / FIT_FILE), "a fit")
    task = Task.from_json(files.read_json(str(folder / "task.json"), "a task"))
    kind = "linear" if (folder / saved.LINEAR_FILE).exists() else "encoder"
    return Fitted(folder, task, kind, about["verdict"], about["table"], about, new)


def _write_held(work: Path, made: Ready) -> None:
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"`out` {str(work.parent)!r} cannot be written: {error.strerror or error}") from None
    if made.split.held:
        files.write_text(work / HELD_FILE, _lines(records(made.task, made.split.held)))


def _lines(records: list[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)


def _compared(
    made: Ready, created: Created, seen: Features, work: Path, tell: Tell
) -> tuple[Compared, encoders.Trainings | None]:
    """The arms of linear models, or of an encoder at full size; which is kept is chosen by linear ones."""
    task, mine, held, rows = made.task, made.split.mine, made.split.held, created.rows
    train = compare.linear(task, seen)
    folds = compare.cross_validated(train, task, mine, rows)
    name, why = compare.chosen(folds, len(mine), len(rows))
    if not made.plan.encoder:
        found = compare.arms(train, mine, rows, held, compare.sizes(len(rows)))
        return Compared(found, compare.curve(train, task, mine, held), folds, name, why), None
    trainings = encoders.Trainings(made.plan.encoder, task, work, made.settings.seed)
    if held:
        found = compare.arms(trainings.train, mine, rows, held, [len(rows)] if rows else [])
    else:
        trainings.train({MINE: mine, CREATED: rows, BOTH: [*mine, *rows]}[name])
        found = []
    return Compared(found, {}, folds, name, f"{why} of linear models"), trainings


def _chosen_rows(made: Ready, created: Created, name: str) -> list[Row]:
    return [*([] if name == CREATED else made.split.mine), *([] if name == MINE else created.rows)]


def _facts(made: Ready, created: Created, found: Compared, features: str) -> dict[str, Any]:
    """What card and report say beside the figures; no time is among it, so that a fit comes out the same again."""
    mine, held, n = made.split.mine, made.split.held, len(created.rows)
    kept = {MINE: f"{len(mine):,} rows of yours", CREATED: f"{n:,} created rows"}
    kept[BOTH] = f"{kept[MINE]} and {kept[CREATED]}"
    model = (
        f"the encoder {Path(made.plan.encoder).name}"
        if made.plan.encoder
        else f"a linear model ({features}; labels weigh alike)"
    )
    asked = f"{n:,} of {made.settings.num_rows:,} rows by {made.made.model}, run {made.made.digest[:8]}"
    done = {
        "read": "; ".join([f"{len(made.given.rows):,} labelled rows", *made.given.said]),
        "held out": f"{len(held):,} rows: {made.split.rule}",
        "formatting examples": f"{len(made.shown):,} of your {len(mine):,} rows",
        "created": asked + (f"; {created.short}" if created.short else ""),
        "leaks": f"{created.leaked:,} rows that repeat a held-out row were left out",
        "unlabelled": f"{len(made.given.unlabelled):,} rows without a label",
        "kept": f"{found.chosen}, {found.why}",
    }
    sample = [json.dumps(one, ensure_ascii=False) for one in records(made.task, created.rows[:5])]
    return {
        "verdict": sentence(found),
        "table": pages.table(found.arms) if found.arms else [],
        "model": model,
        "trained_on": kept[found.chosen],
        "why": found.why,
        "writer": made.made.model,
        "run": made.made.digest,
        "strategy": made.made.strategy,
        "rule": made.split.rule,
        "short": created.short,
        "done": done,
        "sample": sample,
        "arms": [arm.to_json() for arm in found.arms],
        "curve": [[size, accuracy] for size, accuracy in found.curve.items()],
        "cross_validation": found.folds,
        "chosen": found.chosen,
    }


def _keep(
    made: Ready,
    created: Created,
    found: Compared,
    facts: dict[str, Any],
    by: tuple[Features, encoders.Trainings | None],
) -> None:
    """Put all that there is in the folder's place at once."""
    out, task = made.plan.out, made.task
    stage = swap.beside(out, "fit")
    rows = _chosen_rows(made, created, found.chosen)
    try:
        swap.restore(stage, out)
        swap.clear(stage)
        seen, trainings = by
        if trainings is None:
            saved.write(compare.model(task, seen, rows), stage, task.example(made.shown[0]))
        else:
            trainings.copy(rows, stage)
        kind = "linear" if trainings is None else "encoder"
        (stage / _CREATED).write_text(_lines(records(task, created.rows)), "utf-8")
        if made.split.held:
            (stage / HELD_FILE).write_text(_lines(_held(made, found)), "utf-8")
        (stage / "report.md").write_text(pages.report(facts, task, found, facts["verdict"]), "utf-8")
        (stage / "README.md").write_text(pages.card(facts, task, facts["verdict"], out.name, kind), "utf-8")
        files.write_json(stage / FIT_FILE, facts)
        swap.take_place(stage, out, _OWN)
        shutil.rmtree(out / WORK, ignore_errors=True)
    except OSError as error:
        raise files.cannot_write(
            out, error, "The replies are kept: mend that, and run the same command again"
        ) from None


def _held(made: Ready, found: Compared) -> list[Mapping[str, Any]]:
    """The held-out rows, with what each of the largest arms says to them."""
    said = {name: arm.predictions for name in (MINE, CREATED, BOTH) if (arm := found.arm(name)) is not None}
    whole = zip(records(made.task, made.split.held), made.split.held, strict=True)
    return [
        {**record, **{f"said_by_{name}": row.options[one[at]] for name, one in said.items()}}
        for at, (record, row) in enumerate(whole)
    ]
