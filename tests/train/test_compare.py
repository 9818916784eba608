"""Paired tests, spread over seeds and probes, against values computed by hand."""

from __future__ import annotations

import json
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from llm_created.cli.main import main as llm_created
from llm_created.errors import UsageError
from llm_created.evaluation import results, scores
from llm_created.train import cells as cells_module
from llm_created.train import compare


def prediction_file(path: Path, right: str, answers: list[int] | None = None, start: int = 0) -> Path:
    """`right` says of each row whether its prediction is: `"110"`."""
    answers = answers or [number % 2 for number in range(len(right))]
    lines = (
        {"id": f"row{start + at}", "answer": answer, "prediction": answer if mark == "1" else 1 - answer}
        for at, (mark, answer) in enumerate(zip(right, answers, strict=True))
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def result(
    root: Path, train_set: str, right: str, *, made: str = "-", seed: int = 0, rows: int = 90,
    test: str = "creak:test", probe: str | None = None, predictions: bool = True, runs: tuple[str, ...] = (),
    **train: Any,
) -> Path:  # fmt: skip
    """File one result on `creak`; a second call with another test adds to it."""
    path = results.path(root, "creak", f"{train_set}-{rows}", "tiny", made, seed)
    kept = json.loads(path.read_text("utf-8"))["scores"] if path.exists() else {}
    answers = [number % 2 for number in range(len(right))]
    given = [answer if mark == "1" else 1 - answer for mark, answer in zip(right, answers, strict=True)]
    key = f"{test}#{probe}" if probe else test
    entry = scores.score(given, answers).to_json() | {"probe": probe, "train_rows": rows, "leaked": 0}
    entry |= {"distribution": "in" if test.startswith("creak") else "out"}
    path.parent.mkdir(parents=True, exist_ok=True)
    if predictions:
        entry["predictions"] = prediction_file(path.with_suffix(f".{len(kept)}.jsonl"), right).name
    about = {"rows": rows + 10, "validation": "tenth of train", "validation_rows": 10, "fraction": 1.0}
    about |= {"sources": [{"name": train_set, "run": run} for run in runs]}
    whole = {"task": "creak", "family": "yesno_close", "train_set": train_set, "model": "tiny", "seed": seed}
    results.write(path, whole | {"creation_seed": made, "train": about | train, "scores": kept | {key: entry}})
    return path


def cells(root: Path) -> list[compare.Cell]:
    return compare.cells(results.read_all(root))


def test_paired_counts_the_rows_that_only_one_has_right(tmp_path: Path) -> None:
    first = prediction_file(tmp_path / "a.jsonl", "1110000001")
    second = prediction_file(tmp_path / "b.jsonl", "1101111100")
    test = compare.paired(first, second)
    assert (test.only_first, test.only_second) == (2, 5)
    # 2 x (1 + 7 + 21) / 2^7
    assert test.p == pytest.approx(58 / 128)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"right": "1111", "start": 1}, "line 1 is row0 (answer 0) in one and row1 (answer 0) in the other"),
        ({"right": "1111", "answers": [0, 1, 1, 1]}, "line 3 is row2 (answer 0) in one and row2 (answer 1)"),
        ({"right": "11111"}, "they have 4 and 5, the first that only one has is line 5"),
    ],
)
def test_paired_refuses_other_test_rows_and_names_the_first(tmp_path: Path, other: dict[str, Any], said: str) -> None:
    first = prediction_file(tmp_path / "a.jsonl", "1111")
    other = {"answers": [0, 0, 1, 1]} | other if "start" in other else other
    second = prediction_file(tmp_path / "b.jsonl", **other)
    with pytest.raises(UsageError) as told:
        compare.paired(first, second)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_spread_keeps_training_and_creation_seeds_apart(tmp_path: Path) -> None:
    for made, seed, right in [("1", 0, 50), ("1", 1, 54), ("2", 0, 60), ("2", 1, 62), ("2", 2, 64)]:
        result(tmp_path, "tree", "1" * right + "0" * (100 - right), made=made, seed=seed)
    (cell,) = cells(tmp_path)
    spread = compare.spread(cell)
    assert spread.mean == pytest.approx((0.52 + 0.62) / 2)
    # Squares within: 2 x 0.02^2 and 2 x 0.02^2, over (2 - 1) + (3 - 1) degrees of freedom.
    assert spread.training == pytest.approx(sqrt(0.0016 / 3))
    assert spread.creation == pytest.approx(0.1 / sqrt(2))
    assert (spread.num_training, spread.num_creation) == ((2, 3), 2)
    assert str(spread) == "±2.3 (2-3 training) ±7.1 (2 creation)"
    assert cell.interval == scores.wilson(57, 100)


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    result(tmp_path, "human", "1100")
    (cell,) = cells(tmp_path)
    assert (compare.spread(cell).training, compare.spread(cell).creation, str(compare.spread(cell))) == (
        None,
        None,
        "",
    )


@pytest.mark.parametrize(
    ("values", "p"),
    [
        ([0.03], 0.03),
        ([0.01, 0.2], 0.2),
        ([0.5, 0.01, 0.02], 0.03),
        ([0.04, 0.01, 0.03, 0.02], 4 / 3 * 0.03),
        ([1, 1, 1], 1),
    ],
)
def test_several_p_become_one_that_is_valid_however_they_depend(values: list[float], p: float) -> None:
    assert compare.combined(values) == pytest.approx(p)


def test_pairs_share_their_training_seed(tmp_path: Path) -> None:
    for seed in (0, 1):
        result(tmp_path, "human", "1111000000", seed=seed)
        for made in ("1", "2"):
            result(tmp_path, "tree", "1111110000", made=made, seed=seed)
    human, tree = sorted(cells(tmp_path), key=lambda cell: cell.train_set)
    pair = compare.pair(tree, human)
    assert pair is not None
    assert [tuple(test) for test in pair.tests] == [(2, 0, 0.5)] * 4
    assert (pair.points, pair.p) == (pytest.approx(20), pytest.approx(4 / 3 * 0.5))


def test_no_predictions_no_pair(tmp_path: Path) -> None:
    result(tmp_path, "human", "1100", predictions=False)
    result(tmp_path, "tree", "1101", made="1")
    human, tree = sorted(cells(tmp_path), key=lambda cell: cell.train_set)
    assert compare.pair(tree, human) is None


def test_a_set_is_held_against_human_rows_of_its_own_number(tmp_path: Path) -> None:
    for train_set, made in (("human", "-"), ("tree", "1")):
        for rows in (90, 900):
            result(tmp_path, train_set, "1100", rows=rows, made=made)
    result(tmp_path, "random", "1110", rows=50, made="1")
    found = cells(tmp_path)
    partners = {(x.train_set, x.train_rows): compare.human_of(x, found) for x in found}
    assert {key: human.train_rows for key, human in partners.items() if human} == {
        ("tree", 90): 90, ("tree", 900): 900, ("random", 50): 90
    }  # fmt: skip
    assert partners["human", 90] is None


def test_report_says_that_cells_have_different_numbers_of_rows(tmp_path: Path) -> None:
    result(tmp_path, "human", "11110000", rows=8500)
    result(tmp_path, "tree", "11111100", rows=2000, made="1")
    said = "\n".join(compare.report(cells(tmp_path)))
    assert "! trained on different numbers of rows: 2,000, 8,500" in said
    assert "tree (2,000 rows) - human: +25.0 points, McNemar p = 0.5 (2 to 0 rows); ! 2,000 and 8,500" in said


def test_two_versions_of_a_test_set_are_two_cells(tmp_path: Path) -> None:
    result(tmp_path, "human", "1100", seed=0)
    result(tmp_path, "human", "11001", seed=1)
    assert sorted(cell.n for cell in cells(tmp_path)) == [4, 5]


def test_the_same_result_twice_is_refused(tmp_path: Path) -> None:
    path = result(tmp_path, "human", "1100")
    (tmp_path / "copy.json").write_bytes(path.read_bytes())
    with pytest.raises(UsageError, match="another result has this task"):
        cells(tmp_path)


def test_probe_near_the_full_score_is_a_shortcut(tmp_path: Path) -> None:
    result(tmp_path, "human", "1" * 80 + "0" * 20)
    result(tmp_path, "human", "1" * 75 + "0" * 25, probe="no-question")
    result(tmp_path, "human", "1" * 55 + "0" * 45, probe="no-options")
    near, far = sorted(compare.probes(cells(tmp_path)), key=lambda one: one.probe.probe, reverse=True)
    assert (near.probe.probe, near.shortcut, near.kept) == ("no-question", True, pytest.approx(25 / 30))
    assert (far.probe.probe, far.shortcut, far.kept) == ("no-options", False, pytest.approx(5 / 30))
    assert "! a shortcut" in "\n".join(compare.report(cells(tmp_path)))


def test_probe_of_a_model_that_learned_nothing_is_no_shortcut(tmp_path: Path) -> None:
    result(tmp_path, "human", "10" * 20)
    result(tmp_path, "human", "10" * 20, probe="no-question")
    (probe,) = compare.probes(cells(tmp_path))
    assert (probe.shortcut, probe.kept) == (False, None)


def test_probe_stands_beside_the_same_models(tmp_path: Path) -> None:
    result(tmp_path, "human", "1" * 90 + "0" * 10, seed=0)
    result(tmp_path, "human", "1" * 60 + "0" * 40, seed=1)
    result(tmp_path, "human", "1" * 58 + "0" * 42, seed=1, probe="no-question")
    (probe,) = compare.probes(cells(tmp_path))
    assert (probe.full.accuracy, probe.probe.accuracy) == (0.6, 0.58)


def test_creation_seeds_that_share_a_formatting_example_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digests = []
    for seed in (1, 2):
        out = tmp_path / f"rows{seed}"
        assert (
            llm_created(["create", "creak", "--model", "demo", "-n", "5", "--seed", str(seed), "--out", str(out)]) == 0
        )
        digests.append(json.loads((out / "run.json").read_text("utf-8"))["run"])
        result(tmp_path / "results", "tree", "1100", made=str(seed), runs=(digests[-1],))
    (cell,) = cells(tmp_path / "results")
    assert cells_module.formatting_examples(cell) == 1
    assert "! 2 creation seeds share 1 formatting examples" in "\n".join(compare.report([cell]))
    result(tmp_path / "results", "tree", "1101", made="3", runs=("0123456789abcdef",))
    (cell,) = cells(tmp_path / "results")
    assert cells_module.formatting_examples(cell) is None


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = prediction_file(tmp_path / "a.jsonl", "1111"), prediction_file(tmp_path / "b.jsonl", "1000")
    assert compare.main([str(first), str(second)]) == 0
    assert capsys.readouterr().out == (
        "first right alone: 3, second right alone: 0, of 4 rows\n"
        "first - second: +75.0 points, exact McNemar p = 0.25\n"
    )
    result(tmp_path / "results", "human", "1100", leaked=3)
    assert compare.main([str(tmp_path / "results"), "--on", "creak:test"]) == 0
    assert "creak human, 90 rows: 50.0 [15.0, 85.0]; = constant classifier in 1 of 1" in capsys.readouterr().out
    for argv in ([str(first)], [str(tmp_path / "nothing")], [str(tmp_path / "results"), "--on", "csqa:test"]):
        assert compare.main(argv) == 2
        told = capsys.readouterr().err
        assert told.startswith("error: ") and told.count("\n") == 1
