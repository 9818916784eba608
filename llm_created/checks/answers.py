"""Which option a judge's reply names. Where that is not plain, it names none: a guessed vote is a wrong one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from ..clients.base import Reply
from ..prompts.examples import objects
from ..tasks.task import Reason, Task, match
from ..utils.text import fold, without_thoughts

_MARKS = " \t\n\"'`*_.,;:!?()[]{}“”‘’«»"
# What may stand before the option in prose.
_LEADS = (
    "so thus therefore hence overall final finally my the correct right best most likely chosen answer label option "
    "choice verdict a an would should be is are it it's this that i i'd think believe say choose judge go with"
)
_LEAD = re.compile(rf"^(?:(?:{'|'.join(_LEADS.split())}|[a-h1-9](?=[).:]))(?![\w'])[\s:,*)._\"'-]*)+")
# A short reply may name its option in any wording that denies nothing.
_SHORT = 40
_DENIES = re.compile(r"\b(?:not?|nor|neither|never|cannot|unsure|unclear|wrong|sorry|none)\b|n['’]t\b")
_END = re.compile(r"[.,;:!?\n()—–]| because | since | as the | given that | - ")


def read_answer(reply: Reply, options: Sequence[str], task: Task | None = None) -> tuple[int | None, str]:
    """Which of the options a reply names, and its explanation; `None` where it names none, or several.

    Args:
        reply (`Reply`): a judge's reply.
        options (`Sequence[str]`): the row's options.
        task (`Task`, *optional*): knows the names of the fields, by which an echo of the row is told from an answer.
    """
    text = without_thoughts(reply.text)
    if reply.reason or not text.strip():
        return None, ""
    return _in_objects(text, options, task) if "{" in text else (_in_words(text, options), "")


def _in_objects(text: str, options: Sequence[str], task: Task | None) -> tuple[int | None, str]:
    """What the last object with an answer names, and the last explanation."""
    of_options, of_answer = (fold(task.options), fold(task.answer)) if task else ("options", "answer")
    inputs = set(map(fold, task.inputs)) if task else set()
    answers, said = [], ""
    for by_name in _by_name(text):
        if isinstance(by_name.get("explanation"), str):
            said = by_name["explanation"]
        if not _is_echo(by_name.keys(), of_options, inputs):
            answers += [by_name[name] for name in ("answer", "label", of_answer) if name in by_name][:1]
    return (named_option(answers[-1], options) if answers else None), said


def _by_name(text: str) -> Iterator[dict[str, Any]]:
    """Each object of a reply, and those inside it, with its keys folded."""
    for one in objects(text):
        for value in () if isinstance(one, Reason) else _flat(one):
            yield {fold(key): item for key, item in value.items()}


def _in_words(text: str, options: Sequence[str]) -> int | None:
    """The one option that the first or the last line names."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    ends = {index for line in (lines[0], lines[-1]) if (index := named_option(line, options)) is not None}
    spoken = _speaks_of(text, options)
    if not ends and len(text) <= _SHORT and not _DENIES.search(fold(text)):
        ends = spoken
    if len(ends) != 1:
        return None
    # Where others are spoken of as well, only a last line that says nothing else is plain.
    (index,) = ends
    closing = _plain(_LEAD.sub("", fold(lines[-1]).strip(_MARKS))) == _plain(options[index])
    return index if closing or spoken <= {index} else None


def _is_echo(keys: Set[str], options: str, inputs: Set[str]) -> bool:
    """Whether an object is the row itself, shown again, which is no verdict on it.

    What a judge asks for may be the name of an input field as well: then the whole row stands beside it.
    """
    if options in keys:
        return "explanation" not in keys - inputs
    return len(inputs) > 1 and inputs <= keys and bool(inputs & {"answer", "label"})


def _speaks_of(text: str, options: Sequence[str]) -> set[int]:
    """The options that stand in a text as words of their own; the longest first, because "entailment" is in
    "not_entailment"."""
    left, found = _plain(text), set()
    for option in sorted(options, key=len, reverse=True):
        if _plain(option):
            left, times = re.subn(_as_words(_plain(option)), " ", left)
            found |= {options.index(option)} if times else set()
    return found


def _as_words(option: str) -> str:
    """What finds an option among words, because "no" is in "know"; scripts without upper and lower case may put no
    space between words."""

    def spaced(letter: str) -> bool:
        return letter.isdigit() or letter.upper() != letter.lower()

    before, after = r"(?<!\w)" if spaced(option[0]) else "", r"(?!\w)" if spaced(option[-1]) else ""
    return before + re.escape(option) + after


def _flat(value: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """An object, and the objects in a list or object around them."""
    yield value
    for inner in value.values() if depth < 2 else ():
        for item in inner if isinstance(inner, list) else [inner]:
            if isinstance(item, dict):
                yield from _flat(item, depth + 1)


def named_option(value: object, options: Sequence[str]) -> int | None:
    """The index of the option that a value is, word for word but for case, marks and a short lead-in."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    exact = match(value, options)
    if isinstance(exact, int):
        return exact
    plain = [_plain(option) for option in options]
    if not isinstance(value, str) or len(set(plain)) < len(plain) or "" in plain:
        return None
    # With and without the lead-in: an option may begin like one.
    whole = fold(value).strip(_MARKS)
    candidates = (one for text in (whole, _LEAD.sub("", whole)) for one in (text, _END.split(text)[0]))
    found = (match(_plain(candidate), plain) for candidate in candidates)
    return next((index for index in found if isinstance(index, int)), None)


def _plain(text: str) -> str:
    """A text without case, marks at its ends, and the difference between `_`, `-` and a blank."""
    return " ".join(re.split(r"[\s_-]+", fold(text).strip(_MARKS))).strip()
