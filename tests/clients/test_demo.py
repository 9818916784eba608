"""The demo writer and its tables: bounded calls, the same whatever the order, true, and in two separate halves."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pytest

from llm_created.clients.base import Reply, Request
from llm_created.clients.demo import shapes
from llm_created.clients.demo import tables as demo_facts
from llm_created.clients.demo.client import DemoClient
from llm_created.errors import RunFailed
from llm_created.prompts import examples as prompt
from llm_created.tasks.task import Reason, Row, Task
from llm_created.utils.text import digest

EXAMPLES: dict[str, tuple[dict[str, Any], str]] = {
    "choice of 5": (
        {"Question": "Where is milk?", "Choices": ["fridge", "sea", "sky", "road", "tree"], "Correct": "fridge"},
        "variable",
    ),
    "choice of 2": ({"goal": "To dry hair", "options": ["towel", "hammer"], "answer": "towel"}, "variable"),
    "closed": ({"statement": "Paris is in France.", "options": ["True", "False"], "answer": "True"}, "fixed"),
    "closed, asked": ({"QUESTION": "is paris in france", "Allowed": ["no", "YES"], "Label": "YES"}, "fixed"),
    "open": (
        {
            "context": "Paris is the capital of France.",
            "q": "Is Paris in France?",
            "options": ["Yes", "No"],
            "answer": "Yes",
        },
        "fixed",
    ),
    "sentiment": (
        {"text": "I like this place.", "labels": ["negative", "positive"], "sentiment": "positive"},
        "fixed",
    ),
    "topics": (
        {"News": "Shares fell.", "Topics": ["World", "Sports", "Business", "Sci/Tech"], "topic": "Business"},
        "fixed",
    ),
}


def ask(client: DemoClient, messages: list[Any], occurrence: int = 0, lane: int = 0) -> Reply:
    return asyncio.run(client.complete(Request(messages, lane, digest(messages), occurrence)))


def requests(name: str, calls: int) -> tuple[Task, list[Request]]:
    example, space = EXAMPLES[name]
    task = Task.from_example(example, label_space=space)
    row = task.read(example)
    assert isinstance(row, Row)
    messages = prompt.render(task, row, prompt.instruction(task, 5))
    return task, [Request(messages, 0, digest(messages), occurrence) for occurrence in range(calls)]


def replies(client: DemoClient, wanted: list[Request]) -> list[str]:
    async def run() -> list[str]:
        return [reply.text for reply in await asyncio.gather(*(client.complete(request) for request in wanted))]

    return asyncio.run(run())


@cache
def collected(name: str, held_out: bool) -> tuple[Task, dict[int, Row], Counter[str]]:
    """The distinct rows of 500 calls, and what became of every piece."""
    task, wanted = requests(name, 500)
    shown = task.read(EXAMPLES[name][0])
    rows: dict[int, Row] = {}
    verdicts: Counter[str] = Counter()
    for text in replies(DemoClient(held_out=held_out), wanted):
        for piece in prompt.parse(task, text):
            row = piece if isinstance(piece, Reason) else task.read(piece)
            if isinstance(row, Reason):
                verdicts[row.code] += 1
            elif row.key in rows or row == shown:
                verdicts["duplicate"] += 1
            else:
                verdicts["row"] += 1
                rows[row.key] = row
    return task, rows, verdicts


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("name", EXAMPLES)
def test_two_thousand_rows_with_some_faults(name: str, held_out: bool) -> None:
    task, rows, verdicts = collected(name, held_out)
    pieces = verdicts.total()
    assert 2490 <= pieces <= 2510
    assert len(rows) >= 2000
    bad = pieces - verdicts["row"] - verdicts["duplicate"]
    assert 0.01 < bad / pieces < 0.1
    assert {"not_json", "answer_not_in_options"} <= verdicts.keys()
    # Of fixed options it is not told what their field is called.
    assert ("wrong_options" in verdicts) == (task.variable or task.options == "options")
    assert verdicts["duplicate"] / pieces < 0.25
    assert max(len(text) for row in rows.values() for text in row.inputs) < 600


@pytest.mark.parametrize("name", EXAMPLES)
def test_labels_are_balanced(name: str) -> None:
    task, rows, _ = collected(name, False)
    share = Counter(row.answer for row in rows.values())
    count = len(task.labels or EXAMPLES[name][0].get("Choices") or "ab")
    assert set(share) == set(range(count))
    assert all(0.7 / count < times / len(rows) < 1.3 / count for times in share.values())


def test_no_place_among_the_options_is_favoured_as_written() -> None:
    task, wanted = requests("choice of 5", 400)
    pieces = [piece for text in replies(DemoClient(faults=0), wanted) for piece in prompt.parse(task, text)]
    places = Counter(piece["Choices"].index(piece["Correct"]) for piece in pieces if isinstance(piece, dict))
    assert places.total() == 2000 and all(320 < places[place] < 480 for place in range(5))


def test_answers_of_a_reply_differ_and_keys_keep_their_order() -> None:
    task, wanted = requests("choice of 5", 100)
    for text in replies(DemoClient(faults=0), wanted):
        pieces = [piece for piece in prompt.parse(task, text) if isinstance(piece, dict)]
        assert [list(piece) for piece in pieces] == [["Question", "Choices", "Correct"]] * 5
        assert len({piece["Correct"] for piece in pieces}) == 5


def test_without_faults_every_piece_is_a_row() -> None:
    for name in EXAMPLES:
        task, wanted = requests(name, 40)
        for text in replies(DemoClient(faults=0), wanted):
            assert all(isinstance(task.read(piece), Row) for piece in prompt.parse(task, text))


def test_a_reply_depends_on_the_request_alone() -> None:
    _, wanted = requests("closed", 60)
    first = replies(DemoClient(), wanted)
    assert replies(DemoClient(), wanted[::-1])[::-1] == first
    assert len(set(first)) == 60
    assert replies(DemoClient(seed=1), wanted) != first
    other_lane = [Request(request.messages, 1, request.key, request.occurrence) for request in wanted]
    assert not set(replies(DemoClient(), other_lane)) & set(first)


def test_it_gives_as_many_as_asked_for_and_repeats_or_cuts_off_some() -> None:
    task, wanted = requests("closed", 1)
    row = task.read(EXAMPLES["closed"][0])
    assert isinstance(row, Row)
    messages = prompt.render(task, row, prompt.instruction(task, 17, paper=True))
    assert len(prompt.parse(task, ask(DemoClient(faults=0), messages).text)) == 17
    spoilt = [ask(DemoClient(faults=1), wanted[0].messages, occurrence) for occurrence in range(60)]
    assert "length" in {reply.finish_reason for reply in spoilt}
    verdicts = [
        task.read(piece) for reply in spoilt for piece in prompt.parse(task, reply.text) if isinstance(piece, dict)
    ]
    assert row in verdicts  # the formatting example itself came back


def test_fixed_options_are_answered_as_they_were_written_and_not_given_back() -> None:
    task, wanted = requests("closed, asked", 30)
    for text in replies(DemoClient(faults=0), wanted):
        for piece in prompt.parse(task, text):
            assert isinstance(piece, dict)
            assert list(piece) == ["Label", "QUESTION"] and piece["Label"] in ("no", "YES")
            assert piece["QUESTION"].endswith("?")


def test_halves_share_no_fact() -> None:
    train, held_out = demo_facts.facts(False), demo_facts.facts(True)
    assert min(len(train), len(held_out)) > 350
    assert not train & held_out
    assert not {subject for _, subject in train} & {subject for _, subject in held_out}
    for name in ("choice of 5", "choice of 2", "closed", "open"):
        example = EXAMPLES[name][0]
        shape = shapes.recognise(example)
        rng = Random(name)
        for half, own in ((False, train), (True, held_out)):
            told = [shapes.make(shape, example, rng, half).facts for _ in range(1000)]
            assert all(facts and facts <= own for facts in told)
    for split in (demo_facts.OPINIONS, demo_facts.TOPICS):
        for words in split.values():
            for part in words.split(":"):
                assert not set(demo_facts.half(part, False)) & set(demo_facts.half(part, True))


@pytest.mark.parametrize("name", ["choice of 5", "closed", "open"])
def test_held_out_text_names_no_element_country_or_work_of_the_other_half(name: str) -> None:
    """Judged by the text alone, apart from what the writer says about itself."""
    other = {who for relation in ("capital", "number", "maker") for who in demo_facts.relations(False)[relation].truth}
    pattern = re.compile("|".join(rf"\b{re.escape(who)}\b" for who in sorted(other)))
    _, rows, _ = collected(name, True)
    text = "\n".join("\n".join((*row.inputs, *row.options)) for row in rows.values())
    assert len(text) > 50_000
    assert pattern.search("the atomic number of " + next(iter(demo_facts.relations(False)["number"].truth)))
    assert set(pattern.findall(text)) == set()


# Written down a second time, apart from the tables: a slip in a table or a template shows here.
KNOWN = {
    "capital": "France Paris, Kenya Nairobi, Japan Tokyo, Peru Lima, Canada Ottawa, "
    "Australia Canberra, Poland Warsaw, Cuba Havana, Iran Tehran, Spain Madrid, Austria Vienna, Ghana Accra",
    "symbol": "iron Fe, sodium Na, potassium K, tin Sn, silver Ag, neon Ne, carbon C, "
    "zinc Zn, copper Cu, iodine I, barium Ba, xenon Xe, gallium Ga, arsenic As, helium He, krypton Kr",
}


def test_statements_are_true_or_false_as_labelled() -> None:
    tables = {
        name: {**demo_facts.relations(False)[name].truth, **demo_facts.relations(True)[name].truth} for name in KNOWN
    }
    seen: Counter[tuple[str, bool]] = Counter()
    for half in (False, True):
        task, rows, _ = collected("closed", half)
        assert task.labels == ("True", "False")
        for row in rows.values():
            for name, pairs in KNOWN.items():
                known = dict(pair.split() for pair in pairs.split(", "))
                assert all(tables[name][who] == (value,) for who, value in known.items())
                match = re.fullmatch(r"(\w+) is the (?:capital|chemical symbol) of ([\w ]+)\.", row.inputs[0])
                if match and match[2] in known:
                    assert (known[match[2]] == match[1]) is (row.answer == 0), row
                    seen[name, row.answer == 0] += 1
    assert len(seen) == 4 and min(seen.values()) >= 3


def test_choices_have_one_true_answer() -> None:
    """A country that shares a region, or an animal whose young has two names, must not give a second answer."""
    checked = 0
    for half in (False, True):
        region, young = (demo_facts.relations(half)[name].truth for name in ("region", "young"))
        for row in collected("choice of 5", half)[1].values():
            if match := re.fullmatch(r"Which country is in ([\w ]+)\?", row.inputs[0]):
                right = [option for option in row.options if match[1] in region[option]]
            elif match := re.fullmatch(r"What is the young of ([\w ]+) called\?", row.inputs[0]):
                right = [option for option in row.options if option in young[match[1]]]
            else:
                continue
            assert right == [row.options[row.answer]], row
            checked += 1
    assert checked > 50


def test_the_passage_answers_its_question() -> None:
    checked = 0
    task, rows, _ = collected("open", False)
    assert task.inputs == ("q", "context")
    for row in rows.values():
        question, passage = row.inputs
        sentences = len(re.findall(r"\.(?: |$)", passage))
        # Initials of authors have a full stop too.
        assert sentences >= 2 and (sentences <= 4 or '"' in passage), passage
        if match := re.fullmatch(r"Does ([\w ]+) have the atomic number (\d+)\?", question):
            number = demo_facts.relations(False)["number"].truth[match[1]][0]
            assert re.search(rf"{match[1]} (has the atomic number|is) {number}\.", passage, re.I)
            assert (number == match[2]) is (row.answer == 0)
            checked += 1
    assert checked > 10


def test_atomic_numbers_count_up_and_tables_are_clean() -> None:
    numbers = {
        who: values[0] for half in (False, True) for who, values in demo_facts.relations(half)["number"].truth.items()
    }
    assert sorted(map(int, numbers.values())) == list(range(1, 57)) and numbers["iron"] == "26"
    for half in (False, True):
        for relation in demo_facts.relations(half).values():
            assert relation.ask and relation.find and len(relation.say) == 2
            for text in (*relation.truth, *relation.objects):
                assert text and not re.search(r"[;:+&#|,]|\s\s|^\s|\s$|^-$", text), text


@pytest.mark.parametrize(
    ("example", "says"),
    [
        ({"question": "How many?", "answer": "3"}, "no list of options"),
        ({"question": "How many?", "options": ["1", "2"], "answer": "3"}, "no list of options with its answer"),
        ({"options": ["1", "2"], "answer": "2"}, "no input field (keys seen: options, answer)"),
    ],
)
def test_an_example_that_is_none_is_refused_in_one_line(example: dict[str, Any], says: str) -> None:
    messages = [
        {"role": "system", "content": "You are creating 5 examples"},
        {"role": "user", "content": json.dumps(example)},
    ]
    with pytest.raises(RunFailed) as caught:
        ask(DemoClient(), messages)
    line = str(caught.value)
    assert says in line and "\n" not in line and "use a real model" in line


def test_a_prompt_without_an_example_and_too_many_options_are_refused() -> None:
    with pytest.raises(RunFailed, match="not a JSON object"):
        ask(DemoClient(), [{"role": "user", "content": "Write something"}])
    example = {"q": "Which?", "options": [str(number) for number in range(90)], "answer": "1"}
    with pytest.raises(RunFailed, match="90 options"):
        ask(DemoClient(), [{"role": "user", "content": json.dumps(example)}])
