"""The label space of a table's rows: labels that are the same in all, or options of each row's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import UsageError
from ..tasks.inference import ONE_ANSWER
from ..tasks.task import MAX_LABELS
from ..utils.text import look, shorten
from .cells import listed, text_of
from .fields import listed_in


class Told(NamedTuple):
    """What a person says of it: the labels, `"fixed"` or `"variable"`, and whether the answer's column was named."""

    labels: Sequence[str]
    space: str | None
    named: bool


def label_space(
    records: Sequence[dict[str, Any]], answers: Sequence[Any], answer: str, options: str | None, told: Told
) -> tuple[tuple[str, ...] | None, int | None, str]:
    """The fixed labels or `None`, the number of options where it is always the same, and both in words.

    Args:
        records (`Sequence[dict[str, Any]]`): the rows; answers that are places in the labels become labels.
        answers (`Sequence[Any]`): their answers that are there.
        answer, options (`str`): the columns of both; without the second, rows list none.
        told (`Told`): what a person says.
    """
    if told.labels:
        labels = tuple(told.labels)
        _by_number(records, answer, labels)
        return labels, None, f"{len(labels)} labels"
    if options is not None:
        return _of_options([listed_in(record.get(options)) or [] for record in records], options, told.space)
    if told.space == "variable":
        raise UsageError("`label_space` variable: no column lists a row's options, name it with `options_field` KEY")
    labels = _labels(answers, answer, said=told.named)
    shown = shorten(", ".join(map(repr, labels)), 120)
    numbers = "; what the numbers stand for, `labels` says, in their order" if all(map(str.isdecimal, labels)) else ""
    return labels, None, f"{len(labels)} labels: {shown}{numbers}"


def _of_options(lists: Sequence[Sequence[Any]], key: str, space: str | None) -> tuple[Any, int | None, str]:
    """The label space of rows that list their options."""
    whole = [tuple(map(text_of, one)) for one in lists if one]
    kinds = {frozenset(map(look, one)) for one in whole}
    if space == "fixed" and len(kinds) > 1:
        raise UsageError(f"`label_space` fixed, and {key!r} differs from row to row: it is variable")
    if len(kinds) == 1 and space != "variable":
        return whole[0], None, f"fixed options {listed(whole[0])}"
    sizes = set(map(len, whole))
    number = sizes.pop() if len(sizes) == 1 else None
    return None, number, f"{number or 'any number of'} options in each row's {key!r}"


def _labels(answers: Sequence[Any], answer: str, said: bool) -> tuple[str, ...]:
    """The different answers, sorted."""
    found = _spelt(answers)
    if len(found) < 2:
        raise UsageError(
            f"the answer {answer!r} is {found[0]!r} in every row: name all labels with `labels` a,b,c"
            if found else f"no row has an answer in {answer!r}: at least one must"
        )  # fmt: skip
    if not said and len(answers) > 2 and len(found) == len(answers):
        raise UsageError(
            f"{ONE_ANSWER}, and {answer!r} is another one in each of {len(answers)} rows: if these are labels, say so "
            f"with `answer_field` {answer}"
        )
    if len(found) > MAX_LABELS or max(map(len, found)) > 1000:
        raise UsageError(f"{ONE_ANSWER}, and {answer!r} holds {len(found):,} different texts: those are no labels")
    if all(text.isdecimal() for text in found):
        return tuple(sorted(found, key=int))
    return tuple(sorted(found))


def _spelt(answers: Sequence[Any]) -> list[str]:
    """The different answers, each in the spelling that is the commonest."""
    spelt: dict[str, Counter[str]] = {}
    for text in filter(None, map(text_of, answers)):
        spelt.setdefault(look(text), Counter())[text] += 1
    return [min(count, key=lambda text: (-count[text], text)) for count in spelt.values()]


def _by_number(records: Sequence[dict[str, Any]], answer: str, labels: Sequence[str]) -> None:
    """Answers that are places in the list of labels, as labels."""
    given = {text for record in records if (text := text_of(record[answer]))}
    if any(label.isdecimal() for label in labels) or not given <= {str(at) for at in range(len(labels))}:
        return
    for record in records:
        if text := text_of(record[answer]):
            record[answer] = labels[int(text)]
