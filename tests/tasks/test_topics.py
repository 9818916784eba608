"""AttrPrompt's tasks: their builders, their guides, and the values that its authors were given."""

from __future__ import annotations

import csv
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import datasets
import pytest

import llm_created
from llm_created import Guide, Row
from llm_created.data import sources
from llm_created.data.human_rows import load_hub, load_local
from llm_created.errors import RunFailed, UsageError
from llm_created.methods.attributes import dimensions
from llm_created.prompts.lists import read_list
from llm_created.tasks import builtin as tasks
from llm_created.utils.text import fold

ROOT = Path(__file__).parents[2]
NAMES = ("agnews", "sst2", "yelp", "nyt", "amazon")
# The Hub's dataset, rows in each of its splits (fewer than there are), and rows in each of ours.
CUTS: dict[str, tuple[str, dict[str, int], dict[str, int]]] = {
    "agnews": (
        "fancyzhx/ag_news",
        {"train": 9_000, "test": 760},
        {"train": 1_400, "validation": 7_600, "test": 760},
    ),
    "sst2": (
        "stanfordnlp/sst2",
        {"train": 7_000, "validation": 872, "test": 1_821},
        {"train": 265, "validation": 6_735, "test": 872},
    ),
    "yelp": (
        "fancyzhx/yelp_polarity",
        {"train": 39_000, "test": 380},
        {"train": 1_000, "validation": 38_000, "test": 380},
    ),
    "nyt": ("yyu/nyt-attrprompt", sizes := {"train": 900, "validation": 100, "test": 115}, sizes),
    "amazon": ("yyu/amazon-attrprompt", sizes := {"train": 1_380, "validation": 150, "test": 110}, sizes),
}
DIMENSIONS = {
    "agnews": {"subtopic", "length", "style", "location"},
    "sst2": {"genre", "subtopic", "length", "style"},
    "yelp": {"cuisine", "subtopic", "length", "style"},
    "nyt": {"subtopic", "length", "style", "location"},
    "amazon": {"product", "brand", "experience", "length", "style"},
}
PER_LABEL = {name: {"product", "brand"} if name == "amazon" else {"subtopic"} for name in NAMES}
# Where the authors' values for each label are.
VALUES = {
    "agnews": "agnews/attrprompt/gpt-3.5-turbo/subtopics",
    "sst2": "sst-2/attrprompt/gpt-3.5-turbo/subtopics",
    "yelp": "yelp/attrprompt/gpt-3.5-turbo/subtopics",
    "nyt": "nyt/attrprompt/gpt-3.5-turbo/subtopics_filter",
    "amazon": "amazon/attrprompt/gpt-3.5-turbo/product_name",
}


def labels(name: str) -> tuple[str, ...]:
    return tasks.load(name).task.labels or ()


def record(name: str, text: str, label: int) -> dict[str, Any]:
    """One record in the shape of the Hub's dataset for this task."""
    if name == "sst2":
        return {"idx": 7, "sentence": f"{text} ", "label": label}
    return {"text": text, "label": label} if name in ("agnews", "yelp") else {"_id": label, "text": text}


def columns(name: str, item: dict[str, Any]) -> Any:
    human = tasks.load(name).human
    assert human is not None
    return human.columns(item)


def cut(name: str, splits: Any, calls: list[Any] | None = None) -> dict[str, list[Row]]:
    """The task's human rows where the Hub has these splits."""
    source = tasks.load(name)
    assert source.human is not None

    def load(*what: Any, **more: Any) -> Any:
        if calls is not None:
            calls.append((*what, more))
        return splits

    return load_hub(source.task, source.human, load)


# Builders.


@pytest.mark.parametrize("name", NAMES)
def test_a_builder_file_is_short_and_opens_with_a_row(name: str) -> None:
    source = tasks.load(name)
    text = (ROOT / "builders" / f"{name}.py").read_text(encoding="utf-8")
    assert source.task.name == name and source.task.inputs == ("text",) and len(text.splitlines()) <= 60
    shown, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    own, real = source.task.read(source.example), source.task.read(shown)
    assert isinstance(own, Row) and isinstance(real, Row) and own.key != real.key
    assert "arXiv:2306.15895" in text.partition("\nfrom ")[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_cut(name: str) -> None:
    path, hub, ours = CUTS[name]
    classes = len(labels(name))
    splits: dict[str, list[dict[str, Any]]] = {}
    for split, size in hub.items():
        hidden = (name, split) == ("sst2", "test")
        splits[split] = [record(name, f"{split} text {at}", -1 if hidden else at % classes) for at in range(size)]
    # One row of train stands in the test set, too.
    splits["validation" if name == "sst2" else "test"][0] = splits["train"][-1]
    calls: list[Any] = []
    parts = cut(name, splits, calls)
    assert calls == [(path, None, {"revision": None})]
    assert {split: len(rows) for split, rows in parts.items()} == ours | {"train": ours["train"] - 1}
    seen = [{fold(row.inputs[0]) for row in rows} for rows in parts.values()]
    assert all(not one & other for one, other in combinations(seen, 2))
    assert {row.answer for row in parts["test"]} == set(range(classes))


@pytest.mark.parametrize(
    "name, item, text, answer",
    [
        ("agnews", {"text": "Wall St. A band\\of bulls", "label": 2}, "Wall St. A band of bulls", "Business"),
        ("agnews", {"text": "Chip", "label": 3}, "Chip", "Sci/Tech"),
        ("sst2", {"idx": 0, "sentence": "well-conceived ", "label": 1}, "well-conceived", "positive"),
        ("yelp", {"text": "Bad.\\n\\nVery bad.", "label": 0}, "Bad.\n\nVery bad.", "negative"),
        ("nyt", {"_id": 2, "text": "Premiums rise."}, "Premiums rise.", "the affordable care act"),
        ("nyt", {"_id": 25, "text": "They won."}, "They won.", "soccer"),
        ("amazon", {"_id": 1, "text": "Sharp lens"}, "Sharp lens", "camera photo"),
        ("amazon", {"_id": 22, "text": "It ticks"}, "It ticks", "jewelry and watches"),
    ],
)  # fmt: skip
def test_a_row_of_each(name: str, item: dict[str, Any], text: str, answer: str) -> None:
    row = tasks.load(name).task.read(columns(name, item))
    assert isinstance(row, Row) and row.inputs == (text,) and row.options[row.answer] == answer


def test_hidden_labels() -> None:
    assert columns("sst2", record("sst2", "uneasy mishmash", -1)) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("label", [99, "3", [3], None])
def test_a_label_that_is_none_of_the_tasks_is_an_error(name: str, label: Any) -> None:
    splits = {split: [record(name, "a text", label)] for split in ("train", "validation", "test")}
    with pytest.raises(RunFailed, match=r"other columns than expected.*give local JSON-lines files instead"):
        cut(name, splits)


@pytest.mark.parametrize("name", ["nyt", "amazon"])
def test_the_files_of_the_authors_repositories_are_found(name: str, tmp_path: Path) -> None:
    """The repository holds other files beside the three splits; `datasets` finds these by their names."""
    for at, stem in enumerate(("train", "valid", "test", "simprompt", "attrprompt-v1", "regen", "progen")):
        lines = [record(name, f"{stem} {number}", at) for number in range(at + 1)]
        (tmp_path / f"{stem}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "label.txt").write_text("\n".join(labels(name)))
    parts = cut(name, datasets.load_dataset(str(tmp_path)))
    assert {split: [row.inputs[0] for row in rows] for split, rows in parts.items()} == {
        "train": ["train 0"],
        "validation": ["valid 0", "valid 1"],
        "test": ["test 0", "test 1", "test 2"],
    }


@pytest.mark.parametrize("name", NAMES)
def test_local_files_may_hold_the_hubs_records_or_the_tasks_own(name: str, tmp_path: Path) -> None:
    source = tasks.load(name)
    hubs = record(name, "a text", 1)
    own = {"text": "another text", "label": labels(name)[1]}
    (tmp_path / "train.jsonl").write_text(f"{json.dumps(hubs)}\n{json.dumps(own)}\n")
    rows = load_local(source.task, tmp_path)["train"]
    assert [(row.inputs[0], row.answer) for row in rows] == [("a text", 1), ("another text", 1)]
    (tmp_path / "train.jsonl").write_text(json.dumps(own | {"label": "other"}) + "\n")
    with pytest.raises(UsageError, match=r"train\.jsonl, line 1: answer_not_in_options"):
        load_local(source.task, tmp_path)


def test_sst2_and_yelp_can_be_scored_on_each_other_and_the_topics_on_themselves() -> None:
    sst2, yelp = tasks.load("sst2"), tasks.load("yelp")
    assert sst2.family == yelp.family == "sentiment" and sst2.task.labels == yelp.task.labels
    sources.same_task(sources.Rows("yelp:test", yelp.task, [], "human"), sst2.task)
    families = [tasks.load(name).family for name in tasks.names()]
    for name in ("agnews", "nyt", "amazon"):
        assert families.count(tasks.load(name).family) == 1
        with pytest.raises(UsageError, match="expected the fields text and labels"):
            sources.same_task(sources.Rows(f"{name}:test", tasks.load(name).task, [], "human"), sst2.task)


def test_human_data_through_the_doors(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(
        "".join(json.dumps(record("nyt", f"text {at}", at)) + "\n" for at in range(26))
    )
    loaded = llm_created.load_dataset("nyt", "human", human_data=str(tmp_path))
    assert loaded["test"].features["answer"].names == list(labels("nyt"))
    assert loaded["test"]["answer"] == list(range(26))
    rows = sources.load("nyt:test", human_data=str(tmp_path))
    assert [rows.task.record(row) for row in rows.rows] == loaded["test"].to_list()


# Guides.


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_fits_its_task(name: str) -> None:
    source = tasks.load(name)
    task, guide = source.task, source.guide
    assert guide is not None and Guide.from_json(json.loads(json.dumps(guide.to_json()))) == guide
    guide.check(task)
    meanings = [guide.meaning(label) for label in labels(name)]
    assert all(meanings) or len(meanings) > 20, "where there are few labels, each is explained"
    assert len(set(filter(None, meanings))) == len(guide.labels) >= 2
    assert guide.seed != Guide("").seed and re.match(r"(a|an|the) \w", guide.source)
    for text in (guide.description, guide.seed, guide.source, *guide.labels.values()):
        assert text == " ".join(text.split())
    assert not guide.draws


@pytest.mark.parametrize("name", NAMES)
def test_the_attributes_are_those_of_the_paper(name: str) -> None:
    source = tasks.load(name)
    assert source.guide is not None
    found = {one.name: one for one in dimensions(source.guide.attributes, source.task)}
    assert set(found) == DIMENSIONS[name]
    assert {key for key, one in found.items() if one.per_label} == PER_LABEL[name]
    for one in found.values():
        assert bool(one.about) != bool(one.values)
        assert one.about or len(one.values) >= 2
    assert all(re.fullmatch(r"\d+ to \d+ words", value) for value in found["length"].values)


# The authors' lists, and a benchmark's own files.


@pytest.mark.parametrize("name", NAMES)
def test_the_labels_are_the_authors_in_their_order(name: str, shared: Path) -> None:
    folder = {"sst2": "sst-2"}.get(name, name)
    theirs = read_list((shared / "attribute_replies" / folder / "label.txt").read_text("utf-8"))
    assert isinstance(theirs, list)
    assert [label.replace("/", " ") for label in labels(name)] == [label.replace("_", " ") for label in theirs]


@pytest.mark.parametrize("name", NAMES)
def test_the_authors_values_for_each_label_are_a_dimension(name: str, shared: Path) -> None:
    folder = shared / "attribute_replies" / VALUES[name]
    values = {
        label: read_list((folder / f"{re.sub('[ /]', '_', label).lower()}.jsonl").read_text("utf-8"))
        for label in labels(name)
    }
    assert all(isinstance(some, list) and len(some) >= 6 for some in values.values())
    (one,) = dimensions({"subtopic": values}, tasks.load(name).task)
    assert one.per_label and all(one.given(label) == tuple(values[label]) for label in labels(name))


def test_the_phrases_of_sst2_read_as_records_of_the_hub(shared: Path, tmp_path: Path) -> None:
    """They are tab-separated: JSON lines of the same columns are what `--human-data` takes."""
    with (shared / "glue" / "sst2" / "dev.tsv").open(encoding="utf-8", newline="") as file:
        items = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    with (tmp_path / "dev.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(item | {"label": int(item["label"])}) + "\n" for item in items)
    rows = load_local(tasks.load("sst2").task, tmp_path)["validation"]
    assert len(rows) == 6_735
    assert [row.answer for row in rows] == [int(item["label"]) for item in items]
    assert rows[0].inputs == ("the expressive power of the camera",) and rows[0].options[1] == "positive"
