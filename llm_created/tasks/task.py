"""A task: which fields an example has, in which order, and what its answer may be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UsageError
from ..utils.text import fold, look, named, scalar, shorten
from .inference import ONE_ANSWER, infer

if TYPE_CHECKING:
    import datasets

# Longer than any passage of the tasks here, shorter than a reply that has run away.
MAX_FIELD = 20_000
MAX_LABELS = 10_000
_SPEAKS_OF_OTHERS = (
    "all of the",
    "none of the",
    "both of the",
    "all of these",
    "none of these",
    "the above",
    "both a",
)
# Texts that a `task.json` must have.
_NAMES = ("name", "answer", "options")
_TRUE, _FALSE = {"true", "yes"}, {"false", "no"}


class Reason(NamedTuple):
    """Why a piece of a reply is not a row: a short `code` that is counted, and a `detail` for the reader.

    Example:

        >>> from llm_created import Task
        >>> task = Task("closed", ("question",), labels=("True", "False"))
        >>> task.read({"question": "Is ice cold?", "answer": "perhaps"}).code
        'answer_not_in_options'
    """

    code: str
    detail: str = ""


class Row(NamedTuple):
    """One accepted example.

    Attributes:
        inputs (`tuple[str, ...]`): the input fields, in the order of `Task.inputs`.
        options (`tuple[str, ...]`): the row's options (variable label space) or the task's labels (fixed).
        answer (`int`): index of the right one in `options`.
        id (`str`): hash of the content, 16 hex digits.
        key (`int`): what makes another row a duplicate of this one: its inputs, folded, and its options in any order.
        parent_id (`str`): id of the formatting example that was shown; at depth 1 that is the first one, never a row.
        depth (`int`): generations since the first formatting example, whose depth is 0.
        aside (`tuple[str, ...]`): the fields that are no inputs, in the order of `Task.aside`.

    Example:

        >>> from llm_created import Task
        >>> task = Task("closed", ("question",), labels=("True", "False"))
        >>> row = task.read({"question": "Is ice cold?", "answer": "True"})
        >>> row.inputs, row.options[row.answer]
        (('Is ice cold?',), 'True')
    """

    inputs: tuple[str, ...]
    options: tuple[str, ...]
    answer: int
    id: str
    key: int
    parent_id: str = ""
    depth: int = 0
    aside: tuple[str, ...] = ()


def _hash(parts: Iterable[str]) -> bytes:
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()


@dataclass(frozen=True)
class Task:
    """Which fields an example has, and its label space: *fixed* (classes, yes/no) or *variable* (each row's options).

    Args:
        name (`str`): short name, used in folder and file names.
        inputs (`tuple[str, ...]`): the input fields; a context comes after the question.
        answer (`str`, defaults to `"answer"`): the answer field.
        options (`str`, defaults to `"options"`): the field that lists the options in the prompt.
        labels (`tuple[str, ...]`, *optional*): the fixed label space; `None` for a variable one.
        num_options (`int`, *optional*): how many options a row of a variable label space has; `None` for any number.
        aside (`tuple[str, ...]`): fields that are written with a row and kept as columns, and are no inputs: no
            classifier and no judge sees them, and rows that differ in them alone are the same.

    Names and labels lose control characters, bidi controls and lone surrogates: they go into prompts, terminals and
    file names. Those that differ in characters without width alone are an error: nobody could tell them apart.

    Raises:
        UsageError: fewer than two labels or more than 10,000, labels or fields that occur twice, or no input field.

    Example:

        >>> from llm_created import Task
        >>> Task("capitals", ("question",), num_options=3).labels is None
        True
        >>> Task.from_example({"claim": "Ice is cold.", "answer": "yes", "options": ["yes", "no"]}).labels
        ('yes', 'no')
    """

    name: str
    inputs: tuple[str, ...]
    answer: str = "answer"
    options: str = "options"
    labels: tuple[str, ...] | None = None
    num_options: int | None = None
    aside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("name", "answer", "options"):
            object.__setattr__(self, name, named(getattr(self, name)))
        for several in ("inputs", "aside"):
            object.__setattr__(self, several, tuple(map(named, getattr(self, several))))
        names = [look(field) for field in (*self.inputs, self.answer, self.options, *self.aside)]
        if len(set(names)) != len(names) or not self.inputs or "" in names:
            raise UsageError(f"task {self.name!r}: fields must be named and differ, these are {self.columns}")
        reserved = {"id", "parent_id", "depth"}.intersection(names)
        if reserved:
            raise UsageError(f"task {self.name!r}: the field name {sorted(reserved)[0]!r} is the library's; rename it")
        if self.labels is not None:
            object.__setattr__(self, "labels", tuple(map(named, self.labels)))
            self._check_labels(self.labels)

    def _check_labels(self, labels: tuple[str, ...]) -> None:
        if len(labels) > MAX_LABELS:
            raise UsageError(f"task {self.name!r}: {len(labels):,} labels are too many, {MAX_LABELS:,} are the most")
        looks = [look(label) for label in labels]
        if len(set(looks) - {""}) < max(2, len(labels)):
            given = shorten(
                ascii(list(labels)) if len(set(map(fold, labels))) == len(labels) else repr(list(labels)), 200
            )
            same = ": a difference in characters without width makes no other label" * (given.count("\\") > 0)
            raise UsageError(f"task {self.name!r}: labels must be two or more different texts, not {given}{same}")

    @property
    def variable(self) -> bool:
        """Whether each row brings its own options."""
        return self.labels is None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields in the order of the prompt: the question first where options vary, last where they are fixed
        (section 3.3 of the paper, https://openreview.net/forum?id=2Rdfdri2oT)."""
        if self.variable:
            return (*self.inputs, self.options, self.answer, *self.aside)
        return (self.options, self.answer, *self.inputs, *self.aside)

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields of a row in a dataset: the options are a column only where they vary."""
        return (*self.inputs, *((self.options,) if self.variable else ()), self.answer, *self.aside)

    @property
    def text_column(self) -> str:
        """The column of a dataset that has the answer's text beside its index; no field has its name."""
        name, taken = f"{self.answer}_text", {look(field) for field in self.fields}
        while look(name) in taken:
            name += "_"
        return name

    @property
    def feature_json(self) -> dict[str, Any]:
        """The features of a row as every version of `datasets` reads them, from Parquet and from a card."""
        text, number = {"dtype": "string", "_type": "Value"}, {"dtype": "int32", "_type": "Value"}
        features: dict[str, Any] = {"id": text} | dict.fromkeys(self.inputs, text)
        if self.labels is None:
            features |= {self.options: {"feature": text, "_type": "Sequence"}, self.answer: number}
        else:
            features[self.answer] = {"names": list(self.labels), "_type": "ClassLabel"}
        features |= {self.text_column: text} | dict.fromkeys(self.aside, text)
        return features | {"parent_id": text, "depth": number}

    @property
    def features(self) -> datasets.Features:
        """The `datasets.Features` of a row: a `ClassLabel` for fixed labels, else the options and an index, and the
        answer's text beside it."""
        import datasets

        return datasets.Features.from_dict(self.feature_json)

    def read(self, piece: object) -> Row | Reason:
        """Turn one decoded JSON value into a row, normalised, or say why it is none.

        Keys are matched without regard to case; booleans, case and the order of a fixed option list are normalised.
        The options of a variable label space are put in an order that depends on the row's content alone, so that
        no position is favoured, unless one option speaks of the others ("all of the above").
        """
        if not isinstance(piece, Mapping):
            return Reason("not_an_object", f"{type(piece).__name__} instead of an object")
        by_name = {fold(key): value for key, value in piece.items() if isinstance(key, str)}
        inputs = self._read_inputs(by_name)
        if isinstance(inputs, Reason):
            return inputs
        options = self._read_options(by_name.get(fold(self.options)))
        if isinstance(options, Reason):
            return options
        index = match(by_name.get(fold(self.answer)), options)
        if isinstance(index, Reason):
            return index
        aside = {field: scalar(by_name.get(fold(field))) or "" for field in self.aside}
        for field, text in aside.items():
            if len(text) > MAX_FIELD:
                return Reason("too_long", field)
        return self._row(inputs, options, index)._replace(aside=tuple(aside.values()))

    def _read_inputs(self, by_name: Mapping[str, object]) -> tuple[str, ...] | Reason:
        texts = []
        for field in self.inputs:
            text = scalar(by_name.get(fold(field)))
            if text is None:
                return Reason("missing_field", field)
            if not text or len(text) > MAX_FIELD:
                return Reason("empty_field" if not text else "too_long", field)
            texts.append(text)
        return tuple(texts)

    def _read_options(self, value: object) -> tuple[str, ...] | Reason:
        if self.labels is not None and value is None:
            return self.labels
        if not isinstance(value, (list, tuple)):
            return Reason("missing_field", self.options)
        options = [scalar(option) for option in value]
        texts = tuple(option for option in options if option)
        if len(texts) < max(len(options), 2) or len({fold(text) for text in texts}) < len(texts):
            return Reason("wrong_options", "an option is empty, repeated or no text")
        if max(map(len, map(fold, texts))) > MAX_FIELD:
            return Reason("too_long", self.options)
        return self._fitting(texts)

    def _fitting(self, options: tuple[str, ...]) -> tuple[str, ...] | Reason:
        """The options as the label space has them, if they are those, or as many."""
        if self.labels is not None:
            if {_alias(look(name)) for name in options} != {_alias(look(label)) for label in self.labels}:
                return Reason("wrong_options", f"other options than {list(self.labels)}")
            return self.labels
        if self.num_options not in (None, len(options)):
            return Reason("wrong_options", f"{len(options)} options instead of {self.num_options}")
        return options

    def _row(self, inputs: tuple[str, ...], options: tuple[str, ...], index: int) -> Row:
        folded = [fold(text) for text in inputs]
        if self.labels is not None:
            row_id = _hash((*inputs, options[index])).hex()
        else:
            answer = options[index]
            row_id = _hash((*inputs, *sorted(options), answer)).hex()
            lowered = [fold(option) for option in options]
            folded += sorted(lowered)
            if not any(words in option for option in lowered for words in _SPEAKS_OF_OTHERS):
                options = tuple(sorted(options, key=lambda option: _hash((row_id, option))))
                index = options.index(answer)
        return Row(inputs, options, index, row_id, int.from_bytes(_hash(folded), "big"))

    def relabel(self, row: Row, answer: int) -> Row:
        """The row with another answer. Its id stays that of what was written: rows made from it name it by that."""
        return row._replace(answer=answer)

    def example(self, row: Row) -> dict[str, Any]:
        """The row as the object that a prompt shows: `fields` in order, the answer as text."""
        values: dict[str, Any] = dict(zip(self.inputs, row.inputs, strict=True))
        values |= {self.options: list(row.options), self.answer: row.options[row.answer], **self._aside(row)}
        return {field: values[field] for field in self.fields}

    def _aside(self, row: Row) -> dict[str, str]:
        # A row that a person's data or a test made has none.
        return dict.fromkeys(self.aside, "") | dict(zip(self.aside, row.aside, strict=False))

    def record(self, row: Row) -> dict[str, Any]:
        """The row as a record of a dataset with `features`: the answer as an index, and as text beside it."""
        record: dict[str, Any] = {"id": row.id} | dict(zip(self.inputs, row.inputs, strict=True))
        if self.variable:
            record[self.options] = list(row.options)
        answer = {self.answer: row.answer, self.text_column: row.options[row.answer]}
        return record | answer | self._aside(row) | {"parent_id": row.parent_id, "depth": row.depth}

    def line(self, row: Row) -> str:
        """The row as one canonical JSON line, the answer as text: what "the same rows" is judged by."""
        record = self.record(row) | {self.answer: row.options[row.answer]}
        return json.dumps(record, ensure_ascii=False)

    def to_json(self) -> dict[str, Any]:
        """The task as plain JSON: what `task.json` holds beside the formatting example."""
        return {
            "name": self.name,
            "inputs": list(self.inputs),
            "options": self.options,
            "answer": self.answer,
            "labels": None if self.labels is None else list(self.labels),
            "num_options": self.num_options,
            # A task without them is what it was before there were any.
            **({"aside": list(self.aside)} if self.aside else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Task:
        """The task that `to_json` wrote, names and labels cleaned; other keys (the formatting example) are left alone.

        Raises:
            UsageError: something else stands there, or it is no task.
        """
        wrong = _no_task(value)
        if wrong:
            raise UsageError(f"this is not a task.json: {wrong}")
        labels, texts = value.get("labels"), {name: value[name] for name in _NAMES}
        fixed, aside = None if labels is None else tuple(labels), tuple(value.get("aside") or ())
        number = value.get("num_options")
        return cls(inputs=tuple(value["inputs"]), labels=fixed, num_options=number, aside=aside, **texts)

    @classmethod
    def from_example(
        cls,
        example: Mapping[str, Any],
        *,
        name: str = "my-task",
        label_space: str | None = None,
        labels: Sequence[str] | None = None,
        answer_field: str | None = None,
        options_field: str | None = None,
        aside: Sequence[str] = (),
    ) -> Task:
        """Infer a task from one formatting example with any keys.

        Args:
            example (`Mapping[str, Any]`): one decoded JSON object.
            name (`str`, defaults to `"my-task"`): the task's name.
            label_space (`str`, *optional*): `"fixed"` or `"variable"`; inferred for yes/no and true/false lists only.
            labels (`Sequence[str]`, *optional*): the fixed labels, where the example lists none.
            answer_field (`str`, *optional*): the key of the answer, where it cannot be inferred.
            options_field (`str`, *optional*): the key of the options, where it cannot be inferred.
            aside (`Sequence[str]`): keys that are no inputs; see [`Task`].

        Raises:
            UsageError: something cannot be inferred; the message names the keys seen and the flag to give.
        """
        task = cls(**infer(example, name, label_space, labels, answer_field, options_field, aside))
        row = task.seed_row(example)
        if "" in row.aside:
            field = task.aside[row.aside.index("")]
            raise UsageError(
                f"`aside` {field!r} of the formatting example is empty, or no text: give one as it should be"
            )
        return task

    def seed_row(self, example: Mapping[str, Any]) -> Row:
        """The formatting example as a row of depth 0, or a `UsageError` that says what is wrong with it."""
        row = self.read(example)
        if isinstance(row, Row):
            return row
        values = {fold(key): value for key, value in example.items() if isinstance(key, str)}
        answer, options = values.get(fold(self.answer)), values.get(fold(self.options)) or self.labels
        listed = list(options) if isinstance(options, (list, tuple)) else options
        said = {
            "answer_not_in_options": f"its {self.answer} {answer!r} is not among its options {listed}; {ONE_ANSWER}",
            "wrong_options": f"its {self.options} {values.get(fold(self.options))!r}: {row.detail}",
            "missing_field": f"its field {row.detail!r} is missing or is neither text nor number (keys seen: "
            f"{', '.join(repr(key) for key in example)})",
            "empty_field": f"its field {row.detail!r} is empty",
            "too_long": f"its field {row.detail!r} is longer than 20,000 characters",
        }
        raise UsageError(f"the formatting example cannot be used: {said.get(row.code, row.detail)}")


def _alias(name: str) -> str:
    return "true" if name in _TRUE else "false" if name in _FALSE else name


def match(value: object, options: Sequence[str]) -> int | Reason:
    """The index of the option that `value` names: exactly, else folded, else yes for true between two options."""
    text = scalar(value)
    if not text:
        return Reason("missing_field", "answer")
    if text in options:
        return options.index(text)
    folded = [fold(option) for option in options]
    wanted = fold(text)
    if wanted not in folded:
        wanted = wanted.strip(" .\"'*`") or wanted  # a full stop, quotes, bold
    if wanted not in folded and len(options) == 2:
        folded, wanted = [_alias(option) for option in folded], _alias(wanted)
    if wanted not in folded:
        # Characters without width tell no two labels apart.
        folded, wanted = [look(option) for option in folded], look(wanted)
    if folded.count(wanted) != 1:
        return Reason("answer_not_in_options", f"{text[:80]!r} is not among {len(options)} options")
    return folded.index(wanted)


def _no_task(value: Any) -> str:
    """What keeps a JSON value from being a task, or `""`."""
    if not isinstance(value, Mapping):
        return f"an object is wanted, not {shorten(repr(value))}"
    number, labels = value.get("num_options"), value.get("labels")
    lists = {
        "inputs": value.get("inputs"),
        "labels": [] if labels is None else labels,
        "aside": value.get("aside", []),
    }
    for name, one in lists.items():
        if not isinstance(one, list):
            return f"{name!r} must be a list of texts, not {shorten(repr(one))}"
    for name in _NAMES:
        if name not in value:
            return f"{name!r} is missing"
    for text in (*lists["inputs"], *lists["labels"], *lists["aside"], *(value[name] for name in _NAMES)):
        if not isinstance(text, str):
            return f"names, fields and labels are texts, not {shorten(repr(text))}"
    if number is not None and (type(number) is not int or not 2 <= number <= MAX_LABELS):
        return f"'num_options' must be 2 or more, or null, not {shorten(repr(number))}"
    return ""
