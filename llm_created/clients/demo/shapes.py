"""What a formatting example asks for, and examples of that shape from small tables of facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Any, NamedTuple

from ...errors import RunFailed
from ...utils.text import fold, scalar
from . import tables as demo_facts
from .tables import Relation

YES, OPEN = {"yes", "true", "entailment"}, {"neutral"}
_YES_NO = ({"yes", "no"}, {"true", "false"}, {"entailment", "not_entailment"})
_YES_NO_OPEN = (*_YES_NO, {"entailment", "contradiction", "neutral"})
PASSAGES = ("context", "passage", "paragraph", "document", "evidence")
# Fields that hold a word, whatever the others say.
_WORDS = ("word", "noun", "pronoun", "name")
OPINION_NAMES = {"pos": "positive", "good": "positive", "neg": "negative", "bad": "negative"}
_TOPICS = {"sport": "sports", "sci": "science", "tech": "technology", "international": "world", "finance": "business"}
_VERB = re.compile(r"\[(\w+)(?:/(\w+)/(\w+))?\]")
_ASKS = re.compile(
    r"(is|are|was|were|do|does|did|can|could|has|have|had|will|would|should|must|may|might) |.*\?$", re.S
)


class Shape(NamedTuple):
    """What a formatting example asks for: its kind, its keys, and for fixed labels what each of them stands for."""

    kind: str
    options: str
    answer: str
    text: str
    passage: str = ""
    labels: tuple[tuple[str, ...], ...] = ()

    @property
    def varies(self) -> bool:
        """Whether each row brings its own options."""
        return self.kind in ("choice", "fields") and not self.labels


class Made(NamedTuple):
    """One example without its keys: `facts` are the (relation, subject) pairs that it tells."""

    text: str
    answer: int
    options: tuple[str, ...] = ()
    passage: str = ""
    facts: frozenset[tuple[str, str]] = frozenset()


def recognise(example: Mapping[str, Any]) -> Shape:
    """The shape of a formatting example, from its keys and values alone; `"fields"` where the tables have none."""
    keys, (options, answer, labels) = list(example), _answered(example)
    inputs = [key for key in keys if key not in (options, answer)]
    if not inputs:
        raise unknown("has no input field", keys)
    if len(inputs) == 2 and set(labels) in _YES_NO_OPEN:
        passage = max(inputs, key=lambda key: _like_a_passage(key, example[key]))
        (question,) = (key for key in inputs if key != passage)
        return Shape("open", options, answer, question, passage)
    # Where a text comes last, the labels are fixed (section 3.3 of the paper).
    fixed = keys[-1] in inputs
    known = _of_one_text(labels, fixed) if len(inputs) == 1 else None
    if known is not None:
        return Shape(known[0], options, answer, inputs[0], labels=known[1])
    text = next((key for key in inputs if fold(key) not in _WORDS), inputs[0])
    return Shape("fields", options, answer, text, labels=tuple((label,) for label in labels) if fixed else ())


def _like_a_passage(key: str, value: object) -> tuple[bool, int]:
    return fold(key) in (*PASSAGES, "premise"), len(str(value))


def _answered(example: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """The keys of the options and of the answer, and the options."""
    keys = list(example)
    lists = [key for key in keys if isinstance(example[key], list)]
    labels = list(map(_folded, example[lists[0]])) if len(lists) == 1 else []
    # The answer follows the options, both where they vary and where they are fixed.
    order = keys[keys.index(lists[0]) + 1 :] + keys if labels else []
    answer = next((key for key in order if key not in lists and _folded(example[key]) in labels), None)
    if len(labels) < 2 or answer is None:
        raise unknown("has no list of options with its answer among them", keys)
    return lists[0], answer, labels


def _folded(value: object) -> str:
    return fold(scalar(value) or "")


def _of_one_text(labels: Sequence[str], fixed: bool) -> tuple[str, tuple[tuple[str, ...], ...]] | None:
    """The kind of an example with one text, and what its labels stand for; `None` where the tables have none."""
    if set(labels) in _YES_NO:
        return "closed", ()
    opinions = tuple((OPINION_NAMES.get(label, label),) for label in labels)
    topics = tuple(map(_topics, labels))
    for kind, tables, meant in (("opinion", demo_facts.OPINIONS, opinions), ("topic", demo_facts.TOPICS, topics)):
        parts = [part for label in meant for part in label]
        if len(set(parts)) == len(parts) and set(parts) <= tables.keys():
            return kind, meant
    return None if fixed else ("choice", ())


def _topics(label: str) -> tuple[str, ...]:
    """The topics that a label names, such as "Sci/Tech"."""
    return tuple(_TOPICS.get(part, part) for part in re.split(r" ?[/&,] ?(?:and )?| and ", label))


def make(shape: Shape, example: Mapping[str, Any], rng: Random, held_out: bool) -> Made:
    """One new example of a shape from one half of the tables."""
    count = len(example[shape.options])
    if shape.kind == "choice":
        return _choice(count, rng, held_out)
    if shape.kind in ("opinion", "topic"):
        answer = rng.randrange(count)
        table = rng.choice(shape.labels[answer])
        return Made((_opinion if shape.kind == "opinion" else _news)(table, rng, held_out), answer)
    left_open = [i for i, option in enumerate(example[shape.options]) if fold(str(option)) in OPEN]
    if left_open and rng.random() < 1 / count:
        return _left_open(shape, example, left_open[0], rng, held_out)
    return _statement(shape, example, left_open, rng, held_out)


def _statement(
    shape: Shape, example: Mapping[str, Any], left_open: Sequence[int], rng: Random, held_out: bool
) -> Made:
    """A statement or question about facts, true or not, and for `"open"` a passage that tells of them."""
    truth, known = rng.random() < 0.5, demo_facts.relations(held_out)
    meant = [None if i in left_open else fold(str(option)) in YES for i, option in enumerate(example[shape.options])]
    answer = meant.index(truth)
    asks = _ASKS.match(fold(str(example[shape.text]))) is not None
    picked = [rng.choice(_facts(held_out)) for _ in range(1 if shape.kind == "open" or rng.random() < 0.5 else 2)]
    # One wrong half makes the whole wrong.
    wrong = -1 if truth else rng.randrange(len(picked))
    if shape.kind == "open":
        relation, subject = known[picked[0][0]], picked[0][1]
        picked += _neighbours(relation, subject, rng, held_out)
        passage = _passage(known, picked, rng)
        said = _say(relation, subject, _object(relation, subject, truth, rng), rng, asks)
        return Made(_sentence(said, asks), answer, (), passage, frozenset(picked))
    parts = [
        _say(known[name], who, _object(known[name], who, i != wrong, rng), rng, asks and len(picked) == 1)
        for i, (name, who) in enumerate(picked)
    ]
    both = "is it true that {}, and that {}" if asks else "{}, and {}"
    said = parts[0] if len(parts) == 1 else both.format(*parts)
    return Made(_sentence(said, asks), answer, facts=frozenset(picked))


def _passage(known: Mapping[str, Relation], told: Sequence[tuple[str, str]], rng: Random) -> str:
    sentences = [_say(known[name], who, rng.choice(known[name].truth[who]), rng) for name, who in told]
    rng.shuffle(sentences)
    return " ".join(_sentence(sentence) for sentence in sentences)


def _left_open(shape: Shape, example: Mapping[str, Any], answer: int, rng: Random, held_out: bool) -> Made:
    """A statement that has nothing to do with the passage."""
    known = dict(example) | {shape.options: [one for i, one in enumerate(example[shape.options]) if i != answer]}
    for _ in range(50):
        one, other = (make(shape, known, rng, held_out) for _ in range(2))
        if not {who for _, who in one.facts} & {who for _, who in other.facts}:
            break
    return other._replace(answer=answer, passage=one.passage, facts=one.facts | other.facts)


def _choice(count: int, rng: Random, held_out: bool) -> Made:
    for _ in range(200):
        name, subject = rng.choice(_facts(held_out))
        relation = demo_facts.relations(held_out)[name]
        right = rng.choice(relation.truth[subject])
        forward = rng.random() < 0.6
        wrong = _others(relation, subject) if forward else _without(relation, right)
        if len(wrong) >= count - 1:
            break
    else:
        raise RunFailed(f"the demo writer has no table with {count} options; give fewer, or use a real model")
    template = rng.choice(relation.ask if forward else relation.find)
    text = _sentence(template.format(s=subject, o=right, n=_pick(demo_facts.NAMES, rng, " ")), asks=True)
    answer = right if forward else subject
    options = [answer, *rng.sample(wrong, count - 1)]
    rng.shuffle(options)
    told = [subject] if forward else options
    return Made(text, options.index(answer), tuple(options), "", frozenset((name, who) for who in told))


def _others(relation: Relation, subject: str) -> list[str]:
    """What the relation does not say of the subject."""
    return [value for value in relation.objects if value not in relation.truth[subject]]


def _without(relation: Relation, value: str) -> list[str]:
    """Those of whom the relation does not say this."""
    return [who for who, values in relation.truth.items() if value not in values]


def _neighbours(relation: Relation, subject: str, rng: Random, held_out: bool) -> list[tuple[str, str]]:
    """One to three more facts for a passage: of the same relation, or about the same subject."""
    same = [(relation.name, who) for who in relation.truth if who != subject]
    about = [(name, who) for name, who in _facts(held_out) if who == subject and name != relation.name]
    return rng.sample(same, rng.randint(1, 2)) + rng.sample(about, min(len(about), rng.randint(0, 1)))


def _object(relation: Relation, subject: str, true: bool, rng: Random) -> str:
    return rng.choice(relation.truth[subject] if true else _others(relation, subject))


def _say(relation: Relation, subject: str, value: str, rng: Random, asks: bool = False) -> str:
    """A statement, or the question that it answers, in lower case and without its last mark."""
    template = rng.choice(relation.say)
    template = template[0].lower() + template[1:]
    verb = _VERB.search(template)
    if asks and verb:
        template = f"{verb[2] or verb[1]} {_VERB.sub(verb[3] or '', template)}"
    elif asks:
        template = f"is it true that {template}"
    else:
        template = _VERB.sub(r"\1", template)
    return " ".join(template.format(s=subject, o=value).split())


def _pick(text: str, rng: Random, separator: str = "|") -> str:
    return rng.choice(demo_facts.split(text, separator))


def _sentence(text: str, asks: bool = False) -> str:
    return text[0].upper() + text[1:].rstrip(".?") + ("?" if asks else ".")


def _opinion(label: str, rng: Random, held_out: bool) -> str:
    thing, parts = rng.choice(demo_facts.things(held_out))
    part, other = rng.sample(parts, 2)
    a, b = rng.sample(demo_facts.half(demo_facts.OPINIONS[label], held_out), 2)
    frame = _pick(demo_facts.OPINION_FRAMES, rng)
    return _sentence(frame.format(thing=thing, part=part, other=other, a=a, b=b, n=_pick(demo_facts.NAMES, rng, " ")))


def _news(topic: str, rng: Random, held_out: bool) -> str:
    who, did = (rng.choice(demo_facts.half(words, held_out)) for words in demo_facts.TOPICS[topic].split(":"))
    frame = _pick(demo_facts.NEWS_FRAMES, rng)
    place = rng.choice(demo_facts.relations(held_out)["capital"].objects)
    when = _pick(demo_facts.WHEN, rng, ",")
    return _sentence(frame.format(who=who, did=did, place=place, when=when))


@cache
def _facts(held_out: bool) -> list[tuple[str, str]]:
    return sorted(demo_facts.facts(held_out))


def unknown(why: str, keys: list[str]) -> RunFailed:
    """The error for a formatting example that the tables cannot follow."""
    seen = f" (keys seen: {', '.join(keys)})" if keys else ""
    return RunFailed(
        f"the formatting example {why}{seen}; the demo writer needs a list of options, the answer among them, and a "
        "text; for others use a real model"
    )
