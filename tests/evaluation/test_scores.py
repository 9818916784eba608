"""The figures against scipy and scikit-learn, what must hold of them whatever comes, and result files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_created.errors import RunFailed, UsageError
from llm_created.evaluation import results
from llm_created.evaluation.scores import Score, is_majority, mcnemar, score, wilson
from llm_created.tasks.task import Row, Task

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@pytest.mark.parametrize("correct, n", [(0, 1), (1, 1), (0, 50), (50, 50), (7, 10), (343, 685), (9_999, 10_000)])
def test_wilson_is_scipys(correct: int, n: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    wanted = stats.binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert wilson(correct, n) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_mirrors(case: tuple[int, int]) -> None:
    correct, n = case
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n <= high <= 1
    assert wilson(n - correct, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


# The last is beyond what a float holds of 2 ** n.
@pytest.mark.parametrize("only_first, only_second", [(0, 0), (1, 0), (5, 5), (3, 12), (40, 12), (900, 999)])
def test_mcnemar_is_scipys_binomial_test(only_first: int, only_second: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    both = [(True, True)] * 7 + [(False, False)] * 5
    rows = [*both, *[(True, False)] * only_first, *[(False, True)] * only_second]
    found = mcnemar([a for a, _ in rows], [b for _, b in rows])
    assert found[:2] == (only_first, only_second)
    differing = only_first + only_second
    wanted = stats.binomtest(only_first, differing).pvalue if differing else 1.0
    assert found.p == pytest.approx(wanted, rel=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=80))
def test_mcnemar_is_symmetric(rows: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in rows], [b for _, b in rows]
    one, other = mcnemar(first, second), mcnemar(second, first)
    assert (one.only_first, one.only_second, one.p) == (other.only_second, other.only_first, other.p)
    assert 0 < one.p <= 1
    assert mcnemar(first, first).p == 1


@given(PAIRS)
def test_macro_f1_and_accuracy_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    predictions, answers = [p for p, _ in pairs], [a for _, a in pairs]
    found = score(predictions, answers)
    assert found.macro_f1 == pytest.approx(metrics.f1_score(answers, predictions, average="macro"))
    assert found.accuracy == pytest.approx(metrics.accuracy_score(answers, predictions))


@given(PAIRS)
def test_what_holds_of_every_score(pairs: list[tuple[int, int]]) -> None:
    predictions, answers = [p for p, _ in pairs], [a for _, a in pairs]
    found = score(predictions, answers)
    assert found.low <= found.accuracy <= found.high
    assert found.constant == all(p == predictions[0] for p in predictions)
    assert found.majority == max(score([label] * len(answers), answers).accuracy for label in range(5))
    if found.constant:
        assert found.accuracy <= found.majority and is_majority(found)
    assert Score.from_json(json.loads(json.dumps(found.to_json())) | {"leaked": 0}) == found


def test_a_cell_that_equals_the_majority_is_marked_though_it_is_not_constant() -> None:
    assert is_majority(score([0, 1, 1, 0], [0, 0, 1, 1]))  # two of four, as a constant answer
    assert not is_majority(score([0, 0, 1, 0], [0, 0, 1, 1]))
    assert is_majority(score([1, 1, 1], [0, 0, 1]))  # constant, though it is the wrong constant


@pytest.mark.parametrize("predictions, answers", [([], []), ([0], []), ([0], [0, 1])])
def test_nothing_or_another_number_of_rows_is_said(predictions: list[int], answers: list[int]) -> None:
    with pytest.raises(UsageError, match=f"{len(predictions)} predictions for {len(answers)} answers"):
        score(predictions, answers)


def test_other_wrong_calls() -> None:
    for case in ((0, 0), (2, 1), (-1, 3)):
        with pytest.raises(UsageError):
            wilson(*case)
    with pytest.raises(UsageError, match="the same rows, not 1 and 2"):
        mcnemar([True], [True, False])
    with pytest.raises(UsageError, match="'macro_f1' is None"):
        Score.from_json({"correct": 1, "n": 1, "accuracy": 1.0})


def test_no_heavy_import() -> None:
    code = (
        "import sys, llm_created.evaluation.scores, llm_created.evaluation.results; "
        "print({'numpy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


# Result files.

TASK = Task(name="mine", inputs=("text",), labels=("no", "yes"))


def rows(n: int) -> list[Row]:
    made = [TASK.read({"text": f"row {k}", "answer": "yes" if k % 3 else "no"}) for k in range(n)]
    assert all(isinstance(row, Row) for row in made)
    return made  # type: ignore[return-value]


def result(**other: Any) -> dict[str, Any]:
    figures = score([0, 1], [0, 0]).to_json()
    return {
        "task": "mine", "train_set": "tree", "model": "m", "creation_seed": "42", "seed": 0, "train": {},
        "scores": {"mine:test": figures},
    } | other  # fmt: skip


def test_paths_stay_inside_and_differ() -> None:
    root = Path("/r")
    assert results.path(root, "csqa", "tree", "roberta-large", "42", 0) == Path("/r/csqa/tree/roberta-large/42-0.json")
    assert results.path(root, "csqa", "tree+human", "a/b", "-", 1) == Path("/r/csqa/tree+human/a-b/none-1.json")
    for evil in ("../../etc", "/etc/passwd", "..", "a\\b", "\n", ""):
        path = results.path(root, evil, evil, evil, evil, 0)
        assert path.resolve() == path and len(path.relative_to(root).parts) == 4


def test_written_read_and_traced(tmp_path: Path) -> None:
    first = results.path(tmp_path, "mine", "tree", "m", "42", 0)
    test_rows = rows(5)
    name = results.write_predictions(first, "mine:test", test_rows, [0, 1, 1, 1, 1])
    assert name == "42-0.mine-test.jsonl"
    results.write(first, result())
    results.write(results.path(tmp_path, "mine", "human", "m", "-", 0), result(train_set="human", creation_seed="-"))
    found = results.read_all(tmp_path)
    assert [one["train_set"] for one in found] == ["human", "tree"]
    assert found[1] == result() | {"path": str(first)}
    lines = results.read_predictions(first.with_name(name))
    assert [line["prediction"] for line in lines] == [0, 1, 1, 1, 1]
    assert [line["id"] for line in lines] == [row.id for row in test_rows]
    assert score([x["prediction"] for x in lines], [x["answer"] for x in lines]).correct == 4


def test_test_sets_with_like_names_have_files_of_their_own(tmp_path: Path) -> None:
    names = ["a:b", "a b", "A-b", "x" * 70 + "1", "x" * 70 + "2", "../a"]
    files = [results.write_predictions(tmp_path / "r.json", name, rows(1), [0]) for name in names]
    assert len(set(files)) == len(files) == len(list(tmp_path.iterdir()))


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"
    results.write(path, result())
    with pytest.raises(ValueError):
        results.write(path, result(train={"loss": float("nan")}))

    def full(*names: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(RunFailed, match=r"cannot write .*r\.json': No space left on device"):
            results.write(path, result(seed=7))
    assert [one["seed"] for one in results.read_all(tmp_path)] == [0]


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "cannot be read"),
        ("[]", "holds a list"),
        ('{"task": "x"}', "'train_set' is None"),
        (json.dumps(result(scores={"mine:test": {"n": 3}})), "mine:test: this is not a score: 'correct' is None"),
        (json.dumps(result(scores={"mine:test": 0.5})), "mine:test: this is not a score"),
    ],
)
def test_a_file_that_is_no_result_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(UsageError, match=r"bad\.json") as caught:
        results.read_all(tmp_path)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_predictions_that_are_none_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    for text in ("", '{"id": "a", "answer": 0}\n', "{\n", "[]\n"):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"p\.jsonl"):
            results.read_predictions(path)
    with pytest.raises(UsageError, match="No such file"):
        results.read_predictions(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="no folder of results"):
        results.read_all(tmp_path / "none")


def test_fingerprint_knows_rows_order_and_answers() -> None:
    some = rows(4)
    prints = {results.fingerprint(x) for x in (some, some[::-1], some[:3], [some[0]._replace(answer=1), *some[1:]])}
    assert len(prints) == 4
    assert results.fingerprint(iter(some)) in prints


def test_environment_says_command_versions_commit_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/some/where/llm-created", "evaluate", "my run"])
    found = results.environment()
    assert found["command"] == "llm-created evaluate 'my run'"
    assert {"python", "llm-created"} <= found["versions"].keys()
    assert found["commit"] == "" or len(found["commit"].removesuffix("-dirty")) == 40
    assert found["started"].endswith("+00:00")
