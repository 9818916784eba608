"""What the demo writer answers where no example is shown: lists, single rows, judgements; and rows of any fields."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any, NamedTuple

from ...errors import RunFailed
from ...prompts.examples import objects
from ...utils.text import digest, fold
from . import tables as demo_facts
from .shapes import OPEN, OPINION_NAMES, PASSAGES, YES, Shape, make, recognise

# Where the labels stand in an example whose prompt names them once for all.
UNLISTED = "\0options"
# How often a judge is wrong, and how often the filter of AttrPrompt names a value.
_WRONG, _FILTERED = 0.05, 0.2
_ROW = re.compile(
    r"^- The output \*\*must\*\* be one JSON object with the keys (.+) in this order; "
    r'("(?:[^"\\]|\\.)*") is (?:one of (\[.*\])|a list of (\d*))',
    re.M,
)
_MUST = re.compile(r'^- ("(?:[^"\\]|\\.)*") \*\*must\*\* be ("(?:[^"\\]|\\.)*")\.$', re.M)
_DRAWN = re.compile(r'^- (?!It \*\*must not\*\*|".*" \*\*must\*\* be )(.+?): (.+)$', re.M)
_MEANS = {"yes": "positive", "true": "positive", "no": "negative", "false": "negative"} | OPINION_NAMES
_MEANS |= {name: name for name in demo_facts.OPINIONS}
# Templates by the name of a field, and for the others in turn.
_BY_NAME = {"word": "{part}", "noun": "{m}", "pronoun": "they", "query": "It was @placeholder who liked the {thing}."}
_IN_TURN = (
    "{n} told {m} about the {part} of the {thing}, because they had found it {a}.",
    "The {part} of this {thing} was {a} when {m} saw it {when}.",
    "What {n} said about the {thing} {when} was {a}.",
)
_OPTION = "The {part} of the {thing} was {a}."
_PASSAGE, _ASKED_OF_IT = "{all} talked about the {thing} {when}. {right} liked it best.", "Who liked the {thing} best?"
# Lists of contexts, of seeds in one, and of values.
_CONTEXT, _SEED, _VALUE = "{n}'s {thing} in {place}, {when}", "{n} and {m} argued {when}", "the {part} of the {thing}"


class Asked(NamedTuple):
    """What a prompt asks for: so many rows like an example, the values that fields must have, and what it is about.

    An example that is only made up from the names of its fields is not `shown`; a row `lists` its options unless they
    are named once for all.
    """

    rows: int
    example: dict[str, Any]
    must: Mapping[str, str]
    about: str = ""
    shown: bool = True
    lists: bool = True


def told(system: str, user: str, rng: Random, held_out: bool) -> str:
    """The reply to a prompt that asks for no row, or `""`."""
    if system.startswith("You help to plan a dataset."):
        return _attributes(system, rng, held_out) if "attribute dimensions" in system else _list(user, rng, held_out)
    return _judged(user, "explanation" in system, rng) if "You are given an example of a task" in system else ""


def one_row(system: str, user: str) -> Asked | None:
    """What a prompt for one row without an example asks for, with an example made up from the keys that it names."""
    found = _ROW.search(system) if system.startswith("You write one example of a dataset.") else None
    if found is None:
        return None
    keys, options = json.loads(f"[{found[1]}]"), json.loads(found[2])
    if found[3]:  # fixed labels: the answer is named, and a row does not list them
        keys, options = [UNLISTED, *keys], UNLISTED
    listed = json.loads(found[3]) if found[3] else [str(number) for number in range(int(found[4] or 4))]
    # Claims are put as questions where the task in words speaks of questions, too.
    asks = "question" in fold(system[: found.start()]) and {"question", "query"}.intersection(map(fold, keys))
    example = dict.fromkeys(keys, "Is it?" if asks else "It is.") | {options: listed}
    example[keys[keys.index(options) + 1]] = listed[0]
    about = "; ".join(value.rstrip(".") for _, value in _DRAWN.findall(user))
    return Asked(1, example, must(user), about, False, not found[3])


def must(user: str) -> dict[str, str]:
    """The values of fields that a prompt demands."""
    return {json.loads(name): json.loads(value) for name, value in _MUST.findall(user)}


def _list(user: str, rng: Random, held_out: bool) -> str:
    last = user.rstrip().rpartition("\n")[2]
    number = next((int(word) for word in re.findall(r"\b[Gg]ive (\d+) ", user)), 5)
    labels, values = re.search(r"^The labels are: (.+)\.$", user, re.M), re.findall(r"^- (.+)$", user, re.M)
    if labels:
        items = [one for one in labels[1].split("; ") if f"for {json.dumps(one, ensure_ascii=False)}," not in last]
    elif values:
        items, number = values, 1
        if rng.random() >= _FILTERED:
            items = []
    else:
        items = _made_up(user, last, 20 * number, rng, held_out)
    items = rng.sample(items, min(number, len(items)))
    return json.dumps({"items": items}, ensure_ascii=False)


def _made_up(user: str, last: str, number: int, rng: Random, held_out: bool) -> list[str]:
    """Seeds, contexts or values, and none that is taken."""
    frame = _SEED if user.startswith("Context: ") else _CONTEXT if " contexts or domains " in user else _VALUE
    drawn = dict.fromkeys(frame.format(**_slots(rng, held_out)) for _ in range(number))
    taken = last.removeprefix("Leave out those that are taken: ").rstrip(".").split("; ")
    return [item for item in drawn if item not in taken]


def _attributes(system: str, rng: Random, held_out: bool) -> str:
    """Dimensions, one of them with values by label where that is offered."""
    found: dict[str, Any] = {
        "length": ["a few words", "one sentence", "two sentences", "three to five sentences", "a paragraph"],
        "style": ["plain", "formal", "as in a letter", "as in the news", "as children talk"],
        "place": rng.sample(demo_facts.relations(held_out)["capital"].objects, 6),
        "subject": [thing for thing, _ in demo_facts.things(held_out)],
    }
    items: list[dict[str, Any]] = [{"name": name, "values": values} for name, values in found.items()]
    if "per_label" in system:
        items = [one | {"per_label": ""} for one in items]
        items[-1] |= {"values": [], "per_label": "something that it can be about"}
    return json.dumps({"items": items}, indent=1)


def _judged(user: str, explains: bool, rng: Random) -> str:
    """The answer that the writer's own rows mean, but for a few mistakes."""
    shown = [one for one in objects(user) if isinstance(one, dict)][-1]
    answer = _mostly_meant(shown, next(value for value in shown.values() if isinstance(value, list)), rng)
    said = {"explanation": f"By what the example says, the answer is {answer}."} if explains else {}
    return json.dumps(said | {"answer": answer}, ensure_ascii=False)


def believed(text: str, choices: Sequence[str], rng: Random) -> str:
    """The choice to go on with behind a text, a field a line, as `_judged` would answer."""
    lines = (line.partition(": ") for line in text.rpartition("\n\n")[2].split("\n")[:-1])
    shown: dict[str, Any] = {name: value for name, _, value in lines}
    options = [choice.strip() for choice in choices]
    return choices[options.index(_mostly_meant({**shown, "\0options": options}, options, rng))]


def _mostly_meant(shown: Mapping[str, Any], options: Sequence[str], rng: Random) -> str:
    answer = _meant(shown, options)
    return rng.choice([option for option in options if option != answer]) if rng.random() < _WRONG else answer


def _meant(shown: Mapping[str, Any], options: Sequence[str]) -> str:
    blind = isinstance(list(shown.values())[-1], list)
    shape = recognise({**shown, "\0": options[0]} if blind else shown)
    texts = _texts(shown)
    if shape.kind in ("closed", "open"):
        return _true_or_not(shape, texts, options)
    text = _plain(" ".join(value for key, value in texts.items() if blind or key != shape.answer))
    meanings = shape.labels or [(_MEANS.get(fold(option), ""),) for option in options]
    weighed = {one: _weight(one, meaning, text) for one, meaning in zip(options, meanings, strict=True)}
    return max(options, key=weighed.__getitem__)


def _texts(shown: Mapping[str, Any]) -> dict[str, str]:
    """The fields without what a prompt may put before them."""
    return {key: str(value).rpartition(": ")[2] for key, value in shown.items() if not isinstance(value, list)}


def _true_or_not(shape: Shape, texts: Mapping[str, str], options: Sequence[str]) -> str:
    """Whether the claims are facts, or say nothing of what the passage speaks of."""
    claims = [_plain(part) for part in re.split(", and ", texts[shape.text])]
    about = _subject(claims[0])
    left_open = [one for one in options if fold(one) in OPEN]
    if left_open and shape.kind == "open" and about not in _plain(texts[shape.passage]):
        return left_open[0]
    holds = all(map(_is_fact, claims))
    return next(one for one in options if fold(one) not in OPEN and (fold(one) in YES) is holds)


def _subject(claim: str) -> str:
    return max((who for who, _ in _pairs() if who in claim), key=len, default="")


def _is_fact(claim: str) -> bool:
    return any(who in claim and what in claim for who, what in _pairs())


def _weight(option: str, meanings: Sequence[str], text: str) -> tuple[int, int, int, int, str]:
    """How much speaks for an option: facts, words of opinion or topic, its name, its words; the last breaks ties."""
    name, tables = _plain(option), demo_facts.OPINIONS | demo_facts.TOPICS
    facts = sum((name == who and what in text) or (name == what and who in text) for who, what in _pairs())
    words = [word for one in meanings for word in re.split("[,:]", tables.get(one, "")) if _plain(word) in text]
    own = set(name.split()) - {"the", "of", "was"}
    named = len(name) if f" about{name}" in text else 0
    return facts, len(words), named, sum(text.count(f" {word} ") for word in own), digest([text, option])


def _plain(text: str) -> str:
    """The words of a text, with a blank on either side of each."""
    words = re.sub(r"[^\w]+", " ", fold(text)).split()
    return f" {' '.join(words)} "


@cache
def _pairs() -> tuple[tuple[str, str], ...]:
    """Every true pair of a subject and an object, from both halves."""
    known = [relation for half in (False, True) for relation in demo_facts.relations(half).values()]
    pairs = [(who, what) for relation in known for who, values in relation.truth.items() for what in values]
    return tuple((_plain(who), _plain(what)) for who, what in pairs)


def _slots(rng: Random, held_out: bool) -> dict[str, str]:
    thing, parts = rng.choice(demo_facts.things(held_out))
    n, m = rng.sample(demo_facts.split(demo_facts.NAMES, " "), 2)
    place = rng.choice(demo_facts.relations(held_out)["capital"].objects)
    when = rng.choice(demo_facts.split(demo_facts.WHEN, ","))
    return {"thing": thing, "part": rng.choice(parts), "n": n, "m": m, "place": place, "when": when}


def written(shape: Shape, asked: Asked, rng: Random, held_out: bool, taken: Collection[str] = ()) -> dict[str, Any]:
    """A row as it is asked for, where options vary with an answer that is not taken."""
    label = asked.must.get(shape.answer)
    for _ in range(10 if label is None else 200):
        row = _fields(shape, asked, rng, held_out) if shape.kind == "fields" else _known(shape, asked, rng, held_out)
        # The instruction asks for different answers, which only options that vary allow.
        new = not shape.varies or row[shape.answer] not in taken
        if new if label is None else fold(str(row[shape.answer])) == fold(label):
            break
    text = shape.passage or shape.text
    about = {text: f"About {asked.about}: {row[text]}"} if asked.about else {}
    return row | about | {key: value for key, value in asked.must.items() if key in row and key != shape.answer}


def given(shape: Shape, asked: Asked, held_out: bool) -> dict[str, Any]:
    """A row that is given again: the example, or where none is shown the same one at every call."""
    if asked.shown:
        return dict(asked.example)
    return written(shape, asked._replace(about=""), Random(repr(asked.must.get(shape.answer))), held_out)


def _known(shape: Shape, asked: Asked, rng: Random, held_out: bool) -> dict[str, Any]:
    made = make(shape, asked.example, rng, held_out)
    options = list(made.options) or asked.example[shape.options]
    values: dict[str, Any] = {shape.passage: made.passage, shape.text: made.text}
    values |= {shape.options: options, shape.answer: options[made.answer]}
    return {key: values[key] for key in asked.example}


def _fields(shape: Shape, asked: Asked, rng: Random, held_out: bool) -> dict[str, Any]:
    """A row of any fields, whose answer the words give away: by an opinion, or by telling of it."""
    row, slots = dict(asked.example), _slots(rng, held_out)
    inputs = _inputs(shape, row)
    passage = ""
    if shape.varies:
        passage = next((key for key in inputs if fold(key) in PASSAGES), "")
        row[shape.options], row[shape.answer] = _choices(len(row[shape.options]), passage, slots, rng, held_out)
        slots |= {"all": " and ".join(row[shape.options]), "right": row[shape.answer]}
        means = ""
    else:
        row[shape.answer] = rng.choice(_answers(shape, asked))
        means = _MEANS.get(fold(str(row[shape.answer])), "")
    slots["a"] = rng.choice(demo_facts.half(demo_facts.OPINIONS[means or "neutral"], held_out))
    frames = _frames(inputs, passage)
    row |= {key: frames[key].format(**slots) for key in inputs if not _stays(key, row[key], shape)}
    if "pronoun" in map(fold, inputs):
        row[shape.text] = row[shape.text].replace("they", "*they*")
    if not shape.varies and not means:
        row[shape.text] += f" This is about {row[shape.answer]}."
    return row


def _inputs(shape: Shape, row: Mapping[str, Any]) -> list[str]:
    return [key for key in row if key not in (shape.options, shape.answer)]


def _answers(shape: Shape, asked: Asked) -> list[Any]:
    """The answer that is demanded, else all options."""
    options: list[Any] = asked.example[shape.options]
    label = fold(asked.must.get(shape.answer, ""))
    return [one for one in options if fold(str(one)) == label] or options


def _stays(key: str, value: object, shape: Shape) -> bool:
    """Whether a field is one of a few words, such as "cause", which stays as the example has it."""
    return key != shape.text and fold(key) not in _BY_NAME and str(value).isalpha()


def _frames(inputs: Sequence[str], passage: str) -> dict[str, str]:
    """The frame of each field: by its name, or in turn."""
    turns = iter(_IN_TURN * len(inputs))
    frames = {}
    for key in inputs:
        by_name = _BY_NAME.get(fold(key))
        in_turn = "" if by_name else next(turns)
        frames[key] = _PASSAGE if key == passage else by_name or (_ASKED_OF_IT if passage else in_turn)
    return frames


def _choices(count: int, names: str, slots: dict[str, str], rng: Random, held_out: bool) -> tuple[list[str], str]:
    """Options and the right one: names, or sentences of which one tells of the part and thing that the slots get."""
    praise = demo_facts.half(demo_facts.OPINIONS["positive"], held_out)
    pairs = [{"part": part, "thing": thing} for thing, parts in demo_facts.things(held_out) for part in parts]
    people = demo_facts.split(demo_facts.NAMES, " ")
    if count > (most := len(people if names else pairs)):
        raise RunFailed(f"the demo writer has {most} options at most, not {count}: use a real model")
    if names:
        options = rng.sample(people, count)
        return options, rng.choice(options)
    told_of = rng.sample(pairs, count)
    options, right = [_OPTION.format(**pair, a=rng.choice(praise)) for pair in told_of], rng.randrange(count)
    slots |= told_of[right]
    return options, options[right]
