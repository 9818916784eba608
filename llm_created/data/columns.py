"""Which column of a table is what: the answer and its labels, the options of a row, the inputs; and what is none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import UsageError
from ..tasks.inference import named_answer, question_first
from ..tasks.task import Task
from ..utils.text import fold, look, scalar, slug
from .cells import empty, listed, text_of
from .fields import listed_in
from .label_space import Told, label_space

Record = Mapping[str, Any]
# What names a row, and says nothing of it; what this library adds to one.
_IDS = {
    "",
    "id",
    "_id",
    "ids",
    "idx",
    "index",
    "uid",
    "uuid",
    "guid",
    "key",
    "row",
    "row id",
    "no",
    "nr",
    "unnamed: 0",
}
_OURS = {"id", "parent_id", "depth"}
_NUMBER = re.compile(r"[-+]?[\d.,:/ \-TZ]+%?")
# Rows from which on a column that has one value, or fewer values than that, tells something by it.
_TELLS = 5
_SHORT = 100


class Columns(NamedTuple):
    """What a person says of the columns; what is not said is inferred.

    Attributes:
        fields (`Sequence[str]`): the inputs, in their order.
        answer (`str`, *optional*): the answer.
        options (`str`, *optional*): the list of a row's options.
        labels (`Sequence[str]`): the labels of all rows.
        label_space (`str`, *optional*): `"fixed"` or `"variable"`.
        aside (`Sequence[str]`): what is neither, and is kept; see [`Task`].
    """

    fields: Sequence[str] = ()
    answer: str | None = None
    options: str | None = None
    labels: Sequence[str] = ()
    label_space: str | None = None
    aside: Sequence[str] = ()


class Table(NamedTuple):
    """Records whose columns are known.

    Attributes:
        task (`Task`): what they are rows of.
        records (`Sequence[Mapping[str, Any]]`): all of them, with the task's columns alone.
        said (`Sequence[str]`): what was inferred, a line each.
    """

    task: Task
    records: Sequence[Record]
    said: Sequence[str]


def table_of(records: Sequence[Record], name: str, told: Columns) -> Table:
    """The task that several records are rows of.

    Raises:
        UsageError: something cannot be inferred; the message names the columns seen and the setting that says it.
    """
    _check_told(told)
    keys = _keys(records, told)
    values = {key: _cells(records, key) for key in keys}
    options = _options(values, told)
    answer = _answer(values, told, options) if told.answer is None else told.answer
    in_words = _in_words(records, values, answer)
    values[answer] = _cells(in_words, answer)
    inputs, dropped = _inputs(values, len(records), answer, options, told)
    asked = Told(told.labels, told.label_space, told.answer is not None)
    labels, number, how = label_space(in_words, values[answer], answer, options, asked)
    aside = tuple(told.aside)
    task = Task(slug(name), inputs, answer, options or _free([*keys, *aside]), labels, number, aside)
    wanted = {*inputs, answer, *aside, *((options,) if options else ())}
    kept = [{key: value for key, value in record.items() if key in wanted} for record in in_words]
    said = f"inputs {listed(inputs)}; answer {answer!r}, {how}"
    said += f"; aside {listed(aside)}" if aside else ""
    return Table(task, kept, (said + (f"; not used: {listed(dropped)}" if dropped else ""),))


def _cells(records: Sequence[Record], key: str) -> list[Any]:
    """What a column holds, but for the empty cells."""
    return [value for record in records if not empty(value := record.get(key))]


def _keys(records: Sequence[Record], told: Columns) -> list[str]:
    """The columns that are there, but for those aside; what a person names must be one."""
    keys = list(dict.fromkeys(str(key) for record in records for key in record))
    one = {"answer_field": told.answer, "options_field": told.options}
    named = {name: [key] for name, key in one.items() if key is not None}
    for setting, names in (named | {"fields": told.fields, "aside": told.aside}).items():
        for key in names:
            if key not in keys:
                raise UsageError(f"`{setting}` {key!r} is no column: the columns are {listed(keys)}")
    return [key for key in keys if key not in told.aside]


def _check_told(told: Columns) -> None:
    if told.label_space not in (None, "fixed", "variable"):
        raise UsageError(f"`label_space` is 'fixed' or 'variable', not {told.label_space!r}")
    if told.labels and told.label_space == "variable":
        raise UsageError("`labels` gives a fixed label space: leave out `label_space` variable, or `labels`")


def _free(keys: Sequence[str]) -> str:
    taken = set(map(fold, keys))
    return next(name for name in ("options", "labels", "choices", "allowed_answers") if name not in taken)


def _options(values: Mapping[str, Sequence[Any]], told: Columns) -> str | None:
    """The column that lists a row's options."""
    if told.options is not None:
        return told.options
    lists = [key for key, cells in values.items() if cells and key not in told.fields and all(map(_is_list, cells))]
    if len(lists) > 1:
        raise UsageError(f"several columns hold lists ({listed(lists)}): say which with `options_field` KEY")
    return lists[0] if lists else None


def _is_list(value: Any) -> bool:
    return not isinstance(value, Mapping) and len(listed_in(value) or ()) > 1


def _answer(values: Mapping[str, Sequence[Any]], told: Columns, options: str | None) -> str:
    """The column of the answer: it holds the told labels, is called so, or alone repeats a few short texts."""
    scalars = _scalars(values, told, options)
    # A column of labels that a person has named is meant, whatever else is called an answer.
    if fitting := [key for key in scalars if _all_among(told.labels, values[key])]:
        return _alone(fitting)
    if named := named_answer(scalars):
        return named
    if repeating := [key for key in scalars if not told.labels and _repeats(values[key])]:
        return _alone(repeating)
    raise UsageError(f"which column is the answer cannot be told ({listed([*values])}): name it, `answer_field` KEY")


def _scalars(values: Mapping[str, Sequence[Any]], told: Columns, options: str | None) -> list[str]:
    """The columns that may be the answer."""
    return [key for key, cells in values.items() if cells and key not in (options, *told.fields)]


def _all_among(labels: Sequence[str], cells: Sequence[Any]) -> bool:
    return {look(text_of(cell)) for cell in cells} <= {look(label) for label in labels}


def _alone(found: Sequence[str]) -> str:
    """The one column that can be the answer; which of several is, a person must say."""
    if len(found) > 1:
        raise UsageError(f"which column is the answer cannot be told ({listed(found)}): give `answer_field` KEY")
    return found[0]


def _repeats(cells: Sequence[Any]) -> bool:
    """Whether a column holds a few short texts over and over, as labels are."""
    texts = {look(text_of(cell)) for cell in cells}
    return 2 <= len(texts) <= len(cells) / 2 and max(map(len, texts)) <= _SHORT and not all(map(_is_number, cells))


def _is_number(value: Any) -> bool:
    return _NUMBER.fullmatch(text_of(value) or str(value)) is not None


def _in_words(records: Sequence[Record], values: Mapping[str, Sequence[Any]], answer: str) -> list[dict[str, Any]]:
    """The records with answers that are texts, where rows of this library have them beside their index."""
    twin, ours = f"{answer}_text", values.keys() >= _OURS
    spoken = ours and twin in values and len(values[twin]) == len(values[answer])
    return [
        {**record, answer: record.get(twin) if spoken else _whole(record.get(answer))}
        for record in records
    ]  # fmt: skip


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _inputs(
    values: Mapping[str, Sequence[Any]], rows: int, answer: str, options: str | None, told: Columns
) -> tuple[tuple[str, ...], list[str]]:
    """The input columns, and those that are none."""
    if told.fields:
        _check_inputs(told.fields, answer, options)
        return tuple(told.fields), []
    ours = {*_OURS, f"{answer}_text"} if values.keys() >= _OURS else set()
    rest = {key: cells for key, cells in values.items() if key not in (answer, options)}
    texts = _texts({key: cells for key, cells in rest.items() if key not in ours}, rows)
    if not texts:
        raise UsageError(
            f"no column is an input beside the answer {answer!r} ({listed([*values])}): give `fields` A,B"
        )
    return question_first(texts), [key for key in rest if key not in texts]


def _check_inputs(fields: Sequence[str], answer: str, options: str | None) -> None:
    taken = {answer, options}.intersection(fields)
    if taken:
        raise UsageError(f"`fields` names {sorted(map(str, taken))[0]!r}, which is the answer or the options")


def _texts(values: Mapping[str, Sequence[Any]], rows: int) -> list[str]:
    """The columns that say something of a row. A number or a date beside a text is no text; where there are only such
    columns, they are what there is."""
    telling = [key for key, cells in values.items() if fold(key) not in _IDS and not _says_nothing(cells, rows)]
    return [key for key in telling if not all(map(_is_number, values[key]))] or telling


def _says_nothing(cells: Sequence[Any], rows: int) -> bool:
    """Whether a column is empty in most rows, holds something else than texts, or the same in all of them."""
    if len(cells) < rows / 2 or any(scalar(cell) is None for cell in cells):
        return True
    return len(cells) >= _TELLS and len({fold(text_of(cell)) for cell in cells}) == 1
