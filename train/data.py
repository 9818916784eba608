"""Which rows a model is trained on, and which choose its best epoch: several sources, merged in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llm_created.data import sources
from llm_created.errors import UsageError
from llm_created.tasks import builtin as tasks
from llm_created.tasks.task import Row, Task
from llm_created.utils.text import digest, fold, slug

SHARE = 0.1
_FILES = (".jsonl", ".json", ".csv", ".parquet")


class TrainingData(NamedTuple):
    """The rows of one training.

    Attributes:
        task (`Task`): their task; answers are indices into its labels where they are fixed.
        example (`Mapping[str, Any]`): its formatting example, for `task.json`.
        family (`str`): the task's family, or `""`.
        train (`list[Row]`): rows to train on, in order.
        validation (`list[Row]`): rows that choose the best epoch; none of them is in `train`.
        about (`dict[str, Any]`): the `train` part of a result.
        name (`str`): what the training set is called in tables: `"human"`, `"tree"`, `"tree+human"`.
        path_name (`str`): `name` with every number that was asked for: `"tree-2000+human-500"`.
        creation_seed (`str`): the seed of the run that wrote the rows, `"-"` where no row was written.
    """

    task: Task
    example: Mapping[str, Any]
    family: str
    train: list[Row]
    validation: list[Row]
    about: dict[str, Any]
    name: str
    path_name: str
    creation_seed: str


def load(
    specs: Sequence[str],
    task: str | None = None,
    human_data: str | None = None,
    num_rows: int | None = None,
    fraction: float = 1.0,
    validation: str = "tenth",
) -> TrainingData:
    """Load the sources, merge them in order, and cut the validation rows.

    Args:
        specs (`Sequence[str]`): what `llm_created.data.sources.load` takes, or `human` for the task's training split;
            `:500` at the end takes the first 500 rows.
        task (`str`, *optional*): a built-in name, a builder file, a `task.json` or a formatting example; by default
            that of the first source that has one.
        human_data (`str`, *optional*): a folder of human data in place of the Hub.
        num_rows (`int`, *optional*): takes the first rows of the only source.
        fraction (`float`, defaults to 1.0): takes this share of each source, from its beginning (figure 5 of
            https://openreview.net/forum?id=2Rdfdri2oT).
        validation (`str`, defaults to `"tenth"`): `"tenth"` of the rows, `"human"`, or any source.

    Raises:
        UsageError: a source has too few rows or does not fit the task, or there is nothing to validate on.
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"--fraction must be above 0 and at most 1, not {fraction:g}")
    asked = _counts(specs, num_rows)
    source = find_task([name for name, _ in asked], task, human_data)
    loaded = [sources.load(name, source.task, human_data) for name, _ in asked]
    parts = [_prefix(rows, count, fraction) for rows, (_, count) in zip(loaded, asked, strict=True)]
    rows = [row for part in parts for row in sources.in_labels(part, source.task)]
    # Not a set: the order of the sources is the order of the name.
    names = dict.fromkeys(map(_name, parts))
    sized = dict.fromkeys(map(_sized, parts, (count for _, count in asked)))
    train, held = split(rows) if validation == "tenth" else (rows, _held(validation, source.task, human_data))
    from llm_created.evaluation import results

    about = {
        "sources": list(map(_about, parts)),
        "rows": len(rows),
        "fingerprint": results.fingerprint(rows),
        "validation": "tenth of train" if validation == "tenth" else sources.public_name(validation),
        "validation_rows": len(held),
        "fraction": fraction,
    }
    path_name = "+".join(sized) + f"-f{fraction:g}" * (fraction < 1)
    return TrainingData(
        source.task, source.example, _family(source), train, held, about, "+".join(names), path_name,
        _creation_seeds(parts),
    )  # fmt: skip


def _count(spec: str) -> tuple[str, int | None]:
    """`created:500` as the source and its number of rows; `human` is the task's training split."""
    name, colon, count = spec.rpartition(":")
    given = bool(colon) and count.isascii() and count.isdigit()
    source = name if given else spec
    source = "human:train" if source == "human" else source
    return _positive(source, int(count)) if given else (source, None)


def _positive(name: str, count: int) -> tuple[str, int]:
    if count < 1:
        raise UsageError(f"{name}: at least one row must be taken, not {count}")
    return name, count


def _counts(specs: Sequence[str], num_rows: int | None) -> list[tuple[str, int | None]]:
    """Each source, and how many of its first rows are wanted."""
    asked = [_count(spec) for spec in specs]
    if num_rows is None:
        return asked
    if len(asked) > 1 or asked[0][1] is not None:
        raise UsageError(f"--num-rows is for one source without a count: write {asked[0][0]}:{num_rows} instead")
    return [_positive(asked[0][0], num_rows)]


def _sized(part: sources.Rows, count: int | None) -> str:
    return f"{_name(part)}-{count}" if count else _name(part)


def _held(validation: str, task: Task, human_data: str | None) -> list[Row]:
    """Validation rows of a source of their own."""
    wanted = sources.load("human:validation" if validation == "human" else validation, task, human_data)
    return sources.in_labels(wanted, task)


def _creation_seeds(parts: Sequence[sources.Rows]) -> str:
    """The seeds of the runs that wrote the rows."""
    seeds = dict.fromkeys(str(part.about["identity"]["seed"]) for part in parts if "identity" in part.about)
    return "+".join(seeds) or "-"


def find_task(names: Sequence[str], task: str | None, human_data: str | None = None) -> tasks.Source:
    """The task that is asked for, else that of the first source that has one.

    Raises:
        UsageError: no source says what its task is.
    """
    if task is not None:
        return tasks.named(task)
    for name in names:
        if not name.startswith("human:") and Path(name).suffix not in _FILES:
            rows = sources.load(name, None, human_data)
            example = rows.about.get("identity", {}).get("example") or rows.task.example(rows.rows[0])
            known = tasks.load(rows.task.name) if rows.task.name in tasks.names() else None
            return known if known and known.task == rows.task else tasks.Source(rows.task, example)
    raise UsageError(
        f"{', '.join(names)}: say which task these rows are of: --task NAME, a builder file or a task.json"
    )


def _family(source: tasks.Source) -> str:
    known = tasks.load(source.task.name) if source.task.name in tasks.names() else source
    return known.family if known.task == source.task else source.family


def _prefix(rows: sources.Rows, count: int | None, fraction: float) -> sources.Rows:
    if count is not None and count > len(rows.rows):
        raise UsageError(f"{rows.name} has {len(rows.rows):,} rows, {count:,} were asked for")
    whole = rows.rows[:count]
    return rows._replace(rows=whole[: max(1, round(len(whole) * fraction))])


def split(rows: Sequence[Row], share: float = SHARE) -> tuple[list[Row], list[Row]]:
    """Cut validation rows: the questions with the smallest hashes, all rows of one question on one side.

    Args:
        rows (`Sequence[Row]`): any rows; both parts keep their order.
        share (`float`, defaults to 0.1): of the rows.

    Returns:
        `tuple[list[Row], list[Row]]`: training and validation rows.

    Raises:
        UsageError: there are too few different questions for two parts.
    """
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(fold(row.inputs[0]), []).append(place)
    wanted = max(1, round(len(rows) * share))
    held: set[int] = set()
    for group in sorted(groups.values(), key=lambda group: digest(["validation", min(rows[at].id for at in group)])):
        if len(held) + len(group) <= wanted:
            held.update(group)
    if not held or len(held) == len(rows):
        why = f"{len(rows)} rows with {len(groups)} different questions"
        raise UsageError(f"{why} cannot be cut into training and validation rows: give more, or --validation human")
    parts: tuple[list[Row], list[Row]] = ([], [])
    for place, row in enumerate(rows):
        parts[place in held].append(row)
    return parts


def _name(part: sources.Rows) -> str:
    if part.kind == "human":
        return "human"
    identity = part.about.get("identity", {})
    return identity.get("strategy") or slug(part.about.get("config") or Path(part.name).stem)


def _about(part: sources.Rows) -> dict[str, Any]:
    identity = part.about.get("identity", {})
    return {
        "name": sources.public_name(part.name),
        "kind": part.kind,
        "rows": len(part.rows),
        "run": part.about.get("run"),
        "strategy": identity.get("strategy"),
        "writer": identity.get("model"),
    }


def keys(rows: Sequence[Row]) -> list[str]:
    """What a row is recognised by, with no text in it: 16 hex digits for the row, 16 for its question."""
    return [f"{row.key:016x} {digest(fold(row.inputs[0]))}" for row in rows]
