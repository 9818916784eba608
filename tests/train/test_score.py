"""Scoring a trained model: in and out of distribution, leaks, probes, and what does not fit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from later import later, needs
from tiny import FIXED, OPEN, VARIED, encoder, rows_file, task_file

from llm_created.evaluation import results
from llm_created.evaluation.scores import Score
from llm_created.tasks.task import Task
from llm_created.train import data, finetune, score
from llm_created.train.arguments import Arguments

needs("torch", "accelerate", extra="train")
torch, accelerate = later("torch"), later("accelerate.state")


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    accelerate.AcceleratorState._reset_state(True)
    yield
    torch.set_num_threads(threads)


def trained(folder: Path, task: Task, epochs: int = 6, rows: int = 120, **kwargs: Any) -> Path:
    out = folder / "model"
    finetune.finetune(
        Arguments(
            [rows_file(folder / "train.jsonl", task, rows)], encoder(folder / "encoder"), task_file(folder, task),
            output_dir=str(out), epochs=epochs, batch_size=8, learning_rate=3e-3, **kwargs,
        )
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model for fixed labels and one for options that vary, trained once."""
    folders = {task.name: tmp_path_factory.mktemp(task.name) for task in (FIXED, VARIED)}
    torch.set_num_threads(1)
    return {task.name: trained(folders[task.name], task, 6 if task is FIXED else 2) for task in (FIXED, VARIED)}


@pytest.fixture
def fixed(models: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(models[FIXED.name], tmp_path / "mood-model"))


@pytest.fixture
def varied(models: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(models[VARIED.name], tmp_path / "word-model"))


def scored(run: Path, *on: str, **kwargs: Any) -> dict[str, Any]:
    return score.score(score.Arguments(str(run), list(on), **kwargs))["scores"]


def refused(capsys: pytest.CaptureFixture[str], argv: list[str], code: int = 2) -> str:
    capsys.readouterr()
    assert score.main(argv) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("error: ")
    return last


def test_a_test_set_of_the_task_itself(fixed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    test = rows_file(tmp_path / "my_test.jsonl", FIXED, 80, seed=5)
    entry = scored(fixed, test)["my_test.jsonl"]
    assert (entry["distribution"], entry["probe"], entry["leaked"], entry["train_rows"]) == ("in", None, 0, 108)
    figures = Score.from_json(entry)
    assert figures.n == 80 and figures.accuracy > 0.9 and figures.majority == 0.5
    # The predictions say the same as the figures, row by row.
    lines = results.read_predictions(fixed / entry["predictions"])
    assert sum(line["answer"] == line["prediction"] for line in lines) == figures.correct
    rows = data.sources.load(test, FIXED).rows
    assert [line["id"] for line in lines] == [row.id for row in rows]
    # The figures are in the result, and another test set comes beside them.
    again = rows_file(tmp_path / "other.jsonl", FIXED, 20, seed=6)
    assert set(scored(fixed, again)) == {"my_test.jsonl", "other.jsonl"}
    kept = json.loads((fixed / "result.json").read_text())
    assert kept["scores"]["my_test.jsonl"] == entry
    assert "my_test.jsonl (in distribution): accuracy" in caplog.text and "n 80, majority 50.0" in caplog.text


def test_other_tasks_are_out_of_distribution(fixed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    human = tmp_path / "human"
    human.mkdir()
    rows_file(human / "test.jsonl", FIXED, 30, seed=7)
    found = scored(fixed, "creak:test", "strategyqa:test", human_data=str(human))
    assert "creak:test (out of distribution): accuracy" in caplog.text
    assert {name: entry["distribution"] for name, entry in found.items()} == {
        "creak:test": "out",
        "strategyqa:test": "out",
    }


def test_labels_in_another_order_are_the_same_labels(fixed: Path, tmp_path: Path) -> None:
    test = rows_file(tmp_path / "my_test.jsonl", FIXED, 80, seed=5)
    turned = replace(FIXED, name="turned", labels=("false", "TRUE"))
    folder = tmp_path / "turned"
    folder.mkdir()
    shutil.copy(test, folder / "train.jsonl")
    shutil.copy(task_file(tmp_path, turned), folder / "task.json")
    found = scored(fixed, test, str(folder))
    assert found["turned"]["correct"] == found["my_test.jsonl"]["correct"] > 70
    assert found["turned"]["distribution"] == "out"
    first, second = (results.read_predictions(fixed / found[name]["predictions"]) for name in found)
    assert [line["prediction"] for line in first] == [line["prediction"] for line in second]


def test_rows_of_the_training_are_counted(fixed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    test = tmp_path / "test.jsonl"
    fresh = Path(rows_file(tmp_path / "fresh.jsonl", FIXED, 20, seed=8)).read_text()
    trained_on = [json.loads(line) for line in seen_by(FIXED, tmp_path).read_text().splitlines()[:7]]
    # Another spelling of the same question is the same question.
    trained_on[0]["question"] = f"  {trained_on[0]['question'].upper()} "
    test.write_text(fresh + "".join(json.dumps(row) + "\n" for row in trained_on))
    entry = scored(fixed, str(test))["test.jsonl"]
    assert entry["leaked"] == entry["same_question"] == 7
    assert "test.jsonl: 7 of 27 rows are in the training data" in caplog.text
    assert json.loads((fixed / "result.json").read_text())["scores"]["test.jsonl"]["leaked"] == 7
    (fixed / "train_keys.txt").unlink()
    assert scored(fixed, str(test))["test.jsonl"]["leaked"] is None
    assert "it may have been trained on these rows" in caplog.text


def seen_by(task: Task, folder: Path) -> Path:
    """The rows that the models here are trained on."""
    return Path(rows_file(folder / "seen.jsonl", task, 120))


def test_a_question_with_other_options_is_no_leak_of_the_row(varied: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in seen_by(VARIED, tmp_path).read_text().splitlines()[:5]]
    for row in rows[:2]:
        row["options"] = [row["answer"], "w58", "w59", "another"]
    test = tmp_path / "test.jsonl"
    test.write_text("".join(json.dumps(row | {"options": row["options"][::-1]}) + "\n" for row in rows))
    entry = scored(varied, str(test))["test.jsonl"]
    assert (entry["leaked"], entry["same_question"]) == (3, 5)


def test_probes_blank_a_part(varied: Path, fixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = rows_file(tmp_path / "test.jsonl", VARIED, 60, seed=9)
    rows = data.sources.load(test, VARIED).rows
    assert all(row.inputs == ("",) for row in score.blanked(rows, "no-question"))
    for probe in ("no-question", "no-options"):
        found = scored(varied, test, probe=probe)
        assert found[f"test.jsonl#{probe}"]["probe"] == probe and found[f"test.jsonl#{probe}"]["n"] == 60
    assert len(list(varied.glob("result.test.jsonl-no-*.jsonl"))) == 2
    # Without the question nothing tells True from False.
    labelled = rows_file(tmp_path / "labelled.jsonl", FIXED, 40, seed=9)
    assert scored(fixed, labelled, probe="no-question")["labelled.jsonl#no-question"]["constant"]
    said = refused(capsys, [str(fixed), "--on", labelled, "--probe", "no-options"])
    assert "the labels of 'mood' are not shown to the model" in said


def test_filed_with_its_predictions(fixed: Path, tmp_path: Path) -> None:
    test = rows_file(tmp_path / "test.jsonl", FIXED, 20, seed=5)
    root = tmp_path / "results"
    scored(fixed, test, results=str(root))
    (filed,) = results.read_all(root)
    assert filed["path"] == str(root / "mood" / "train" / "encoder" / "none-0.json")
    lines = results.read_predictions(Path(filed["path"]).with_name(filed["scores"]["test.jsonl"]["predictions"]))
    assert len(lines) == 20
    assert filed["scores"]["test.jsonl"]["correct"] == sum(line["answer"] == line["prediction"] for line in lines)


def test_scored_at_the_end_of_training(tmp_path: Path) -> None:
    test = rows_file(tmp_path / "test.jsonl", FIXED, 20, seed=5)
    out = trained(tmp_path, FIXED, 1, 40, on=[test], results=str(tmp_path / "results"))
    own, (filed,) = json.loads((out / "result.json").read_text()), results.read_all(tmp_path / "results")
    assert own["scores"]["test.jsonl"]["n"] == filed["scores"]["test.jsonl"]["n"] == 20
    assert own["validation_accuracy"] == filed["validation_accuracy"]


# Both say how many they are; a launcher that silently starts one would pass otherwise.
TWO = """
import sys
from accelerate import PartialState
from llm_created.train import score
code = score.main(sys.argv[1:])
assert PartialState().num_processes == 2, PartialState().num_processes
sys.exit(code)
"""


@pytest.mark.slow
def test_two_processes_score_the_same(varied: Path, tmp_path: Path) -> None:
    test = rows_file(tmp_path / "test.jsonl", VARIED, 131, seed=10)
    script = tmp_path / "two.py"
    script.write_text(TWO)
    argv = [str(varied), "--on", test, "--batch-size", "16"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "TOKENIZERS_PARALLELISM": "false"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*torchrun, str(script), *argv], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    two = json.loads((varied / "result.json").read_text())["scores"]["test.jsonl"]
    lines = results.read_predictions(varied / two["predictions"])
    (varied / two["predictions"]).unlink()
    one = scored(varied, test, batch_size=16)["test.jsonl"]
    assert one == two
    assert results.read_predictions(varied / one["predictions"]) == lines
    assert len(lines) == 131


# What does not fit


def test_pairs_that_do_not_fit(fixed: Path, varied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    human = tmp_path / "human"
    human.mkdir()
    rows_file(human / "test.jsonl", OPEN, 10)
    said = refused(capsys, [str(fixed), "--on", "pubmedqa:test", "--human-data", str(human)])
    assert "the fields question, context and labels True, False, expected the fields question and labels" in said
    said = refused(capsys, [str(varied), "--on", "creak:test", "--human-data", str(human)])
    assert "labels True, False, expected the fields question and any number of options a row" in said
    other = rows_file(tmp_path / "other.jsonl", VARIED, 5)
    assert "other.jsonl, line 1: wrong_options" in refused(capsys, [str(fixed), "--on", other])
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert "holds no rows" in refused(capsys, [str(fixed), "--on", str(empty)])
    assert json.loads((fixed / "result.json").read_text())["scores"] == {}


def test_models_that_cannot_be_scored(fixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = rows_file(tmp_path / "test.jsonl", FIXED, 20, seed=5)
    assert "there is no folder 'nowhere'" in refused(capsys, ["nowhere", "--on", test])
    bare = Path(encoder(tmp_path / "bare"))
    assert "has no task.json, which says what it was trained for" in refused(capsys, [str(bare), "--on", test])
    shutil.copy(fixed / "task.json", bare)
    assert "was never trained for classification" in refused(capsys, [str(bare), "--on", test])
    weights = (fixed / "model.safetensors").read_bytes()
    (fixed / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    said = refused(capsys, [str(fixed), "--on", test], code=1)
    assert f"{str(fixed / 'model.safetensors')!r} is truncated or damaged" in said


def test_a_model_of_the_hub_without_a_result(fixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    for name in ("result.json", "train_keys.txt"):
        (fixed / name).unlink()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda repo, **kwargs: str(fixed))
    monkeypatch.chdir(tmp_path)
    test = rows_file(tmp_path / "test.jsonl", FIXED, 20, seed=5)
    score.score(score.Arguments("me/mood", [test]))
    # The cache of the Hub is not written to.
    assert not (fixed / "result.json").exists()
    (result,) = results.read_all(tmp_path / "results")
    assert result["model"] == "me/mood" and result["train_set"] == "unknown"
    assert result["scores"]["test.jsonl"]["train_rows"] is None and result["scores"]["test.jsonl"]["leaked"] is None
