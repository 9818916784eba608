"""`llm_created.label_rows`: labels for rows in memory."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..creation import questions as asking
from ..creation.progress import Tally
from ..data.sources import source_of
from ..errors import StoppedShort
from ..runs.settings import Settings
from ..tasks import builtin as tasks
from ..tasks.task import Task
from . import file, records
from .label import KIND, label_into, labelling
from .votes import Labelled

_LOOK = 0.2


def label_rows(
    rows: Iterable[Mapping[str, Any]],
    task: str | Task,
    *,
    model: str,
    votes: int = 1,
    shots: Iterable[Mapping[str, Any]] = (),
    chain_of_thought: bool = False,
    likelihood: bool = False,
    name: str = "rows",
    allow_partial: bool = False,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Have a model label rows.

    Every reply is journaled: the same call again buys nothing, and goes on where it stopped. An answer that a row has
    already is never shown to the model. Rows that are the same are asked about once.

    Args:
        rows (`Iterable[Mapping[str, Any]]`): what is labelled, such as a `datasets.Dataset`; objects with the task's
            input fields, and where options vary, with those.
        task (`str` or `Task`): a built-in task, a builder file, a `task.json`, or a task of your own.
        model (`str`): the model's name at the server; `"demo"` is a plumbing check.
        votes (`int`, defaults to 1): answers to each row; the label is what more than half of them are for.
        shots (`Iterable[Mapping[str, Any]]`, *optional*): labelled rows to show before each, perhaps with an
            `explanation` of their answer.
        chain_of_thought (`bool`, defaults to `False`): ask for an explanation before the answer.
        likelihood (`bool`, defaults to `False`): read how likely each answer is off a model of this process,
            instead of asking for one.
        name (`str`, defaults to `"rows"`): another name has a journal and caps of its own.
        allow_partial (`bool`, defaults to `False`): take what there is where a cap ended it.
        **settings: server and caps, as in [`Settings`]: `base_url`, `concurrency`, `max_cost`, `temperature` ...

    Returns:
        `list[dict[str, Any]]`: every row in its order and as it was, with the label in the task's answer field (where
        any row has an answer already, `llm_` stands before its name), the number of `votes` for each option, the share
        that agrees (`agreement`) or how likely the label is (`probability`), the `explanation`, and where there is no
        label (it is `None`) the `reason`.

    Raises:
        UsageError: something in the call is missing or out of range.
        StoppedShort: a cap was reached; what came is journaled.
        RunFailed: a question got no reply, or none can.

    Example:

        >>> from llm_created import label_rows
        >>> rows = [{"question": "is ice cold"}, {"question": "is the sun a planet"}]
        >>> labelled = label_rows(rows, "boolq", model="demo", votes=3)
        >>> [row["question"] for row in labelled]
        ['is ice cold', 'is the sun a planet']
        >>> [row["answer"] in ("True", "False") for row in labelled]
        [True, True]
    """
    source = source_of(task) if isinstance(task, Task) else tasks.named(task)
    cases = records.cases(source.task, rows)
    how = Settings(model=model, allow_partial=allow_partial, **settings)
    shown = records.shown(source.task, shots)
    places = [place for place, case in enumerate(cases) if case.row is not None]
    asked = [case.row for case in cases if case.row is not None]
    left = threading.Event()

    async def watch(tally: Tally, stop: asyncio.Event) -> None:
        while not left.is_set():
            await asyncio.sleep(_LOOK)
        stop.set()

    def label() -> tuple[list[Labelled | None], StoppedShort | None]:
        asked_how: dict[str, Any] = {"chain_of_thought": chain_of_thought, "likelihood": likelihood}
        made, judge = labelling(source, how, name=name, votes=votes, shots=shown, **asked_how)
        with asking.journal(KIND, made) as journal:
            return label_into(made, judge, asked, how, journal, watch)

    # In a thread of its own: in a notebook this one runs an event loop already. Whoever leaves stops the asking.
    with ThreadPoolExecutor(1) as pool:
        try:
            found, short = pool.submit(label).result()
        finally:
            left.set()
    if short is not None and not allow_partial:
        raise short
    said = file.text(source.task, cases, dict(zip(places, found, strict=True)), short)
    return [json.loads(line) for line in said.split("\n")[:-1]]
