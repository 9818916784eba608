"""`llm-created fit`: a person's own rows in, a classifier out; killed and resumed, and what wrong rows get."""

from __future__ import annotations

import csv
import filecmp
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

import llm_created
from llm_created.cli.main import main
from llm_created.evaluation.scores import Score, difference, mcnemar, score
from llm_created.fitting import compare, verdict
from llm_created.fitting.compare import BOTH, CREATED, MINE, Arm, Compared, Gain
from llm_created.fitting.split import hold_out
from llm_created.tasks.task import Row, Task

pytest.importorskip("sklearn", reason="scikit-learn is not installed: llm-created[linear]")

SHOP = Task("shop", ("text",), "label", labels=("a", "b", "c"))
SAID = {"Größe, Maß": "how wide is", "退款": "请退款", "غير ذلك": "مرحبا"}


def write(name: str, rows: Sequence[Sequence[str]], head: Sequence[str] = ("id", "body", "class")) -> str:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return name


def mails(number: int, labelled: int) -> list[list[str]]:
    labels = list(SAID)
    return [
        [str(n), f"{SAID[labels[n % 3]]} thing number {n * n}", labels[n % 3] if n < labelled else ""]
        for n in range(number)
    ]


def row(text: str, label: str) -> Row:
    found = SHOP.read({"text": text, "label": label})
    assert isinstance(found, Row)
    return found


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


FIT = "fit mail.csv --text body --label class --model demo -n 60 --features tfidf --out mine"


def test_from_mails_to_labels_for_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    write("mail.csv", mails(60, 45))
    assert main(FIT.split()) == 0
    told = capsys.readouterr()
    assert "15 rows without a label" in told.err and "33 rows to learn from, 12 held out" not in told.err
    assert "llm-created predict mine new.csv" in told.out
    about = json.loads(Path("mine/fit.json").read_text("utf-8"))
    held = [json.loads(line) for line in Path("mine/held-out.jsonl").read_text("utf-8").splitlines()]
    arms = {(arm["name"], arm["created"]): arm for arm in about["arms"]}
    assert set(arms) == {(MINE, 0), *((name, size) for name in (CREATED, BOTH) for size in (15, 30, 60))}
    for name, key in ((MINE, (MINE, 0)), (BOTH, (BOTH, 60))):
        right = sum(one["class"] == one[f"said_by_{name}"] for one in held)
        assert arms[key]["score"]["correct"] == right and arms[key]["score"]["n"] == len(held)
    assert about["verdict"] in " ".join(told.out.split()) and f"{len(held)} held-out rows" in about["verdict"]
    assert about["verdict"] in Path("mine/README.md").read_text("utf-8")
    # Nothing that was held out is created.
    created = [json.loads(line)["body"] for line in Path("mine/created.jsonl").read_text("utf-8").splitlines()]
    assert len(created) == 60 and not {one["body"] for one in held} & set(created)
    assert main("predict mine mail.csv --out labelled.csv".split()) == 0
    with Path("labelled.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [one["label"] for one in found[45:]] == [list(SAID)[n % 3] for n in range(45, 60)]
    # Again: it is there.
    before = {path.name: path.stat().st_mtime_ns for path in Path("mine").iterdir()}
    assert main(FIT.split()) == 0
    assert "done before" in capsys.readouterr().out
    assert before == {path.name: path.stat().st_mtime_ns for path in Path("mine").iterdir()}
    # Another number of rows is another fit; nothing is bought twice.
    assert main(FIT.replace("60", "30").split()) == 2
    assert (
        "holds another fit (other rows, settings or numbers): give another folder, or --overwrite"
        in capsys.readouterr().err
    )
    assert main([*FIT.replace("60", "30").split(), "--overwrite"]) == 0
    assert "0 calls" not in capsys.readouterr().err


@pytest.mark.slow
def test_killed_at_any_moment_it_comes_to_the_same_folder(tmp_path: Path) -> None:
    write("mail.csv", mails(60, 45))
    assert main(FIT.replace("mine", "whole/mine").split()) == 0
    env = dict(os.environ) | {"LLM_CREATED_CACHE": str(tmp_path / "another")}
    program = [sys.executable, "-m", "llm_created", *FIT.split()]
    for until in (Path("mine/.fit").exists, lambda: len(list((tmp_path / "another").rglob("*"))) > 1):
        running = subprocess.Popen(program, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while running.poll() is None and not until():
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert subprocess.run(program, env=env, capture_output=True).returncode == 0
    names = sorted(path.name for path in Path("whole/mine").iterdir())
    assert names == sorted(path.name for path in Path("mine").iterdir())
    assert filecmp.cmpfiles("whole/mine", "mine", names, shallow=False) == (names, [], [])


@pytest.mark.slow
def test_an_encoder_in_place_of_a_linear_model(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("accelerate")
    import tiny

    Path("none").mkdir()
    write("mail.csv", mails(9, 9))
    assert main([*FIT.split(), "--encoder", "none"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("error: --encoder 'none': cannot load the tokenizer of 'none'"), told
    assert not Path("mine").exists()
    made = tiny.encoder(Path("tiny"))
    # The label is how the first word ends.
    rows = [[str(n), f"w{n % 60} w{n * 7 % 60} w{n // 60}", "even" if n % 2 == 0 else "odd"] for n in range(90)]
    write("mail.csv", rows)
    command = [*FIT.split(), "--encoder", made]
    assert main(command) == 0
    told = capsys.readouterr()
    assert "pipeline('text-classification', 'mine')" in told.out
    about = json.loads(Path("mine/fit.json").read_text("utf-8"))
    assert [arm["name"] for arm in about["arms"]] == [MINE, CREATED, BOTH]
    assert about["chosen"] in about["done"]["kept"] and not Path("mine/linear.json").exists()
    assert main("predict mine mail.csv --out labelled.jsonl".split()) == 0
    held = [json.loads(line) for line in Path("mine/held-out.jsonl").read_text("utf-8").splitlines()]
    said = llm_created.load_model("mine").predict([{"body": one["body"]} for one in held])
    assert [one["label"] for one in said] == [one[f"said_by_{about['chosen']}"] for one in held]
    assert main(command) == 0 and "done before" in capsys.readouterr().out


def test_a_cap_ends_the_rows_and_not_the_fit(capsys: pytest.CaptureFixture[str]) -> None:
    write("mail.csv", mails(45, 45))
    assert main([*FIT.split(), "--max-calls", "4"]) == 0
    told = capsys.readouterr()
    assert "the same command with a higher cap goes on" in told.err
    few = len(Path("mine/created.jsonl").read_text("utf-8").splitlines())
    assert 0 < few < 60
    assert main([*FIT.split(), "--max-calls", "400"]) == 0
    assert len(Path("mine/created.jsonl").read_text("utf-8").splitlines()) == 60


def test_rows_that_bring_their_options_and_a_test_file() -> None:
    things = ["a cup", "a pen", "a saw", "a bed", "a hat"]
    rows = [
        {"question": f"Which one is {thing[2:]} {n}?", "options": things[at // 4 :][:4], "label": thing}
        for n in range(8)
        for at, thing in enumerate(things)
    ]
    # As CommonsenseQA has them.
    rows[3] = rows[3] | {"options": ["a cup", "a cup", "a saw", "a bed"]}
    Path("rows.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows[:30]))
    Path("test.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows[28:]))
    assert main("fit rows.jsonl --test test.jsonl --model demo -n 20 --features tfidf --out pick".split()) == 0
    about = json.loads(Path("pick/fit.json").read_text("utf-8"))
    assert "2 rows of yours are among them, and left out" in about["rule"]
    assert about["arms"][0]["score"]["n"] == 12
    model = llm_created.load_model("pick")
    assert model.task.variable and model.predict([{"question": "Which one is saw?", "options": things}])[0]["label"]


def test_the_held_out_part_is_even_and_what_is_nearly_the_same_stands_on_one_side() -> None:
    rows = [
        row(f"text number {n} of label {label} {n * 7919}", label)
        for label, many in (("a", 40), ("b", 10), ("c", 1))
        for n in range(many)
    ]
    twins = [row(f"the quick brown fox jumps over the lazy dog, {n}", "a") for n in range(3)]
    found = hold_out([*rows, *twins], 0.3, 7, True)
    assert Counter(one.answer for one in found.held) in (Counter({0: 13, 1: 3}), Counter({0: 12, 1: 3}))
    assert len([one for one in found.held if one in twins]) in (0, 3) and found.together >= 3
    assert sorted([*found.mine, *found.held]) == sorted([*rows, *twins])
    assert hold_out([*rows, *twins], 0.3, 7, True) == found
    # One row more takes the place of one other at most.
    again = hold_out([*rows, *twins, row("something else altogether", "b")], 0.3, 7, True)
    assert len(set(again.held) ^ set(found.held)) <= 2
    assert (
        len(hold_out([row(f"{n} {n * 7919} {label}", label) for n in range(9000) for label in "a"], 0.5, 1, True).held)
        == 2000
    )


def figures(mine: Sequence[bool], both: Sequence[bool]) -> Compared:
    def arm(name: str, right: Sequence[bool], gain: Gain | None) -> Arm:
        said = [0 if one else 1 for one in right]
        return Arm(name, 40, 0 if name == MINE else 300, score(said, [0] * len(said)), said, gain)

    gain = Gain(*difference(both, mine), mcnemar(both, mine))
    return Compared([arm(MINE, mine, None), arm(BOTH, both, gain)])


def test_the_verdict_says_no_more_than_was_found() -> None:
    mine = [True] * 70 + [False] * 30
    better = [True] * 82 + [False] * 18
    said = verdict.sentence(figures(mine, better))
    assert said.startswith(
        "300 created rows added 12.0 points over your 40 alone (95 % interval 5 to 18): 82.0 % against 70.0 %"
    )
    assert "p < 0.001" in said and "can show no difference below 6 points" in said
    assert verdict.sentence(figures(better, mine)).startswith(
        "300 created rows cost 12.0 points against your 40 alone"
    )
    assert verdict.sentence(figures(mine[65:75], better[65:75])).startswith(
        "No difference is shown between your 40 alone"
    )
    few = verdict.sentence(figures([True, False], [True, True]))
    assert "2 held-out rows can show no difference at all" in few
    assert verdict.sentence(Compared([])) == "Nothing was held out, so whether created rows help is not known."


def test_what_more_labels_are_worth_is_told_where_the_curve_rises() -> None:
    assert compare.worth({10: 0.5, 20: 0.6, 40: 0.7}, 0.1) == (pytest.approx(0.1), 40)
    assert compare.worth({10: 0.5, 20: 0.6, 40: 0.7}, 0.3) == (pytest.approx(0.1), 0)
    assert compare.worth({10: 0.6, 20: 0.5, 40: 0.7}, 0.1) is None and compare.worth({}, 0.1) is None
    rising = figures([True] * 70 + [False] * 30, [True] * 82 + [False] * 18)
    found = Compared(rising.arms, {10: 0.46, 20: 0.58, 40: 0.70})
    assert (
        "About 40 more labels of yours would be worth as much: each doubling of your own labels added about 12.0"
        in verdict.sentence(found)
    )


def test_the_interval_of_a_difference_covers_what_is_true() -> None:
    from random import Random

    chance, covered = Random(1), 0
    for _ in range(400):
        pairs = [(chance.random() < 0.6, chance.random()) for _ in range(60)]
        first = [one if other < 0.8 else not one for one, other in pairs]
        _, low, high = difference(first, [one for one, _ in pairs])
        # Right by 0.6 * 0.8 + 0.4 * 0.2 = 0.56 against 0.6.
        covered += low <= -0.04 <= high
    assert 0.92 <= covered / 400 <= 0.99


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ([], [], "mail.csv holds no rows"),
        ([["1", "x", "a"], ["2", "y", "a"]], [], "is 'a' in every row: name all labels with --labels a,b,c"),
        ([["1", "x", "a"], ["2", "x", "b"]], [], "rows with the same inputs have different answers, rows 1 and 2"),
        (mails(9, 9), ["--label", "kind"], "--label 'kind' is no column"),
        (mails(9, 9), ["--text", "txt"], "--text 'txt' is no column"),
        (mails(9, 9), ["--test", "nothing.csv"], "--test 'nothing.csv': there is no file 'nothing.csv'"),
        (mails(9, 9), ["--share", "30"], "--share is a share of the rows, between 0 and 1, not 30"),
        (mails(9, 9), ["--out", "."], "--out '.' holds other files (mail.csv)"),
        (mails(9, 9), ["--features", "tfidf", "--embedding-model", "x"], "--embedding-model 'x' goes with --features"),
        (mails(9, 9), ["--model", "gpt-4o-mini"], "OPENAI_API_KEY"),
        (mails(9, 9), ["--leaks", "report"], "--leaks report: a row that repeats a held-out one is always left out"),
        (mails(9, 0), [], "no row has an answer in 'class'"),
    ],
)
def test_what_is_wrong_is_one_line(
    rows: list[list[str]], more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("mail.csv", rows)
    assert main(["fit", "mail.csv", "--text", "body", "--label", "class", "--model", "demo", "-n", "20", *more]) in (
        1,
        2,
    )
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("error: ") and said in told[-1], told
    assert sum(line.startswith("error") for line in told) == 1 and "Traceback" not in "".join(told)


def test_scores_are_those_of_the_models() -> None:
    rows = [row(f"{label} {label * 3} {n}", label) for label in "abc" for n in range(12)]
    from llm_created.models.choose import choose

    train = compare.linear(SHOP, choose("tfidf"))
    found = compare.arms(train, rows[::2], rows[1::4], rows[3::4], compare.sizes(len(rows[1::4])))
    assert [(arm.name, arm.mine, arm.created) for arm in found] == [(MINE, 18, 0), (CREATED, 0, 9), (BOTH, 18, 9)]
    assert isinstance(found[0].score, Score) and found[0].gain is None and found[2].gain is not None
    folds = compare.cross_validated(train, SHOP, rows[::2], rows[1::4])
    assert set(folds) == {MINE, CREATED, BOTH} and all(0 <= right <= 18 for right in folds.values())
    assert compare.chosen({MINE: 5, CREATED: 5, BOTH: 5}, 18, 9)[0] == BOTH
    assert compare.chosen({MINE: 6, CREATED: 7, BOTH: 5}, 18, 9)[0] == MINE
    assert compare.chosen({}, 5, 9)[0] == BOTH and compare.chosen({}, 5, 0)[0] == MINE
