"""TarGEN's eight SuperGLUE tasks: their builders, their guides, and the benchmark's own files."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quick import slow_but

import llm_created
from llm_created import Guide, Row, Task
from llm_created.data import sources
from llm_created.data.human_rows import load_hub, load_local
from llm_created.errors import RunFailed, UsageError
from llm_created.tasks import builtin as tasks
from llm_created.tasks.builtin import Source
from llm_created.utils.text import clean, fold

ROOT = Path(__file__).parents[2]
NEW = ("axg", "cb", "copa", "record", "rte", "wic", "wsc")
EIGHT = ("boolq_open", *NEW)
LABELS = {
    **dict.fromkeys(("rte", "axg"), ("entailment", "not_entailment")),
    "cb": ("entailment", "contradiction", "neutral"),
    **dict.fromkeys(("wic", "wsc"), ("False", "True")),
}
# Rows of each split on the Hub, and of ours where no row is left out. ReCoRD has ten times as many, which takes long.
HUB = {
    "axg": {"test": 356},
    "cb": {"train": 250, "validation": 56, "test": 250},
    "copa": {"train": 400, "validation": 100, "test": 500},
    "record": {"train": 10_730, "validation": 1000, "test": 1000},
    "rte": {"train": 2490, "validation": 277, "test": 3000},
    "wic": {"train": 5428, "validation": 638, "test": 1400},
    "wsc": {"train": 554, "validation": 104, "test": 146},
}
OURS = {
    "axg": {"test": 356},
    "cb": {"train": 225, "validation": 25, "test": 56},
    "copa": {"train": 360, "validation": 40, "test": 100},
    "record": {"train": 657, "validation": 10_073, "test": 1000},
    "rte": {"train": 2241, "validation": 249, "test": 277},
    "wic": {"train": 4885, "validation": 543, "test": 638},
    "wsc": {"train": 499, "validation": 55, "test": 104},
}
CONFIG = {name: name for name in NEW} | {"wsc": "wsc.fixed"}


def record(name: str, at: int, hidden: bool = False) -> dict[str, Any]:
    """One record in the shape of the Hub's dataset for this task."""
    label = -1 if hidden else at % len(LABELS.get(name, "ab"))
    if name in ("rte", "axg", "cb"):
        return {"premise": f"It was {at} o'clock.", "hypothesis": "It was late.", "idx": at, "label": label}
    if name == "copa":
        choices = {"choice1": "The sun rose.", "choice2": "The grass was cut."}
        question = ("cause", "effect")[at // 2 % 2]
        return {"premise": f"Shadow {at} fell.", **choices, "question": question, "idx": at, "label": label}
    if name == "record":
        about = {"passage": f"Ann met Bob Ray in Rome {at} times. @highlight Ray smiled.", "idx": {"query": at}}
        query = f"On day {at} @placeholder smiled."
        answers = [] if hidden else ["Bob Ray", "Ray"]
        return about | {"query": query, "entities": ["Ray", "Rome", "Bob Ray", "Ann"], "answers": answers}
    if name == "wic":
        words = {"word": "bank", "sentence1": f"Bank {at} lent her money.", "sentence2": "He sat on the banks."}
        return words | {"idx": at, "start1": 0, "end1": 4, "start2": 14, "end2": 19, "label": label}
    text = f"It was {at} o'clock when Ann told Eve, who knew it, that it was late."
    spans = {"span1_index": 5, "span1_text": "Ann\nLee", "span2_index": 10, "span2_text": "it"}
    return {"text": text, **spans, "idx": at, "label": label}


class Hub:
    """Stands in for `datasets.load_dataset` with records of the right shape and number; labels of test are hidden."""

    def __init__(self, name: str) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.splits: dict[str, list[dict[str, Any]]] = {}
        at = 0
        for split, size in HUB[name].items():
            hidden = split == "test" and name != "axg"
            self.splits[split] = [record(name, number, hidden) for number in range(at, at + size)]
            at += size

    def __call__(self, path: str, config: str | None, revision: str | None = None) -> Any:
        self.calls.append((path, config, revision))
        return self.splits


def columns(name: str, item: dict[str, Any]) -> Any:
    human = tasks.load(name).human
    assert human is not None
    return human.columns(item)


def read(name: str, item: dict[str, Any]) -> Row:
    row = tasks.load(name).task.read(columns(name, item))
    assert isinstance(row, Row), row
    return row


# Builders.


@pytest.mark.parametrize("name", NEW)
def test_a_builder_file_is_short_and_opens_with_a_row(name: str) -> None:
    source = tasks.load(name)
    text = (ROOT / "builders" / f"{name}.py").read_text(encoding="utf-8")
    assert source.task.name == name and 15 <= len(text.splitlines()) <= 60
    shown, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    own, real = source.task.read(source.example), source.task.read(shown)
    assert isinstance(own, Row) and isinstance(real, Row) and own.key != real.key


# The largest two take most of the time.
@pytest.mark.parametrize("name", slow_but(lambda name: name not in ("record", "wic"), NEW))
def test_the_cut(name: str) -> None:
    hub, source = Hub(name), tasks.load(name)
    assert source.human is not None
    parts = load_hub(source.task, source.human, hub)
    assert {split: len(rows) for split, rows in parts.items()} == OURS[name]
    assert hub.calls == [("aps/super_glue", CONFIG[name], None)]
    seen = [{fold(row.inputs[0]) for row in rows} for rows in parts.values()]
    assert all(not one & other for one, other in combinations(seen, 2))
    hub_test = "test" if name == "axg" else "validation"
    assert [row.inputs for row in parts["test"]] == [read(name, item).inputs for item in hub.splits[hub_test]]


def test_a_row_of_each() -> None:
    def shown(name: str, at: int) -> dict[str, Any]:
        task = tasks.load(name).task
        return task.example(read(name, record(name, at)))

    two, three, words = ["entailment", "not_entailment"], ["entailment", "contradiction", "neutral"], ["True", "False"]
    inputs = {"premise": "It was 5 o'clock.", "hypothesis": "It was late."}
    assert shown("rte", 5) == shown("axg", 5) == {"options": two, "answer": "not_entailment"} | inputs
    assert shown("cb", 5) == {"options": three, "answer": "neutral"} | inputs
    copa = shown("copa", 5)
    assert (copa["premise"], copa["question"], copa["answer"]) == ("Shadow 5 fell.", "cause", "The grass was cut.")
    assert sorted(copa["options"]) == ["The grass was cut.", "The sun rose."]
    wic = {"sentence1": "Bank 5 lent her money.", "sentence2": "He sat on the banks.", "word": "bank"}
    assert shown("wic", 5) == {"options": words, "answer": "True"} | wic
    text = "It was 5 o'clock when Ann told Eve, who knew *it*, that it was late."
    assert shown("wsc", 5) == {"options": words, "answer": "True", "text": text, "pronoun": "it", "noun": "Ann Lee"}
    # "Ray" is right too: it must not stand there as a wrong option.
    name = shown("record", 5)
    assert name["answer"] == "Bob Ray" and sorted(name["options"]) == ["Ann", "Bob Ray", "Rome"]
    assert name["query"] == "On day 5 @placeholder smiled." and "@highlight" in name["passage"]


@pytest.mark.parametrize("name", [name for name in NEW if name != "axg"])
def test_hidden_labels(name: str) -> None:
    assert columns(name, record(name, 3, hidden=True)) is None
    assert columns(name, record(name, 3)) is not None


@pytest.mark.parametrize("name", sorted(LABELS))
def test_a_label_that_is_none_of_the_tasks_is_an_error(name: str) -> None:
    source = tasks.load(name)
    assert source.human is not None
    split = "test" if name == "axg" else "validation"
    splits = {"train": [], split: [record(name, 0) | {"label": 7}]}
    with pytest.raises(RunFailed, match="other columns than expected"):
        load_hub(source.task, source.human, lambda path, config, revision=None: splits)


NAME = st.text("abc é", min_size=1, max_size=3).map(str.strip).filter(bool)


@given(st.lists(NAME, min_size=1, max_size=6, unique=True), st.data())
def test_other_right_names_are_no_options(names: list[str], data: st.DataObject) -> None:
    answers = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    item = {"query": "@placeholder?", "passage": "p", "entities": names, "answers": answers}
    options = columns("record", item)["options"]
    assert Counter(options) == Counter(names) - Counter(answers[1:])
    row = tasks.load("record").task.read(columns("record", item))
    assert not isinstance(row, Row) or row.options[row.answer] == answers[0]
    assert isinstance(row, Row) or len(options) == 1


WORD = st.text("abit", min_size=1, max_size=4)


@given(st.lists(WORD, min_size=1, max_size=8), st.sampled_from([" ", "  ", "\n"]), st.data())
def test_the_pronoun_at_its_place_is_marked(words: list[str], space: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(words) - 1))
    before, after = data.draw(st.sampled_from([("", ""), ("", ","), ('"', '."')]))
    pronoun = words[at]
    text = space.join([*words[:at], f"{before}{pronoun.upper()}{after}", *words[at + 1 :]])
    spans = {"span1_index": 0, "span1_text": words[0], "span2_index": at, "span2_text": pronoun}
    marked = columns("wsc", {"text": text, **spans, "label": 1})["text"]
    assert marked.split()[at] == f"{before}*{pronoun.upper()}*{after}"
    assert marked.replace("*", "") == text


def test_a_pronoun_that_the_text_does_not_have_marks_the_word_of_the_index() -> None:
    item = record("wsc", 1) | {"span2_text": "theyscold"}
    assert "knew *it,* that" in columns("wsc", item)["text"]


# Families and guides.


def test_tasks_of_a_family_can_be_scored_on_each_other() -> None:
    families: dict[str, list[Source]] = {}
    for name in tasks.names():
        families.setdefault(tasks.load(name).family, []).append(tasks.load(name))
    assert {source.task.name for source in families["nli_2"]} == {"axg", "rte"}
    assert all(len(families[tasks.load(name).family]) == 1 for name in ("cb", "copa", "record", "wic", "wsc"))
    for family in families.values():
        for one, other in combinations(family, 2):
            sources.same_task(sources.Rows(one.task.name, one.task, [], "human"), other.task)


@pytest.mark.parametrize("name", EIGHT)
def test_a_guide_fits_its_task(name: str) -> None:
    source = tasks.load(name)
    task, guide = source.task, source.guide
    assert guide is not None and Guide.from_json(json.loads(json.dumps(guide.to_json()))) == guide
    guide.check(task)
    assert list(guide.labels) == list(task.labels or ())
    assert all(guide.meaning(label) for label in task.labels or ())
    assert len({guide.meaning(label) for label in task.labels or ()}) == len(task.labels or ())
    assert guide.seed != Guide("").seed
    for texts in (guide.description, guide.seed, *guide.labels.values()):
        assert texts == " ".join(texts.split())
    for field, values in guide.draws.items():
        assert source.example[field] in values
    assert set(guide.draws) == ({"question"} if name == "copa" else set())


# The benchmark's own files.

LOCAL = {"cb": (218, 56), "copa": (368, 100), "rte": (2490, 277), "wsc": (554, 104)}


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def files(shared: Path, name: str) -> dict[str, list[Any]]:
    folder = shared / "superglue" / name
    return {"train": lines(folder / "train.jsonl"), "validation": lines(folder / "val.jsonl")}


def as_on_the_hub(name: str, item: dict[str, Any]) -> dict[str, Any]:
    """A record of the benchmark's files as the Hub has it: flat, and its label a number."""
    flat = {key: value for key, value in item.items() if key != "target"} | item.get("target", {})
    return flat | {"label": LABELS[name].index(str(item["label"])) if name in LABELS else item["label"]}


@pytest.mark.parametrize("name", LOCAL)
def test_every_row_of_the_files_reads(shared: Path, name: str) -> None:
    source = tasks.load(name)
    parts = load_local(source.task, shared / "superglue" / name)
    assert (len(parts["train"]), len(parts["validation"])) == LOCAL[name]
    for split, items in files(shared, name).items():
        for item, row in zip(items, parts[split], strict=True):
            answer = row.options[row.answer]
            if name == "copa":
                assert row.inputs == (clean(item["premise"]), item["question"])
                assert answer == clean(item[f"choice{item['label'] + 1}"]) and len(row.options) == 2
            elif name != "wsc":
                assert row.inputs == (clean(item["premise"]), clean(item["hypothesis"])) and answer == item["label"]
            else:
                assert answer == str(item["label"]) and row.inputs[0].replace("*", "") == clean(item["text"])
                assert fold(row.inputs[0].split("*")[1]) == fold(row.inputs[1]) == fold(item["target"]["span2_text"])


@pytest.mark.parametrize("name", LOCAL)
def test_the_hub_and_the_files_give_the_same_rows(shared: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    source = tasks.load(name)
    assert source.human is not None
    local = load_local(source.task, shared / "superglue" / name)
    hub = {split: [as_on_the_hub(name, item) for item in items] for split, items in files(shared, name).items()}
    splits = {"train": ("train", None), "test": ("validation", None)}
    human = source.human.__class__("x", source.human.columns, splits if name != "rte" else source.human.splits)
    parts = load_hub(source.task, human, lambda path, config, revision=None: hub)
    assert not caplog.records, "no row is refused"
    assert parts["test"] == local["validation"]
    if name != "rte":
        assert parts["train"] == local["train"]
        return
    # The whole of RTE is in the files: 30 rows of train have a premise of the test set.
    assert {split: len(rows) for split, rows in parts.items()} == {"train": 2211, "validation": 249, "test": 277}
    known = {fold(row.inputs[0]) for row in local["validation"]}
    left_out = [row for row in local["train"] if fold(row.inputs[0]) in known]
    assert len(left_out) == 30
    assert Counter(parts["train"] + parts["validation"] + left_out) == Counter(local["train"])


def test_an_index_that_is_off_by_a_word(shared: Path) -> None:
    """The one row of 658 whose index is of the word before the pronoun."""
    (item,) = [item for item in files(shared, "wsc")["validation"] if item["text"].startswith("When they had event")]
    assert item["text"].split()[item["target"]["span2_index"]] == "use"
    assert "want to use *it* , but" in columns("wsc", item)["text"]


def test_human_data_through_the_doors(shared: Path) -> None:
    folder = str(shared / "superglue" / "wsc")
    loaded = llm_created.load_dataset("wsc", "human", human_data=folder)
    assert {split: part.num_rows for split, part in loaded.items()} == {"train": 554, "validation": 104}
    assert loaded["train"][0]["text"].endswith("*He* should have been more skeptical.")
    rows = sources.load("wsc:validation", human_data=folder)
    assert [tasks.load("wsc").task.record(row) for row in rows.rows] == loaded["validation"].to_list()


# Local files that are made here.


def written(folder: Path, *items: Any, name: str = "train") -> Path:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items), "utf-8")
    return folder


@pytest.mark.parametrize("name", NEW)
def test_records_of_the_hub_may_stand_in_local_files(name: str, tmp_path: Path) -> None:
    items = [record(name, at) for at in range(6)]
    task = tasks.load(name).task
    own = [task.example(read(name, item)) for item in items]
    rows = load_local(task, written(tmp_path, *items, *own))["train"]
    assert rows[:6] == rows[6:] == [read(name, item) for item in items]


@pytest.mark.parametrize("name", [name for name in NEW if name != "axg"])
def test_a_hidden_label_in_a_local_file_is_named(name: str, tmp_path: Path) -> None:
    written(tmp_path, record(name, 0), record(name, 1, hidden=True))
    with pytest.raises(UsageError, match=r"train\.jsonl, line 2: .*or its label is hidden.*: correct or delete it"):
        load_local(tasks.load(name).task, tmp_path)


@pytest.mark.parametrize(
    ("name", "item", "said"),
    [
        ("rte", {"premise": "p", "hypothesis": "h", "label": "maybe"}, "answer_not_in_options"),
        ("rte", {"premise": "p", "hypothesis": "h", "label": 2}, "answer_not_in_options"),
        ("rte", {"premise": "p", "hypothesis": "", "label": 1}, "empty_field"),
        ("copa", {"premise": "p", "question": "cause", "options": ["a"], "answer": "a"}, "wrong_options"),
        ("copa", {"premise": "p", "question": "cause", "choice1": "a", "choice2": "A", "label": 0}, "wrong_options"),
        ("copa", {"premise": "p", "choice1": "a", "choice2": "b", "label": 0}, "missing_field (question)"),
        ("wsc", {"text": "t", "label": True}, "missing_field"),
        ("wsc", {"text": "t", "target": [], "label": True}, "missing_field"),
        ("wsc", {"text": "t", "target": {"span2_text": "t", "span2_index": 9}, "label": True}, "missing_field"),
        ("wsc", {"text": 7, "target": {"span2_text": None, "span2_index": 0}, "label": True}, "missing_field"),
        ("record", {"query": "q", "passage": "p", "entities": 3, "answers": ["a"]}, "missing_field"),
        ("record", {"query": "q", "passage": "p", "entities": ["a", "b"], "answers": ["c"]}, "answer_not_in_options"),
        ("record", {"query": "q", "passage": "p", "entities": ["a", "b"], "answers": ["a", "b"]}, "wrong_options"),
    ],
)
def test_a_bad_line_is_named(name: str, item: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_local(tasks.load(name).task, written(tmp_path, item))
    assert said in str(caught.value) and "line 1: " in str(caught.value) and "\n" not in str(caught.value)


def test_a_task_of_ones_own_with_a_known_name_is_not_read_as_that(tmp_path: Path) -> None:
    task = Task("copa", ("premise",), num_options=2)
    with pytest.raises(UsageError, match="missing_field"):
        load_local(task, written(tmp_path, record("copa", 0)))
    assert len(load_local(tasks.load("copa").task, tmp_path)["train"]) == 1


def test_val_is_a_name_of_validation(tmp_path: Path) -> None:
    task = tasks.load("copa").task
    assert list(load_local(task, written(tmp_path, record("copa", 0), name="val"))) == ["validation"]
    written(tmp_path, record("copa", 0), name="dev")
    with pytest.raises(UsageError, match="once at most"):
        load_local(task, tmp_path)
