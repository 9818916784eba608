"""The card: what it says is computed, what models wrote stays text, what people wrote stays."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile import HOSTILE, rendered
from hub import complaints

from llm_created import Identity, Journal, Row, ScriptedClient, Task, UsageError
from llm_created.analysis.agreement import judged_tables
from llm_created.analysis.funnel import funnel
from llm_created.checks.chosen import named
from llm_created.checks.judge import Judge
from llm_created.cli.commands import create as commands
from llm_created.cli.main import main, parser
from llm_created.creation import connect
from llm_created.creation.loop import create
from llm_created.evaluation.scores import score
from llm_created.reports import card, markdown
from llm_created.reports.describe import again
from llm_created.runs.folders import find, run_folder
from llm_created.runs.kept import kept_rows
from llm_created.runs.settings import Settings
from llm_created.tasks.builtin import load
from llm_created.tasks.guide import Guide

GOLDEN = Path(__file__).parents[1] / "golden"


def made(
    identity: Identity, reply: Callable[[Any], str], num_rows: int, judges: Sequence[Judge] = (), **checks: Any
) -> list[Row]:
    """Rows of a run whose journal is in the cache."""

    async def run(journal: Journal) -> list[Row]:
        async with aclosing(create(identity, ScriptedClient(reply), journal, num_rows, judges=judges)) as rows:
            return [row async for row in rows]

    with Journal(run_folder(identity.digest), identity.as_json) as journal:
        journal.set("target", num_rows)
        journal.set("task", identity.task.to_json())
        journal.set("emission", checks)
        rows = asyncio.run(run(journal))
        journal.flush()
        return rows


def written(identity: Identity, options: card.Options = card.Options(), **more: Any) -> str:  # noqa: B008, RUF100
    with Journal(run_folder(identity.digest)) as journal:
        task = Task.from_json(journal.get("task"))
        rows = list(kept_rows(journal, task))
        found = card.facts(journal, task, rows, options) | {"with_journal": False} | more
        return card.write("", card.head({}, task, found["config"], "x", options), found, "me/x", {found["config"]: 1})


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("csqa", "csqa"),
        ("creak", "creak"),
        ("rte-targen", "rte --method targen --verify 3"),
        ("agnews-attrprompt", "agnews --method attrprompt"),
        ("sst2-balance", "sst2 --balance --self-correct relabel"),
    ],
)
def test_the_card_of_a_demo_run_is_the_golden_one(name: str, line: str, tmp_path: Path) -> None:
    words = ["create", *line.split(), "--model", "demo", "-n", "60", "--out", str(tmp_path / "rows")]
    assert main([*words, "--language", "en", "--license", "cc-by-4.0"]) == 0
    text = (tmp_path / "rows" / "README.md").read_text("utf-8")
    assert not list(complaints(text, "dataset"))
    text = re.sub(r"begun on \d{4}-\d\d-\d\d", "begun on DAY", text)
    text = re.sub(r"llm-created \d+\.\d+\.\d+", "llm-created VERSION", text)
    golden = GOLDEN / f"card-{name}-60.md"
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("card-*.md")), ids=lambda path: path.stem)
def test_every_table_of_a_golden_card_is_read_as_one(golden: Path) -> None:
    _, text = markdown.split(golden.read_text("utf-8"), "")
    page = rendered(text)
    assert [tag for tag, _ in page.tags].count("table") == len(re.findall(r"^\|(?:-+:?\|)+$", text, re.MULTILINE))
    # What a reader shows of a table has no bars left, and every line of it as many cells as its head.
    shown = pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert not re.search(r"\|\s*-{3}", shown)
    for found in re.findall(r"<table>.*?</table>", shown, re.DOTALL):
        lines = re.findall(r"<tr>(.*?)</tr>", found, re.DOTALL)
        assert len({len(re.findall(r"<t[hd]", line)) for line in lines}) == 1
        # markdown-it fills up what is missing: cells that should hold something do.
        assert all("<td></td>" not in line and '"></td>' not in line for line in lines), found


def test_every_figure_is_that_of_the_journal(tmp_path: Path) -> None:
    assert main(["create", "creak", "--model", "demo", "-n", "70", "--out", str(tmp_path / "rows")]) == 0
    text = (tmp_path / "rows" / "README.md").read_text("utf-8")
    with find(str(tmp_path / "rows")).open() as journal:
        count, spent = funnel(journal), journal.spent()
    for code, number in count.reasons.items():
        assert f"| {code} | {number} |" in text
    for stage in ("asked", "parsed", "valid", "unique", "kept"):
        assert f"| {card._STAGES[stage]} | {getattr(count, stage):,} |" in text
    for at, label in enumerate(("True", "False")):
        assert f"| {label} | {count.answers[at]} | {count.answers[at] / count.kept:.1%} |" in text
    for depth, number in count.depths.items():
        assert re.search(rf"^\| {depth} \| {number} \| 0\.\d", text, re.MULTILINE)
    assert f"{spent.calls} calls, {spent.prompt_tokens:,} prompt and {spent.completion_tokens:,} completion" in text


def judged_by(words: Sequence[str]) -> Callable[[Any], str]:
    """Rows of a fixed label space, and judges: one is against every third of them, the blind one also every fifth."""
    made = iter(range(10**6))

    def reply(request: Any) -> str:
        system, user = request.messages[0]["content"], request.messages[-1]["content"]
        if "Recheck" in system or "without its answer" in system:
            row = json.loads(user)
            number, at = map(int, row["text"].split()[1:])
            at += (number % 3 == 0) + (number % 5 == 0) * ("Recheck" not in system)
            return json.dumps({"explanation": HOSTILE[0], "answer": words[at % len(words)]})
        number = next(made)
        wanted = re.search(r'"answer" \*\*must\*\* be (".*")\.', user)
        label = json.loads(wanted[1]) if wanted else words[number % len(words)]
        return json.dumps({"text": f"row {number} {words.index(label)}", "options": list(words), "answer": label})

    return reply


def test_every_figure_on_judges_is_that_of_the_journal() -> None:
    task = Task("judged", ("text",), labels=("a", "b", "c"))
    identity = Identity(task, None, "m", "Write.", "simprompt", guide=Guide("A letter."))
    judges = [Judge(task, "self_correct", 1, "relabel"), Judge(task, "verify", 3, "keep")]
    checks = {"self_correct": "relabel", "verify": 3, "verify_rule": "keep"}
    rows = made(identity, judged_by(task.labels or ()), 30, judges, **checks)
    text = written(identity)
    with Journal(run_folder(identity.digest)) as journal:
        tables = judged_tables(journal, task)
    assert len(rows) == 30 and [one.kind for one in tables] == ["self_correct", "verify"]
    for one in tables:
        assert f"{one.said().capitalize()}." in text and 0 < one.agreed < one.n
        for name, counts in zip(one.given, one.counts, strict=True):
            assert f"| {name} | {' | '.join(map(str, counts))} |" in text
    assert f"On {tables[1].unanimous} rows all votes were the same." in text
    assert "| self-correction | one call sees the answer and rechecks it: a row gets the answer" in text
    assert (
        "| verification | 3 blind votes on the answer, more than half of which decide: every row stays as it is |"
        in text
    )
    assert "Drift" not in text and "No formatting example was shown." in text


def test_of_many_labels_the_pairs_that_differ_are_shown() -> None:
    labels = tuple(f"label {at}" for at in range(26))
    task = Task("many", ("text",), labels=labels)
    identity = Identity(task, None, "m", "Write.", "simprompt", guide=Guide("A label."))
    made(identity, judged_by(labels), 160, [Judge(task, "self_correct", 1, "keep")], self_correct="keep")
    text = written(identity)
    assert "| given | judged | rows |\n|---|---|---:|\n| label" in text and "| given ↓ judged → |" not in text
    assert re.search(r"So often the label given and the one judged differ; \d+ rarer pairs are left out\.", text)


def test_labels_and_words_that_are_markup_stay_text_beside_judges() -> None:
    labels = ("a | b", "<b>bold</b>", "`*` [x](javascript:alert(1))")
    task = Task("odd", ("text",), labels=labels)
    guide = Guide(HOSTILE[1], labels=dict.fromkeys(labels, HOSTILE[2]))
    attributes = {HOSTILE[0]: [HOSTILE[1], "b"], "k": {"per_label": HOSTILE[3]}}
    identity = Identity(task, None, HOSTILE[0], "Write.", "attrprompt", guide=guide, attributes=attributes)

    def reply(request: Any) -> str:
        return "1. one\n2. two" if '{"items": [' in request.messages[0]["content"] else rows(request)

    rows = judged_by(labels)
    judges = [Judge(task, "self_correct", 1, "drop")]
    made(identity, reply, 9, judges, self_correct="drop", filter=HOSTILE[0], check_against=[HOSTILE[1]])
    whole = written(identity)
    _, text = markdown.split(whole, "")
    assert {tag for tag, _ in rendered(text).tags} <= set(
        "h1 h2 h3 p pre code table thead tbody tr th td ul li strong a".split()
    )
    links = [dict(attributes).get("href") for tag, attributes in rendered(text).tags if tag == "a"]
    assert links == ["https://arxiv.org/abs/2306.15895"]
    for found in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in found.splitlines()}) == 1


def test_leaks_that_were_looked_for_are_told() -> None:
    task = Task("judged", ("text",), labels=("a", "b"))
    identity = Identity(task, None, "m", "Write.", "simprompt", guide=Guide("A letter."))
    made(identity, judged_by(("a", "b")), 6, check_against=["csqa:test"], leaks="report")
    with Journal(run_folder(identity.digest), identity.as_json) as journal:
        journal.set("leaks", [["0" * 16, "the same as row 1 of csqa:test"]])
    assert "Overlap with known test sets: 1 of 6 rows repeat one of csqa:test, and stay." in written(identity)


def test_what_models_wrote_is_text() -> None:
    task = Task("hostile", ("question",))
    example = {"question": "Which?", "options": ["a", "b"], "answer": "a"}
    identity = Identity(task, example, "m", "Write.", num_examples=len(HOSTILE))

    def reply(request: Any) -> str:
        rows = ({"question": one, "options": [one + "1", one + "2"], "answer": one + "1"} for one in HOSTILE)
        return "\n".join(map(json.dumps, rows))

    rows = made(identity, reply, len(HOSTILE))
    assert len(rows) == len(HOSTILE)
    # A sample shows three, so each is shown in turn.
    shown: list[str] = []
    for at in range(len(rows)):
        with Journal(run_folder(identity.digest)) as journal:
            found = card.facts(journal, task, rows[at : at + 1], card.Options()) | {"with_journal": False}
        whole = card.write("", card.head({}, task, "tree", "x", card.Options()), found, "me/x", {"tree": 1})
        assert "<script" not in whole and "<img" not in whole
        assert not list(complaints(whole, "dataset"))
        head, text = markdown.split(whole, "me/x")
        assert "license" not in head
        page = rendered(text)
        assert {tag for tag, _ in page.tags} <= set(
            "h1 h2 h3 p pre code table thead tbody tr th td ul li strong".split()
        )
        assert text.count("<!-- end of tree -->") == 1
        assert "\u202e" not in whole
        shown += [piece for piece in page.pre if "question" in piece]
    texts = [json.loads(piece) for piece in shown if piece.strip().startswith("{")]
    for row in rows:
        assert task.example(row) in texts


def test_labels_fields_and_models_that_are_markup_break_neither_head_nor_tables() -> None:
    labels = ("a | b", "c\n---\nd", "- x: 'y' # z", "<b>bold</b>", "*", "null")
    task = Task("<i>odd</i>", ("que|stion",), labels=labels)
    example = {"que|stion": "Which?", "answer": labels[0]}
    identity = Identity(
        task, example, "<script>m</script> [x](y)", "Say `this`\n\n# and\n\n<b>that</b>", num_examples=1
    )
    made(identity, lambda request: json.dumps({"que|stion": "What?", "options": labels, "answer": labels[1]}), 1)
    whole = written(identity)
    head, text = markdown.split(whole, "me/x")
    assert head["configs"] == [{"config_name": "tree", "data_files": "x"}]
    assert markdown.join(head, text) == whole
    page = rendered(text)
    tables = [tag for tag, _ in page.tags if tag == "table"]
    assert len(tables) == 7
    assert not {"script", "i", "b", "a", "em"} & {tag for tag, _ in page.tags}
    assert "Say `this`\n\n# and\n\n<b>that</b>" in page.pre[1]


@pytest.mark.parametrize(
    "line",
    [
        "csqa --model demo -n 7",
        "creak --model gpt-4o-mini --strategy random --chains 3 --seed 7 --temperature 0.5 --top-p 0.9 -n 9",
        "boolq --model demo --strategy contrastive --num-examples 3 --embedding-model some/model -n 5",
        "csqa --model demo --paper --seed-example own -n 5",
        "csqa --model demo --seed-example human --human-data FOLDER -n 5",
        "csqa --model demo --paper --human-data FOLDER --strategy naive --seed 3 -n 5",
        "--example task.json --model demo -n 5",
        "csqa --model demo --instruction-extra FILE -n 5",
        "rte --method targen --contexts 7 --num-examples 3 --model demo -n 5",
        "agnews --method attrprompt --model demo --seed 3 -n 5",
        "agnews --method simprompt --instruction-extra FILE --model demo -n 5",
        "rte --method targen --self-correct off --model demo -n 5",
        "creak --balance --verify 3 --verify-rule keep --near-duplicates 0.9 --model demo -n 5",
        pytest.param(
            "creak --method simprompt --model local:some/model --verify likelihood --verify-rule relabel -n 5",
            marks=pytest.mark.skipif(find_spec("llguidance") is None, reason="needs the extra local"),
        ),
    ],
)
def test_the_command_that_makes_it_again_defines_the_same_run(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0")
    monkeypatch.setattr(connect, "_local_ready", lambda settings, identity: None)  # which loads the model
    (tmp_path / "FOLDER").mkdir()
    rows = ({"question": f"Q{n}?", "options": list("abcde"), "label": "c"} for n in range(9))
    (tmp_path / "FOLDER" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (tmp_path / "FILE").write_text("Be kind.", "utf-8")
    own = {"question": "Q?", "options": ["x", "y"], "answer": "y", "inputs": 0}
    own_task = Task("mine", ("question",), num_options=2)
    (tmp_path / "task.json").write_text(json.dumps(own_task.to_json() | {"example": own}), "utf-8")

    def run(words: list[str]) -> tuple[Settings, Identity]:
        return commands._run_of(parser()[0].parse_args(["create", *words]))[:2]

    settings, first = run(shlex.split(line))
    task = first.task if "task.json" not in line else own_task
    provider = "OpenAI" if "gpt" in line else "another"
    said = again(json.loads(json.dumps(first.as_json)), task, 5, first.seed_from, named(settings, first), provider)
    program, command, *words = shlex.split(said)
    assert (program, command) == ("llm-created", "create")
    assert run(words)[1].digest == first.digest
    assert named(*run(words)) == named(settings, first)


def test_a_row_of_people_is_cited_and_shown_only_where_that_is_allowed() -> None:
    task = load("csqa").task
    example = {"question": "A secret of people?", "options": list("abcde"), "answer": "a"}
    identity = Identity(task, example, "m", "Write.", num_examples=1)
    made(identity, lambda request: json.dumps({"question": "Q", "options": list("vwxyz"), "answer": "v"}), 1)
    place = {"dataset": "tau/commonsense_qa", "split": "train", "index": 17, "id": identity.seed_row.id, "seed": 42}
    with Journal(run_folder(identity.digest), identity.as_json) as journal:
        journal.set("seed_from", place)
    hidden, shown = written(identity), written(identity, card.Options(shows_seed=True))
    for text in (hidden, shown):
        assert (
            f"row 17 (from 0) of the split\ntrain of tau/commonsense_qa, as this library cuts it; id {place['id']}"
            in text
        )
    assert "A secret of people?" not in hidden
    assert "A secret of people?" in shown


def test_overlap_is_told_where_it_was_checked(tmp_path: Path) -> None:
    identity = Identity(load("csqa").task, load("csqa").example, "m", "Write.", num_examples=1)
    made(identity, lambda request: json.dumps({"question": "Q", "options": list("vwxyz"), "answer": "v"}), 1)
    assert "Overlap with known test sets was not checked." in written(identity)
    scores = {
        "csqa:test": score([0] * 1241, [0] * 1241).to_json() | {"leaked": 3},
        "piqa:test": score([0], [0]).to_json(),
    }
    result = {
        "task": "csqa", "train_set": "tree", "model": "m", "creation_seed": "1", "seed": 0,
        "train": {"sources": [{"run": identity.digest}]}, "scores": scores,
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(result), "utf-8")
    text = written(identity, card.Options(overlap=str(tmp_path)))
    assert "| csqa:test | 1,241 | 3 |" in text
    assert "piqa:test" not in text


def test_a_card_beside_rows_keeps_what_people_wrote_and_grows_with_them(tmp_path: Path) -> None:
    import datasets

    line = ["create", "creak", "--model", "demo", "--out", str(tmp_path / "rows"), "--format", "jsonl", "-n"]
    assert main([*line, "20"]) == 0
    readme = tmp_path / "rows" / "README.md"
    head, text = markdown.split(readme.read_text("utf-8"), "")
    assert head["configs"] == [{"config_name": "tree", "data_files": "train.jsonl"}]
    readme.write_text(markdown.join(head | {"license": "mit", "mine": [1]}, "Hello.\n\n" + text + "\nBye."), "utf-8")
    assert main([*line, "30"]) == 0
    head, text = markdown.split(readme.read_text("utf-8"), "")
    assert (head["license"], head["mine"]) == ("mit", [1])
    assert text.strip().startswith("Hello.") and text.strip().endswith("Bye.")
    assert "30 of 30 rows wanted" in text and "20 of 20" not in text
    assert datasets.load_dataset(str(tmp_path / "rows"), "tree", cache_dir=str(tmp_path / "c"))["train"].num_rows == 30


def test_a_head_that_is_broken_is_told_and_not_thrown_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["create", "creak", "--model", "demo", "--out", str(tmp_path / "rows"), "-n", "20"]
    assert main(line) == 0
    broken = "---\na: [1\n---\nmine"
    (tmp_path / "rows" / "README.md").write_text(broken, "utf-8")
    capsys.readouterr()
    assert main(line) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"error: .*rows: the head of its README.md is no YAML \(.*\)", error)
    assert (tmp_path / "rows" / "README.md").read_text("utf-8") == broken


@pytest.mark.parametrize("text", ["", "no head", "---\nnot closed", "text\n---\na: 1\n---\n"])
def test_a_text_without_a_head_is_all_text(text: str) -> None:
    assert markdown.split(text, "x") == ({}, text)


def test_a_head_that_is_a_list_is_refused() -> None:
    with pytest.raises(UsageError, match="me/x: the head of its README.md is no YAML object, but list"):
        markdown.split("---\n- a\n---\n", "me/x")


def test_task_categories_are_those_of_the_hub() -> None:
    assert card.categories(load("csqa").task) == ["multiple-choice", "question-answering"]
    assert card.categories(Task("t", ("text",), labels=("a", "b"))) == ["text-classification"]
    sizes = [card.size(n) for n in (1, 999, 1_000, 99_999, 100_000, 5_000_000)]
    assert sizes == ["n<1K", "n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M"]
    assert not list(complaints(markdown.join({"size_categories": sizes}, ""), "dataset"))
    assert yaml.safe_load("a: 1") == {"a": 1}
