"""Are these rows any good? A linear model is trained on them and scored, beside one trained on human rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import human_rows, sources
from ..errors import UsageError
from ..models import linear, saved
from ..models.choose import choose
from ..models.features import Features
from ..tasks import builtin as tasks
from ..tasks.task import Row, Task
from ..utils.console import say
from ..utils.text import digest
from . import demo_rows, results
from .scores import McNemar, Score, mcnemar, score

FRACTIONS = (0.1, 0.25, 0.5, 1.0)
HUB = "hub"


@dataclass(frozen=True)
class Scored:
    """The models of a trial on one test set.

    Attributes:
        name (`str`): the test set's, without a path of this machine.
        rows (`list[Row]`): its rows, answers as indices into the labels of the training task.
        distribution (`str`): `"in"` or `"out"`.
        leaked (`int`): rows that are in the training data too, by `Row.key`.
        curve (`dict[int, Score]`): by number of training rows, in rising order; the last is the whole.
        predictions (`list[int]`): of the model trained on the whole.
        last_step (`McNemar`, *optional*): the last but one of the curve against the last, where there are two.
        human (`Score`, *optional*): of the model trained on human rows, with `human_predictions`.
        against_human (`McNemar`, *optional*): the whole against human.
        human_leaked (`int`): test rows among those human rows.
    """

    name: str
    rows: list[Row]
    distribution: str
    leaked: int
    curve: dict[int, Score]
    predictions: list[int]
    last_step: McNemar | None = None
    human: Score | None = None
    human_predictions: tuple[int, ...] = ()
    against_human: McNemar | None = None
    human_leaked: int = 0


@dataclass(frozen=True)
class Trial:
    """What `evaluate` found out.

    Attributes:
        train (`sources.Rows`): the rows that were asked for, in the order that they were taken in.
        whole (`int`): how many there were before `num_rows` cut them.
        human (`list[Row]`): as many human rows, or all there are; empty where there are none.
        features (`Features`): what the models saw.
        seed (`int`): of the draw of human rows.
        tests (`list[Scored]`): one for each test set.
        environment (`dict[str, Any]`): command, versions, commit, time.
        seconds (`float`): all of it.
        model (`Linear`): the one that was trained on all the rows.
    """

    train: sources.Rows
    whole: int
    human: list[Row]
    features: Features
    seed: int
    tests: list[Scored]
    environment: dict[str, Any]
    seconds: float
    model: linear.Linear

    def save(self, folder: str | Path) -> Path:
        """Keep the model in a folder, for `load_model` and `llm-created predict`; see [`llm_created.load_model`]."""
        return saved.save(self.model, folder, self.train.about.get("identity", {}).get("example"))


def evaluate(
    run: str,
    on: str | Sequence[str],
    *,
    task: str | Task | None = None,
    human_data: str | None = None,
    features: str = "tfidf",
    embedding_model: str | None = None,
    num_rows: int | None = None,
    seed: int = 0,
) -> Trial:
    """Train linear models on 10, 25, 50 and 100 % of the rows of a run, one on as many human rows, and score them.

    Args:
        run (`str`): what to train on: a run's digest, name or folder; a `.jsonl`, `.json`, `.csv` or `.parquet` file;
            a dataset on the Hub (`"me/csqa-created"`); human data (`"csqa:train"`).
        on (`str` or `Sequence[str]`): test sets, likewise; `"demo"` writes held-out demo rows.
        task (`str` or `Task`, *optional*): needed where `run` is a file or `human:train`.
        human_data (`str`, *optional*): a folder of human data, or `"hub"`. Without it human rows are trained on only
            where a test set is the task's own human data.
        features (`str`, defaults to `"tfidf"`): or `"embeddings"`, by `embedding_model`.
        num_rows (`int`, *optional*): train on the first rows only.
        seed (`int`, defaults to 0): of the order of human rows and of files; a run has an order of its own.

    Returns:
        `Trial`: for each test set (`tests`) the scores by number of training rows (`curve`), with intervals, the score
        of the commonest answer, and a paired test against the human rows.

    Raises:
        UsageError: a source is not there, does not fit the task, or a package is missing.

    Example:

        >>> import llm_created
        >>> rows = llm_created.load_dataset("creak", "naive", model="demo", num_rows=100, split="train")
        >>> size = rows.to_parquet("created.parquet")
        >>> trial = llm_created.evaluate("created.parquet", on="demo", task="creak")
        >>> list(trial.tests[0].curve)
        [10, 25, 50, 100]
        >>> score = trial.tests[0].curve[100]
        >>> score.low < score.accuracy < score.high
        True
    """
    on = (on,) if isinstance(on, str) else on
    task = tasks.named(task).task if isinstance(task, str) else task
    environment, started = results.environment(), time.monotonic()
    seen = choose(features, embedding_model)
    folder = None if human_data == HUB else human_data
    train, whole = _training(run, task, folder, num_rows, seed)
    tests = [_test(spec, train, folder) for spec in dict.fromkeys(on)]
    _check_names(tests)
    people = _human_rows(train, on, human_data, seed)
    sizes = sorted({max(1, round(len(train.rows) * fraction)) for fraction in FRACTIONS})
    by_size = {}
    for size in sizes:
        model = linear.Linear(train.task, seen).fit(train.rows[:size])
        by_size[size] = [model.predict(test.rows) for test in tests]
    # What the features learnt of these rows, the model on human rows learns anew.
    seen_anew = choose(features, embedding_model) if features == "tfidf" else seen
    by_human = _predictions(train.task, seen_anew, people, tests) if people else None
    scored = []
    for at, test in enumerate(tests):
        curve = {size: predictions[at] for size, predictions in by_size.items()}
        scored.append(_scored(test, curve, by_human[at] if by_human else None, train.rows, people))
    return Trial(train, whole, people, seen, seed, scored, environment, time.monotonic() - started, model)


def _check_names(tests: Sequence[_Test]) -> None:
    names = [test.name for test in tests]
    if len(set(names)) < len(names):
        raise UsageError(f"`on`: two test sets have one name ({', '.join(sorted(names))}): rename a file")


def _training(
    run: str, task: Task | None, folder: str | None, num_rows: int | None, seed: int
) -> tuple[sources.Rows, int]:
    train = sources.load(run, task, folder)
    if task is not None:
        sources.same_task(train, task)
    if not train.rows:
        raise UsageError(f"{run}: there is no row to train on")
    if num_rows is not None and not 1 <= num_rows <= len(train.rows):
        raise UsageError(f"`num_rows` {num_rows}: {run} has {len(train.rows):,} rows")
    # The order of a run is its own; a file may be sorted by label.
    rows = train.rows if train.kind == "created" else _shuffled(train.rows, seed)
    return train._replace(rows=rows[:num_rows]), len(rows)


def _shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    return sorted(rows, key=lambda row: digest([seed, row.id]))


@dataclass(frozen=True)
class _Test:
    name: str
    rows: list[Row]
    distribution: str


def _test(spec: str, train: sources.Rows, folder: str | None) -> _Test:
    if spec == demo_rows.NAME:
        return _Test(spec, demo_rows.demo_rows(train).rows, "in")
    test = sources.load(spec, train.task, folder)
    rows = sources.in_labels(test, train.task)
    distribution = "in" if test.task.name == train.task.name else "out"
    return _Test(sources.public_name(spec), rows, distribution)


def _human_rows(train: sources.Rows, on: Sequence[str], human_data: str | None, seed: int) -> list[Row]:
    """As many human training rows as there are others, or fewer; none where there are none or none are asked for."""
    own = any(spec.partition(":")[0] in (train.task.name, "human") for spec in on if ":" in spec)
    if train.kind == "human" or not (human_data or own):
        return []
    source = sources.source_of(train.task)
    if human_data and human_data != HUB:
        file = sources.human_folder(source, human_data) / "train.jsonl"
        parts = human_rows.load_local(train.task, {"train": file}) if file.is_file() else {}
    elif source.human is not None:
        parts = human_rows.load_hub(train.task, source.human)
    else:
        raise UsageError(f"the task {train.task.name!r} has no human data on the Hub: give `human_data` DIR")
    return _shuffled(parts.get("train", []), seed)[: len(train.rows)]


def _predictions(task: Task, seen: Features, rows: Sequence[Row], tests: Sequence[_Test]) -> list[list[int]]:
    """What a model trained on these rows says to every test set."""
    model = linear.Linear(task, seen).fit(rows)
    return [model.predict(test.rows) for test in tests]


def _right(predictions: Sequence[int], answers: Sequence[int]) -> list[bool]:
    return [predicted == answer for predicted, answer in zip(predictions, answers, strict=True)]


def _scored(
    test: _Test, by_size: dict[int, list[int]], by_human: list[int] | None, train: Sequence[Row], people: Sequence[Row]
) -> Scored:
    answers = [row.answer for row in test.rows]
    right = {size: _right(said, answers) for size, said in by_size.items()}
    *_, whole = by_size
    leaked = _leaked(test.rows, train)
    if leaked:
        say(f"warning: {leaked:,} of the {len(answers):,} rows of {test.name} are in the training data")
    return Scored(
        name=test.name,
        rows=test.rows,
        distribution=test.distribution,
        leaked=leaked,
        curve={size: score(said, answers) for size, said in by_size.items()},
        predictions=by_size[whole],
        last_step=mcnemar(*list(right.values())[-2:]) if len(right) > 1 else None,
        human=score(by_human, answers) if by_human else None,
        human_predictions=tuple(by_human or ()),
        against_human=mcnemar(right[whole], _right(by_human, answers)) if by_human else None,
        human_leaked=_leaked(test.rows, people),
    )


def _leaked(rows: Sequence[Row], train: Sequence[Row]) -> int:
    known = {row.key for row in train}
    return sum(row.key in known for row in rows)
