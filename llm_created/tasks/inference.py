"""A task's fields from one formatting example: what a person means by a JSON object, or which flag would say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..utils.text import clean, fold, look, scalar, shorten, slug

ANSWER_NAMES = ("answer", "label", "target", "output", "class", "category", "correct", "gold", "sentiment", "topic")
# What an answer is called that is no single one.
_ANSWERS = (*ANSWER_NAMES, "answers", "spans", "entities", "tags", "ner_tags")
# What explains an answer, and gives it away.
EXPLAINS = ("explanation", "rationale", "reason", "reasoning", "justification", "comment", "why", "chain_of_thought")
ONE_ANSWER = "one answer out of options is what this library makes"
_CONTEXT_NAMES = ("context", "passage", "paragraph", "document", "evidence")
_OBVIOUS = ({"yes", "no"}, {"true", "false"})


def infer(
    example: Mapping[str, Any],
    name: str = "my-task",
    label_space: str | None = None,
    labels: Sequence[str] | None = None,
    answer_field: str | None = None,
    options_field: str | None = None,
    aside: Sequence[str] = (),
) -> dict[str, Any]:
    """The fields of the task, by the names that `Task` gives them. See `Task.from_example`."""
    present = _present(example)
    keys = ", ".join(map(repr, present))
    for one in aside:
        del present[_key("aside", one, present, keys)]
    _check_space(label_space, labels)
    options_key = _options_key(present, options_field, keys)
    listed = [] if options_key is None else _listed(options_key, present[options_key])
    if options_key is None and not labels:
        raise UsageError(
            f"{ONE_ANSWER}, and the example has no list of options (keys seen: {keys}): give its labels with "
            "`labels` a,b,c, or name the list with `options_field` KEY"
        )
    answer_key = _answer_key(present, options_key, listed or list(labels or ()), answer_field, keys)
    if options_key is not None:
        labels = _label_space(options_key, listed, label_space, labels)
    return {
        "name": slug(name),
        "inputs": _inputs([key for key in present if key not in (answer_key, options_key)], keys),
        "answer": answer_key,
        "options": options_key or _free_name(example),
        "labels": None if labels is None else tuple(map(_text, labels)),
        "num_options": len(listed) if labels is None else None,
        "aside": tuple(aside),
    }


def _check_space(label_space: str | None, labels: Sequence[str] | None) -> None:
    if label_space not in (None, "fixed", "variable"):
        raise UsageError(f"`label_space` is 'fixed' or 'variable', not {label_space!r}")
    if labels and label_space == "variable":
        raise UsageError("`labels` gives a fixed label space: leave out `label_space` variable, or `labels`")


def _present(example: object) -> dict[str, Any]:
    if not isinstance(example, Mapping):
        raise UsageError(f"the formatting example must be one JSON object, not {_kind(example)}")
    present = {str(key): value for key, value in example.items() if value is not None}
    if not present:
        raise UsageError('the formatting example is empty: give one object such as {"question": ..., "answer": ...}')
    for key, value in present.items():
        _check_field(key, value)
    return present


def _check_field(key: str, value: object) -> None:
    if clean(key) != key or not key:
        raise UsageError(
            f"the key {key!r} of the formatting example is empty or holds spaces at an end, control characters or "
            "lone surrogates: rename it"
        )
    if isinstance(value, Mapping) or (isinstance(value, list) and any(scalar(one) is None for one in value)):
        raise UsageError(
            f"the field {key!r} of the formatting example holds nested values ({shorten(str(value), 60)}): "
            f"a field is a text, a number, a boolean or a flat list of options, and {ONE_ANSWER}"
        )


def _options_key(present: Mapping[str, Any], given: str | None, keys: str) -> str | None:
    if given is not None:
        return _key("options_field", given, present, keys)
    lists = [key for key, value in present.items() if isinstance(value, list)]
    if several := [key for key in lists if len(lists) > 1 and fold(key) in _ANSWERS]:
        raise UsageError(f"{ONE_ANSWER}, and the field {several[0]!r} of the example is a list beside another")
    if len(lists) > 1:
        raise UsageError(f"the example has several lists ({', '.join(lists)}): say which with `options_field` KEY")
    return lists[0] if lists else None


def named_answer(keys: Iterable[str]) -> str | None:
    """The first key that is called as answers are."""
    by_name = {fold(key): key for key in reversed(list(keys))}
    return next((by_name[name] for name in ANSWER_NAMES if name in by_name), None)


def _key(setting: str, given: str, present: Mapping[str, Any], keys: str) -> str:
    if given not in present:
        raise UsageError(f"`{setting}` {given!r} is not a key of the example; its keys are {keys}")
    return given


def _listed(key: str, value: object) -> list[str]:
    if not isinstance(value, list):
        raise UsageError(f"the options {key!r} must be a list, not {_kind(value)}")
    texts = list(map(_text, value))
    if len(texts) < 2:
        raise UsageError(f"the options {key!r} need two or more entries, not {len(texts)}: {value!r}")
    folded = [fold(text) for text in texts]
    for text in folded:
        if not text or folded.count(text) > 1:
            what = "an empty entry" if not text else f"{text!r} more than once"
            raise UsageError(f"the options {key!r} hold {what}: {value!r}")
    return texts


def _answer_key(
    present: Mapping[str, Any], options_key: str | None, allowed: Sequence[str], given: str | None, keys: str
) -> str:
    if given is not None:
        if isinstance(present[_key("answer_field", given, present, keys)], list):
            raise UsageError(f"{ONE_ANSWER}, and `answer_field` {given!r} names a list: {present[given]!r}")
        return given
    scalars = {key: value for key, value in present.items() if key != options_key and not isinstance(value, list)}
    fitting = _fitting(scalars, allowed)
    found = named_answer(scalars) or (fitting[0] if len(fitting) == 1 else None)
    if found is not None:
        return found
    if not fitting:
        shown = shorten(", ".join(map(repr, allowed)), 100)
        raise UsageError(f"{ONE_ANSWER}, and no field of the example (keys seen: {keys}) holds one of {shown}")
    raise UsageError(f"which field is the answer cannot be told (keys seen: {keys}): name it with `answer_field` KEY")


def _fitting(scalars: Mapping[str, Any], allowed: Sequence[str]) -> list[str]:
    """The keys that hold one of the options."""
    known = {look(option) for option in allowed}
    return [key for key, value in scalars.items() if look(_text(value)) in known]


def _label_space(
    key: str, listed: list[str], label_space: str | None, labels: Sequence[str] | None
) -> Sequence[str] | None:
    """The fixed labels, or `None` where the options vary from row to row."""
    folded = {fold(option) for option in listed}
    if labels:
        if {look(label) for label in labels} != {look(option) for option in listed}:
            given = ",".join(labels)
            raise UsageError(f"`labels` {given} and the example's {key!r} {listed} differ: give one of them")
        return labels
    if label_space == "fixed" or (label_space is None and folded in _OBVIOUS):
        return listed
    if label_space == "variable":
        return None
    raise UsageError(
        f"do the options {key!r} {listed} stay the same in every row? Then `label_space` fixed; "
        "if each row brings its own: `label_space` variable"
    )


def _inputs(rest: list[str], keys: str) -> tuple[str, ...]:
    if not rest:
        raise UsageError(f"the example has no input field beside its answer and options (keys seen: {keys})")
    return question_first(rest)


def question_first(rest: Sequence[str]) -> tuple[str, ...]:
    """The input fields as they stand, with a context moved to right after the question."""
    contexts = [key for key in rest if fold(key) in _CONTEXT_NAMES]
    others = [key for key in rest if key not in contexts]
    return (*others[:1], *contexts, *others[1:])


def _free_name(present: Mapping[str, Any]) -> str:
    taken = {fold(key) for key in present}
    return next(name for name in ("options", "labels", "choices", "allowed_answers") if name not in taken)


def _text(value: object) -> str:
    return scalar(value) or ""


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds = {list: "an array", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
    return kinds.get(type(value), type(value).__name__)
