"""A model's answers to a file: every record as it was, with a label and its probability, however many there are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ..data import tables
from ..data.written import records_into
from ..errors import UsageError
from ..tasks.task import Reason
from ..utils.progress import Told
from ..utils.text import fold
from .loaded import Answer, Classifier

LABEL, PROBABILITY = "label", "probability"
_AT_ONCE = 500


@dataclass
class Counted:
    """What became of the records of a file.

    Attributes:
        rows (`int`): records.
        labels (`Counter[str]`): how many got each label.
        unsure (`int`): how many got none, because it was not likely enough.
        unread (`int`): how many got none, because they have no text, or none that can be read.
        first (`str`): where the first of these is, and why.
        columns (`tuple[str, str]`): what label and probability are called.
    """

    rows: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    unsure: int = 0
    unread: int = 0
    first: str = ""
    columns: tuple[str, str] = (LABEL, PROBABILITY)


def predict_file(
    model: Classifier,
    path: Path,
    out: str,
    suffix: str,
    *,
    name: str,
    fields: Mapping[str, str],
    abstain: float | None = None,
    told: Told = lambda what, done, total: None,
) -> Counted:
    """Label the records of a file.

    Args:
        model (`Classifier`): labels them.
        path (`Path`): what `tables.records_of` reads.
        out (`str`): the file to write, or `-` for standard output.
        suffix (`str`): what kind of file that is.
        name (`str`): what the records are called in a message.
        fields (`Mapping[str, str]`): the model's field by the column that stands for it.
        abstain (`float`, *optional*): a label that is less likely than this is left out.
        told (`Callable[[str, int, int], None]`, *optional*): told how far it is.

    Raises:
        UsageError: the file cannot be read, a line of it is broken, or a column is missing; nothing is written then.
        RunFailed: the answers cannot be written.
    """
    records = tables.numbered(path)
    begin = list(islice(records, _AT_ONCE))
    if not begin:
        raise UsageError(f"{name} has no records")
    if isinstance(begin[0][1], Mapping):
        model.check_fields(begin[0][1], fields, name)
    names = _free({fold(key) for _, record in begin if isinstance(record, Mapping) for key in record})
    counted, total = Counted(columns=names), tables.count_of(path)
    ours = dict(zip(names, ("string", "float64"), strict=True))
    numbers: list[int] = []
    with records_into(out, suffix, ours, tables.types_of(path)) as add:
        answers = model.answers(_remembered(chain(begin, records), numbers, name, names), fields)
        while some := list(islice(answers, _AT_ONCE)):
            add([_record(answer, names, numbers.pop(0), abstain, counted) for answer in some])
            told("rows labelled", counted.rows, max(total, counted.rows))
    return counted


def _free(taken: set[str]) -> tuple[str, str]:
    """What the new columns are called: as they are, or `predicted_` before it where the file has such a column."""

    def free(name: str) -> str:
        while fold(name) in taken:
            name = f"predicted_{name}"
        return name

    return free(LABEL), free(PROBABILITY)


def _remembered(
    records: Iterable[tuple[int, Any]], numbers: list[int], name: str, ours: tuple[str, str]
) -> Iterator[Mapping[str, Any]]:
    """The records, while their numbers are noted down."""
    for number, record in records:
        if not isinstance(record, Mapping):
            shown = json.dumps(record, default=str)[:40]
            raise UsageError(f"{name}, line {number}: an object with the columns is wanted, not {shown}")
        if twice := [one for one in ours if one in record]:
            raise UsageError(
                f"{name}, line {number} has a column {twice[0]!r}, which none of the first {_AT_ONCE} has: rename it"
            )
        numbers.append(number)
        yield record


def _record(
    answer: Answer, names: tuple[str, str], number: int, abstain: float | None, counted: Counted
) -> dict[str, Any]:
    counted.rows += 1
    label = probability = None
    if isinstance(answer.row, Reason):
        counted.unread += 1
        counted.first = counted.first or f"line {number}: {answer.row.code} {answer.row.detail!r}"
    else:
        best = answer.best
        probability = round(answer.probabilities[best], 4)
        if abstain is not None and answer.probabilities[best] < abstain:
            counted.unsure += 1
        else:
            label = answer.row.options[best]
            counted.labels[label] += 1
    return {**answer.record, names[0]: label, names[1]: probability}
