"""What a model is asked, and what is read out of its reply: two halves of one contract."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..tasks.task import Reason, Row, Task
from ..utils.text import fold, shorten, without_thoughts
from . import schemas

if TYPE_CHECKING:
    from ..tasks.guide import Guide

Message = Mapping[str, str]

# Table 1 of the paper, word for word ("[]" marks there the line that only fixed label spaces get).
_PAPER = """\
- You are creating {n} examples that follow the format of the example provided, but with a different content.
- The created examples **must** all have different answers.
- The output **must** be in unnumbered JSON format."""
_PAPER_FIXED = "\n- The created examples **must** have the same options as the provided example."

# The same demands, where five different answers cannot come from two labels, and the shape spelled out.
_OURS = """\
- You are creating {n} examples that follow the format of the example provided, but with a different content.
- The created examples **must** {vary}.
- The output **must** be in unnumbered JSON format: one object per example, one after the other, each with the keys \
{keys} in this order."""
# Named once here, the options of a fixed label space are neither shown with the example nor asked back with each row.
_NAMED = "\n- In each of them, {answer} **must** be one of {labels}."
_VARY_FIXED = "vary their answers as evenly as the options allow; do not repeat one answer throughout"
_VARY_VARIABLE = "all have different answers"
_VARY_GIVEN = "all have the answer that is demanded below the provided example, whatever that one has"
# Of the methods that show no example.
_ONE = """\
You write one example of a dataset. {description}
- The example **must** be realistic and of your own making, and its answer **must** be right beyond doubt.
- The output **must** be one JSON object with the keys {keys} in this order{options}."""
_LIST = """\
You help to plan a dataset. {description}
The output **must** be one JSON object, {{"items": ["...", ...]}}: a list of texts, one for each item, and nothing \
else."""

# What begins the demands below the formatting example, in which no line ends.
DEMANDED = "\n\nOf all created examples:\n"
# Bounds on what is read out of one reply: far above anything useful, so that 10 MB of brackets cost a moment.
MAX_REPLY = 1_000_000
MAX_PIECES = 1_000


# What is said otherwise where a call shows several examples.
_SEVERAL = (
    ("the example provided", "the examples provided"),
    ("the provided example, whatever that one has", "the provided examples, whatever those have"),
)


def instruction(
    task: Task,
    num_examples: int,
    *,
    paper: bool = False,
    extra: str = "",
    balance: bool = False,
    several: bool = False,
) -> str:
    """The system message: Table 1 of "Making Large Language Models Better Data Creators" (EMNLP 2023).

    Args:
        task (`Task`): decides whether the line about the options is there.
        num_examples (`int`): how many examples one reply is asked for.
        paper (`bool`, defaults to `False`): the paper's wording to the letter.
        extra (`str`, *optional*): the user's own guardrails, appended as they are.
        balance (`bool`, defaults to `False`): each call demands one label.
        several (`bool`, defaults to `False`): a call shows several examples.
    """
    if paper:
        text = _PAPER.format(n=num_examples)
    else:
        vary = _VARY_GIVEN if balance else _VARY_VARIABLE if task.variable else _VARY_FIXED
        text = _OURS
        for one, more in _SEVERAL if several else ():
            text, vary = text.replace(one, more), vary.replace(one, more)
        text = text.format(n=num_examples, vary=vary, keys=_keys(task))
    if not task.variable:
        text += _PAPER_FIXED if paper else _named(task)
    return f"{text}\n{extra.strip()}" if extra.strip() else text


def _named(task: Task) -> str:
    labels = json.dumps(list(task.labels or ()), ensure_ascii=False)
    return _NAMED.format(answer=json.dumps(task.answer, ensure_ascii=False), labels=labels)


def _keys(task: Task) -> str:
    """The fields that a row is asked to have, where fixed options are named once."""
    names = [field for field in task.fields if task.variable or field != task.options]
    return ", ".join(json.dumps(field, ensure_ascii=False) for field in names)


def lists_options(task: Task, instruction: str) -> bool:
    """Whether each example lists its options: they vary, or this instruction does not name them (the paper's)."""
    return task.variable or _named(task) not in instruction


def instruction_for_one(task: Task, guide: Guide, extra: str = "") -> str:
    """The system message of the methods that show no example: what a row is, from the guide."""
    if task.variable:
        number = task.num_options or "two or more"
        options = f"; {json.dumps(task.options)} is a list of {number} different options, exactly one of them right"
    else:
        options = f"; {json.dumps(task.answer)} is one of {json.dumps(list(task.labels or ()), ensure_ascii=False)}"
    text = _ONE.format(description=guide.description.strip(), keys=_keys(task), options=options)
    return f"{text}\n{extra.strip()}" if extra.strip() else text


def compose(
    task: Task,
    guide: Guide,
    instruction: str,
    label: int | None,
    drawn: Mapping[str, Any],
    others: Sequence[str] = (),
) -> tuple[list[Message], Mapping[str, Any]]:
    """The call for one row without an example.

    Args:
        task (`Task`): the task.
        guide (`Guide`): the task in words.
        instruction (`str`): the system message.
        label (`int`, *optional*): the label that the row must have.
        drawn (`Mapping[str, Any]`): what else it must have.
        others (`Sequence[str]`, *optional*): labels that it must not fit.
    """
    name = None if label is None or task.labels is None else task.labels[label]
    fields = {field: drawn[field] for field in task.inputs if field in drawn}
    lines = [f"Write {guide.source or 'an example'}.", *_demands(task, name, drawn)]
    if name is not None and guide.meaning(name):
        lines.insert(2, f"  {guide.meaning(name)}")
    if others:
        lines.append(f"- It **must not** fit {' or '.join(json.dumps(one, ensure_ascii=False) for one in others)}.")
    schema = schemas.of_rows(task, 1, name, fields, lists_options=False)
    return [_system(instruction), _user("\n".join(lines))], schema


def list_of(
    guide: Guide, wanted: str, least: int, most: int, values: Sequence[str] | None = None
) -> tuple[list[Message], Mapping[str, Any]]:
    """The call for a list that rows are planned with.

    Args:
        guide (`Guide`): the task in words.
        wanted (`str`): what is to be listed.
        least, most (`int`): how many items.
        values (`Sequence[str]`, *optional*): what an item may be.
    """
    system = _LIST.format(description=guide.description.strip())
    return [_system(system), _user(wanted)], schemas.of_list(least, most, values)


def _system(content: str) -> Message:
    return {"role": "system", "content": content}


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def demand(messages: list[Message], task: Task, label: str | None, drawn: Mapping[str, Any]) -> list[Message]:
    """The messages of `render`, with what this one call demands of all its examples below the provided one."""
    lines = _demands(task, label, drawn)
    if not lines:
        return messages
    content = messages[-1]["content"] + DEMANDED + "\n".join(lines)
    return [*messages[:-1], {"role": "user", "content": content}]


def _demands(task: Task, label: str | None, drawn: Mapping[str, Any]) -> list[str]:
    lines = []
    if label is not None:
        lines.append(f"- {json.dumps(task.answer)} **must** be {json.dumps(label, ensure_ascii=False)}.")
    for name, value in drawn.items():
        if name in task.inputs:
            lines.append(f"- {json.dumps(name)} **must** be {json.dumps(value, ensure_ascii=False)}.")
        elif isinstance(value, Mapping):
            lines += [f"- {name}, where {json.dumps(task.answer)} is {label!r}: {one}" for label, one in value.items()]
        else:
            lines.append(f"- {name}: {value}")
    return lines


def render(task: Task, row: Row, instruction: str, beside: Sequence[Row] = ()) -> list[Message]:
    """The two messages of one call: the instruction, and the formatting example as real JSON, one field a line; where
    several are shown, the others below it."""
    listed = lists_options(task, instruction)
    return [_system(instruction), _user("\n".join(_object(task, one, listed) for one in (row, *beside)))]


def _object(task: Task, row: Row, listed: bool) -> str:
    pairs = (
        f"  {json.dumps(field, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
        for field, value in task.example(row).items()
        if listed or field != task.options
    )
    return "{\n" + ",\n".join(pairs) + "\n}"


def read(task: Task, text: str) -> list[Row | Reason]:
    """Every piece of a reply, in order: a row, or the reason why it is none."""
    return [piece if isinstance(piece, Reason) else _complete(task, task.read(piece)) for piece in parse(task, text)]


def _complete(task: Task, row: Row | Reason) -> Row | Reason:
    """A row, if it has all that was asked for: people's rows may lack what is no input, a model's may not."""
    if isinstance(row, Row) and "" in row.aside:
        return Reason("missing_field", task.aside[row.aside.index("")])
    return row


def read_one(task: Task, text: str, label: int | None, fields: Mapping[str, str]) -> list[Row | Reason]:
    """The pieces of a reply that was to hold one row, with this label and these values of its fields."""
    pieces, rows = read(task, text), 0
    for at, piece in enumerate(pieces):
        if isinstance(piece, Reason):
            continue
        rows += 1
        pieces[at] = piece._replace(depth=1)
        wrong = [name for name, value in zip(task.inputs, piece.inputs, strict=True) if _differs(fields, name, value)]
        if rows > 1:
            pieces[at] = Reason("not_asked_for", "a second row, where one was asked for")
        elif label is not None and piece.answer != label:
            pieces[at] = Reason("wrong_label", f"{piece.options[piece.answer]!r} instead of {piece.options[label]!r}")
        elif wrong:
            pieces[at] = Reason("wrong_value", f"{wrong[0]} must be {shorten(fields[wrong[0]], 60)!r}")
    return pieces


def _differs(fields: Mapping[str, str], name: str, value: str) -> bool:
    return name in fields and fold(fields[name]) != fold(value)


def parse(task: Task, text: str) -> list[Mapping[str, Any] | Reason]:
    """Every piece of a reply, in order: a decoded JSON object, or the reason why a stretch of text is none.

    Reads JSON lines, pretty-printed objects, arrays, a wrapping object, fences and prose around them, and the
    whole rows of a reply that was cut off. A broken piece costs that piece alone.
    """
    pieces: list[Mapping[str, Any] | Reason] = []
    for value in objects(without_thoughts(text)[:MAX_REPLY]):
        if isinstance(value, Reason):
            pieces.append(value)
        else:
            pieces.extend(_unwrap(task, value))
        if len(pieces) >= MAX_PIECES:
            break
    if len(text) > MAX_REPLY or len(pieces) >= MAX_PIECES:
        pieces = [*pieces[:MAX_PIECES], Reason("too_long", f"a reply of {len(text):,} characters")]
    if not pieces:
        pieces = [Reason("not_json" if text.strip() else "empty_reply", text[:200])]
    return pieces


_decode = json.JSONDecoder(strict=False).raw_decode


def objects(text: str) -> Iterator[dict[str, Any] | Reason]:
    """Each outermost JSON object of a text; broken stretches between them as one reason each."""
    at, broken, failures = text.find("{"), -1, 0
    while at >= 0:
        try:
            value, end = _decode(text, at)
        except (json.JSONDecodeError, RecursionError, ValueError) as error:
            # What stands inside a broken object may be whole: a wrapper that was cut off holds whole rows.
            cut_off = isinstance(error, json.JSONDecodeError) and (
                error.msg.startswith("Unterminated") or error.pos >= len(text.rstrip()) - 1
            )
            failures += 1
            if broken < 0:
                broken = at
            at = text.find("{", at + 1)
            if at < 0 or failures >= MAX_PIECES:
                yield Reason("cut_off" if cut_off else "not_json", text[broken : broken + 200])
                return
            continue
        if broken >= 0 and not _is_wrapper(text[broken:at]):
            yield Reason("not_json", text[broken : min(at, broken + 200)])
        broken = -1
        yield value
        at = text.find("{", end)


def _is_wrapper(head: str) -> bool:
    """Whether a broken stretch is only the opening of an object around the rows: `{"examples": [`."""
    return head.rstrip().endswith("[") and head.count("{") == 1


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _unwrap(task: Task, value: dict[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The rows in an object: itself, or what a wrapping object (`{"examples": [...]}`) holds."""
    names = {fold(field) for field in (*task.inputs, task.answer)}
    nested = [item for inner in value.values() for item in _listed(inner) if isinstance(item, dict)]
    if depth < 3 and nested and not names.intersection(fold(key) for key in value):
        for item in nested:
            yield from _unwrap(task, item, depth + 1)
    else:
        yield value
