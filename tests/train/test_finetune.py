"""Training, on a tiny random encoder: what it counts, keeps, resumes, and refuses."""

from __future__ import annotations

import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from later import later, needs
from tiny import FIXED, VARIED, encoder, rows_file, task_file

from llm_created.cli import main as cli
from llm_created.errors import RunFailed, UsageError
from llm_created.tasks.task import Row, Task
from llm_created.train import data
from llm_created.train import finetune as command
from llm_created.train.arguments import Arguments
from llm_created.utils.text import fold

needs("torch", "accelerate", extra="train")
torch, transformers, accelerate = later("torch"), later("transformers"), later("accelerate.state")
safetensors = later("safetensors.torch")
checkpoint, features, model, outcome = (
    later(f"llm_created.train.{name}") for name in ("checkpoint", "features", "model", "outcome")
)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """One thread, which is fastest for so small a model, and no precision left from the test before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    accelerate.AcceleratorState._reset_state(True)
    yield
    torch.set_num_threads(threads)


class Place:
    """A folder with an encoder, a task and rows of it."""

    def __init__(self, folder: Path, task: Task = FIXED, count: int = 100, **kwargs: Any) -> None:
        self.folder = folder
        self.model = encoder(folder / "encoder", **kwargs)
        self.task = task_file(folder, task)
        self.rows = rows_file(folder / "rows.jsonl", task, count)

    def flags(self, name: str = "out", **kwargs: Any) -> dict[str, Any]:
        given = {
            "train": [self.rows], "task": self.task, "model": self.model, "output_dir": str(self.folder / name),
            "epochs": 3, "batch_size": 8, "learning_rate": 3e-3, "patience": 0,
        }  # fmt: skip
        return given | kwargs

    def train(self, name: str = "out", **kwargs: Any) -> dict[str, Any]:
        return command.finetune(Arguments(**self.flags(name, **kwargs)))

    def argv(self, name: str = "out", **kwargs: Any) -> list[str]:
        words: list[str] = []
        for key, value in self.flags(name, **kwargs).items():
            words += [f"--{key.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
        return words

    def weights(self, name: str = "out") -> dict[str, torch.Tensor]:
        return safetensors.load_file(self.folder / name / "model.safetensors")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def launched(argv: list[str], processes: int = 1, module: str = "llm_created.train.finetune") -> list[str]:
    """The command in one process, or in several that find each other on loopback."""
    if processes == 1:
        return [sys.executable, "-m", module, *argv]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    return [*torchrun, "-m", module, *argv]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "TOKENIZERS_PARALLELISM": "false"}


def largest_difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


# What is learnt


def test_loss_falls_and_the_rule_is_learnt(place: Place) -> None:
    result = place.train(epochs=8)
    losses = [epoch["loss"] for epoch in result["history"]]
    assert losses[-1] < losses[0] / 2
    assert result["validation_accuracy"] >= 0.9
    folder = place.folder / "out"
    assert {"model.safetensors", "tokenizer.json", "task.json", "result.json"} <= {p.name for p in folder.iterdir()}
    assert not (folder / checkpoint.FOLDER).exists()
    assert json.loads((folder / "config.json").read_text())["id2label"] == {"0": "True", "1": "False"}
    assert Task.from_json(json.loads((folder / "task.json").read_text())) == FIXED


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_any_number_of_options_a_row(tmp_path: Path, kind: str) -> None:
    place = Place(tmp_path, VARIED, 60, kind=kind)
    result = place.train(epochs=2)
    assert result["history"][1]["loss"] < result["history"][0]["loss"]
    # A row's figures are its own, whatever shares the batch with it.
    tokenizer = transformers.AutoTokenizer.from_pretrained(place.folder / "out")
    trained = model.load_model(str(place.folder / "out"), VARIED, tokenizer, trained=True).eval()
    rows = data.load([place.rows], place.task).train[:9]
    assert len({len(row.options) for row in rows}) > 2
    encoded = features.tokenise(rows, True, tokenizer)

    def of(which: list[int]) -> torch.Tensor:
        inputs, counts = encoded.batch(which, tokenizer.pad_token_id)
        return model.logits(trained, model.inputs_for(trained, inputs, torch.device("cpu")), counts, True)

    with torch.inference_mode():
        together = of(list(range(9)))
        for number, row in enumerate(rows):
            assert torch.isinf(together[number, len(row.options) :]).all()
            torch.testing.assert_close(together[number, : len(row.options)], of([number])[0], atol=1e-5, rtol=1e-5)


def test_steps_warm_up_and_decay_are_exact(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[tuple[float, float]]] = []
    real = torch.optim.AdamW.step

    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append([(group["lr"], group["weight_decay"]) for group in self.param_groups])
        assert all(group["fused"] for group in self.param_groups)
        assert all(p.ndim < 2 for p in self.param_groups[1]["params"])
        assert all(p.ndim >= 2 for p in self.param_groups[0]["params"])
        return real(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    result = place.train(learning_rate=1e-3, warmup_ratio=0.25, weight_decay=0.1)
    # 100 rows less a tenth, in batches of 8, three times.
    assert result["steps"] == result["total_steps"] == len(seen) == 36
    assert result["warmup_steps"] == 9
    rates = [groups[0][0] for groups in seen]
    assert rates == pytest.approx([1e-3 * min(at / 9, (36 - at) / 27) for at in range(36)])
    assert {tuple(decay for _, decay in groups) for groups in seen} == {(0.1, 0.0)}


def test_micro_batches_and_gradient_checkpointing_change_nothing(place: Place) -> None:
    whole = place.train("whole")
    for name, kwargs in {"micro": {"micro_batch_size": 3}, "again": {"gradient_checkpointing": True}}.items():
        assert place.train(name, **kwargs)["history"][-1]["loss"] == pytest.approx(whole["history"][-1]["loss"], 1e-3)
        assert largest_difference(place.weights("whole"), place.weights(name)) < 1e-4


@pytest.mark.slow
def test_bf16_trains(place: Place) -> None:
    result = place.train(epochs=6, mixed_precision="bf16")
    assert result["history"][-1]["loss"] < result["history"][0]["loss"]
    assert result["params"]["mixed_precision"] == "bf16"
    assert all(tensor.dtype == torch.float32 for tensor in place.weights().values())


# What is kept


def test_the_best_epoch_is_the_one_reported(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    shares, weights = iter([0.5, 0.9, 0.9, 0.1]), []

    def predict(trained: Any, held: features.Features, *args: Any) -> list[int]:
        weights.append({name: tensor.clone() for name, tensor in trained.state_dict().items()})
        right = round(next(shares) * len(held))
        return [answer if at < right else 1 - answer for at, answer in enumerate(answers)]

    answers = [row.answer for row in data.load([place.rows], place.task).validation]
    monkeypatch.setattr(model, "predict", predict)
    result = place.train(epochs=20, patience=2)
    # Two epochs without a better one: it gives up after the fourth. Of two alike, the first is the best.
    assert (result["epochs"], result["best_epoch"], result["validation_accuracy"]) == (4, 2, 0.9)
    assert result["total_steps"] == 20 * 12
    saved = place.weights()
    assert largest_difference(saved, {name: weights[1][name] for name in saved}) == 0
    assert largest_difference(saved, {name: weights[3][name] for name in saved}) > 0


def test_a_finished_training_is_not_repeated(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    first = place.train()
    monkeypatch.setattr(model, "load_model", lambda *args: pytest.fail("it was trained again"))
    assert place.train() == first
    with pytest.raises(UsageError, match="holds another training: give another folder, or --overwrite"):
        place.train(seed=1)
    (place.folder / "full").mkdir()
    (place.folder / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds other files \(thesis.txt\)"):
        place.train("full")


def test_filed_where_all_results_are(place: Place) -> None:
    root = place.folder / "results"
    place.train("a", train=[f"{place.rows}:50"], results=str(root), seed=3, epochs=1)
    place.train("b", fraction=0.5, results=str(root), seed=3, epochs=1)
    filed = sorted(str(path.relative_to(root)) for path in root.rglob("*.json"))
    assert filed == ["mood/rows-50/encoder/none-3.json", "mood/rows-f0.5/encoder/none-3.json"]
    # Nothing of this machine is in it but the command that was given.
    text = json.dumps(json.loads((root / filed[0]).read_text()) | {"environment": None})
    assert str(place.folder) not in text


# What is resumed


def kill_in_the_middle(argv: list[str], folder: Path) -> int:
    """Start a training, kill it at some update, and say which was the last that it kept."""
    process = subprocess.Popen(launched(argv), env=environment(), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while True:
        last = checkpoint.newest(folder / checkpoint.FOLDER)
        step, epoch = map(int, last.name.split("-")[1:]) if last else (0, 0)
        if epoch >= 1 and step % 12:
            break
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (folder / "result.json").exists()
    return step


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    # With dropout: what is drawn by chance must be drawn again.
    place = Place(tmp_path, dropout=0.2)
    kwargs = {"epochs": 20, "checkpoint_every": 5, "learning_rate": 1e-3}
    step = kill_in_the_middle(place.argv("killed", **kwargs), place.folder / "killed")
    assert 12 < step < 240
    torch.manual_seed(987)
    resumed = place.train("killed", **kwargs)
    whole = place.train("whole", **kwargs | {"checkpoint_every": 0})
    for name in ("steps", "best_epoch", "validation_accuracy", "history"):
        assert resumed[name] == whole[name]
    assert largest_difference(place.weights("killed"), place.weights("whole")) == 0


def test_stopped_after_an_epoch_and_gone_on(place: Place) -> None:
    part = place.train("part", stop_after_epoch=1)
    assert part["epochs"] == 1 and not (place.folder / "part" / "result.json").exists()
    # Large models fill disks: one checkpoint is kept, and one set of best weights.
    assert place.train("part", stop_after_epoch=2)["epochs"] == 2
    kept = sorted(path.name for path in (place.folder / "part" / checkpoint.FOLDER).iterdir())
    assert len(kept) == 2 and kept[0].startswith("best-") and kept[1] == "step-24-2"
    assert place.train("part")["history"] == place.train("whole")["history"]
    assert largest_difference(place.weights("part"), place.weights("whole")) == 0


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "state.json"])
def test_a_truncated_checkpoint_is_named(place: Place, name: str) -> None:
    place.train(stop_after_epoch=1)
    last = checkpoint.newest(place.folder / "out" / checkpoint.FOLDER)
    assert last is not None
    with (last / name).open("r+b") as file:
        file.truncate((last / name).stat().st_size // 2)
    with pytest.raises((RunFailed, UsageError)) as raised:
        place.train()
    assert str(last / name) in str(raised.value) and "\n" not in str(raised.value)


def test_a_failed_write_leaves_the_checkpoint_before(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.train(stop_after_epoch=1)
    folder = place.folder / "out" / checkpoint.FOLDER
    before = checkpoint.newest(folder)

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunFailed, match="cannot write the checkpoint .*No space left"):
        place.train(stop_after_epoch=2)
    assert checkpoint.newest(folder) == before


# Several processes


@pytest.mark.slow
def test_two_processes_train_the_same_model(tmp_path: Path) -> None:
    # 99 rows less 10: the last batch has one row, and one process none of it.
    place = Place(tmp_path, VARIED, 99)
    kwargs = {"epochs": 2, "learning_rate": 5e-4}
    done = subprocess.run(
        launched(place.argv("two", **kwargs), processes=2), env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    two = json.loads((place.folder / "two" / "result.json").read_text())
    one = place.train("one", **kwargs)
    assert (one["processes"], two["processes"]) == (1, 2)
    assert (one["steps"], one["warmup_steps"]) == (two["steps"], two["warmup_steps"]) == (24, 2)
    for mine, theirs in zip(one["history"], two["history"], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=1e-4)
        assert mine["validation_accuracy"] == theirs["validation_accuracy"]
    # All weights but one number, which shifts every option of a row alike: its gradient is nothing but rounding, of
    # which Adam makes steps of full length.
    mine, theirs = place.weights("one"), place.weights("two")
    assert mine.pop("classifier.bias").numel() == theirs.pop("classifier.bias").numel() == 1
    assert largest_difference(mine, theirs) < 1e-4
    # One process says what happens, not two.
    assert done.stderr.count("epoch 1/2") == 1


# The rows


def test_a_prefix_in_the_order_of_the_rows(place: Place) -> None:
    whole = data.load([place.rows], place.task)
    assert (len(whole.train), len(whole.validation)) == (90, 10)
    every = sorted([*whole.train, *whole.validation])
    lines = Path(place.rows).read_text().splitlines()[:40]
    for some in (data.load([place.rows], place.task, num_rows=40), data.load([place.rows], place.task, fraction=0.4)):
        rows = [*some.train, *some.validation]
        assert sorted(row.inputs[0] for row in rows) == sorted(json.loads(line)["question"] for line in lines)
        assert some.about["rows"] == 40 and len(some.validation) == 4
        assert set(rows) <= set(every)


def test_several_sources_with_counts(place: Place) -> None:
    other = rows_file(place.folder / "other.jsonl", FIXED, 30, seed=1)
    some = data.load([f"{place.rows}:20", f"{other}:10"], place.task)
    assert [source["rows"] for source in some.about["sources"]] == [20, 10]
    assert [source["name"] for source in some.about["sources"]] == ["rows.jsonl", "other.jsonl"]
    assert (some.name, some.path_name, some.creation_seed) == ("rows+other", "rows-20+other-10", "-")
    asked = [json.loads(line)["question"] for line in Path(place.rows).read_text().splitlines()[:20]]
    asked += [json.loads(line)["question"] for line in Path(other).read_text().splitlines()[:10]]
    held = {row.inputs[0] for row in some.validation}
    assert [row.inputs[0] for row in some.train] == [text for text in asked if text not in held]
    assert len(some.train) + len(some.validation) == 30


def test_human_rows_and_human_validation(tmp_path: Path) -> None:
    folder = tmp_path / "human"
    folder.mkdir()
    rows_file(folder / "train.jsonl", FIXED, 50)
    rows_file(folder / "dev.jsonl", FIXED, 20, seed=1)
    made = data.load(["human:40"], "strategyqa", str(folder), validation="human")
    assert (len(made.train), len(made.validation)) == (40, 20)
    assert made.about["validation"] == "human" and made.about["sources"][0]["kind"] == "human"
    assert (made.name, made.path_name, made.family) == ("human", "human-40", "yesno_close")


def test_rows_that_a_model_wrote(tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert cli.main(["create", "csqa", "--model", "demo", "-n", "40", "--seed", "7", "--out", str(made)]) == 0
    rows = data.load([f"{made}:30"])
    assert (rows.task.name, rows.family, rows.name, rows.path_name) == ("csqa", "mcqa_5", "tree", "tree-30")
    assert rows.creation_seed == "7"
    source = rows.about["sources"][0]
    assert (source["kind"], source["strategy"], source["writer"], source["rows"]) == ("created", "tree", "demo", 30)
    model_folder = encoder(tmp_path / "encoder")
    result = command.finetune(Arguments([str(made)], model_folder, output_dir=str(tmp_path / "out"), epochs=1))
    assert (result["task"], result["train_set"], result["creation_seed"]) == ("csqa", "tree", "7")
    assert json.loads((tmp_path / "out" / "task.json").read_text())["num_options"] == 5


def test_a_repeated_question_is_on_one_side() -> None:
    chance = random.Random(0)
    rows = [
        Row((f"What {number // 3}?",), ("True", "False"), number % 2, f"{chance.getrandbits(64):016x}", number)
        for number in range(300)
    ]
    train, held = data.split(rows)
    assert len(held) == 30 and len(train) == 270
    assert not {fold(row.inputs[0]) for row in train} & {fold(row.inputs[0]) for row in held}
    assert [row.key for row in train] == sorted(row.key for row in train)
    # The order of the rows does not decide on which side they are.
    assert set(data.split(rows[::-1])[1]) == set(held)


# Tokens and batches


def words(encoded: features.Features, row: int, tokenizer: Any) -> list[str]:
    inputs, _ = encoded.batch([row], tokenizer.pad_token_id)
    return [tokenizer.decode(ids[mask.bool()]) for ids, mask in zip(*list(inputs.values())[:2], strict=True)]


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_the_context_is_cut_and_not_the_question(tmp_path: Path, kind: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder(tmp_path, kind))
    question, context = " ".join(f"w{n}" for n in range(10)), " ".join(f"w{n % 60}" for n in range(20, 90))

    def row(*inputs: str, options: tuple[str, ...] = ("True", "False")) -> Row:
        return Row(inputs, options, 0, "0" * 16, 0)

    # Fixed labels: question and context are a pair.
    encoded = features.tokenise(
        [row(question, context), row(context, question), row(question, "w1")], False, tokenizer, 32
    )
    cut, alone, short = (words(encoded, number, tokenizer)[0] for number in range(3))
    special = tokenizer.num_special_tokens_to_add(True)
    assert question in cut and f" {context[:20]}" in cut and len(cut.split()) == 32
    # The question alone is too long: as much of it as there is room for.
    assert alone.split()[1:31] == context.split()[:30]
    assert len(short.split()) == 11 + special
    # Options that vary: question and context, paired with each option.
    options = ("w50 w51", "w52")
    encoded = features.tokenise(
        [row(question, context, options=options), row(context, options=options)], True, tokenizer, 32
    )
    for option, text in zip(options, words(encoded, 0, tokenizer), strict=True):
        assert question in text and text.split()[-1 - len(option.split()) : -1] == option.split()
        assert len(text.split()) == 32
    for option, text in zip(options, words(encoded, 1, tokenizer), strict=True):
        assert text.split()[-1 - len(option.split()) : -1] == option.split() and len(text.split()) == 32
    # Nothing has to be cut for an option that fills the sequence, and one that is longer is cut itself.
    long = row("w1", "w2 w3", options=(context, "w4"))
    assert features.tokenise([long], True, tokenizer, 32).lengths() == [32]


def test_second_run_finds_its_tokens(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llm_created.train")
    tokenizer = transformers.AutoTokenizer.from_pretrained(place.model)
    rows = data.load([place.rows], place.task).train
    first = features.tokenise(rows, False, tokenizer)
    assert "90 rows: tokenised in" in caplog.text and "cache" not in caplog.text
    caplog.clear()
    tokenizer("w1", truncation=True, max_length=5, padding="max_length")
    again = features.tokenise(rows, False, tokenizer)
    assert "90 rows: tokens from the cache" in caplog.text
    assert all(torch.equal(vars(first)[name], vars(again)[name]) for name in vars(first))
    caplog.clear()
    other = [rows[0]._replace(inputs=("w9",)), *rows[1:]]
    for changed in ((rows, True, 256), (rows, False, 9), (rows[:-1], False, 256), (other, False, 256)):
        features.tokenise(changed[0], changed[1], tokenizer, changed[2])
    tokenizer.add_tokens(["w1 w2"])
    features.tokenise(rows, False, tokenizer)
    assert "cache" not in caplog.text
    for path in (Path(os.environ["LLM_CREATED_CACHE"]) / "tokenised").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:50])
    features.tokenise(rows, False, tokenizer)
    assert "cannot be read: made anew" in caplog.text


def test_batches_of_like_length_hold_every_row_once() -> None:
    chance = random.Random(0)
    lengths = [chance.randint(5, 250) for _ in range(1003)]
    made = features.batches(lengths, 16, seed=0, epoch=0)
    assert sorted(row for batch in made for row in batch) == list(range(1003))
    assert sorted(map(len, made)) == [11] + [16] * 62
    padded = sum(max(lengths[row] for row in batch) * len(batch) for batch in made)
    assert padded < 1.1 * sum(lengths)
    assert made == features.batches(lengths, 16, seed=0, epoch=0)
    assert made != features.batches(lengths, 16, seed=0, epoch=1) != features.batches(lengths, 16, seed=1, epoch=1)
    # The length of a batch says nothing about when it comes.
    first = [max(lengths[row] for row in batch) for batch in made]
    assert first != sorted(first)


@pytest.mark.parametrize(("rows", "processes", "micro"), [(16, 2, 3), (1, 2, 4), (7, 3, 1), (16, 1, 16)])
def test_every_process_has_its_share(rows: int, processes: int, micro: int) -> None:
    batch = list(range(100, 100 + rows))
    pieces = [list(features.shares(batch, processes, process, micro)) for process in range(processes)]
    assert len({len(each) for each in pieces}) == 1
    assert sorted(row for each in pieces for piece, counted in each if counted for row in piece) == batch
    assert all(piece and len(piece) <= micro for each in pieces for piece, _ in each)


# What is refused


def refused(capsys: pytest.CaptureFixture[str], argv: list[str], code: int = 2) -> str:
    capsys.readouterr()
    try:
        got = command.main(argv)
    except SystemExit as left:
        got = left.code if isinstance(left.code, int) else 1
    said = capsys.readouterr().err
    assert got == code, said
    last = said.strip().splitlines()[-1]
    assert last.startswith("error: ") and "Traceback" not in said
    return last


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"epochs": 0}, "--epochs must be at least 1, not 0"),
        ({"learning_rate": -1.0}, "--learning-rate must be above 0, not -1.0"),
        ({"warmup_ratio": 100}, "--warmup-ratio is a share of all updates, below 1, not 100"),
        ({"fraction": 2.0}, "--fraction must be above 0 and at most 1, not 2"),
        ({"mixed_precision": "fp16"}, "fp16 needs a GPU, and there is none: give bf16 or no"),
        ({"mixed_precision": "fp64"}, "invalid choice: 'fp64'"),
        ({"sead": 1}, "unrecognized arguments: --sead 1"),
        ({"num_rows": 500}, "has 100 rows, 500 were asked for"),
        ({"train": ["nowhere.jsonl"]}, "there is no file 'nowhere.jsonl'"),
        ({"model": "nowhere"}, "cannot load the tokenizer of 'nowhere'"),
    ],
)
def test_wrong_values(place: Place, capsys: pytest.CaptureFixture[str], kwargs: dict[str, Any], words: str) -> None:
    if torch.cuda.is_available() and kwargs.get("mixed_precision") == "fp16":
        pytest.skip("there is a GPU")
    assert words in refused(capsys, place.argv(**kwargs))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"text": "w1", "answer": "True"}', "line 1: missing_field (question)"),
        ('{"question": "w1", "answer": "Maybe"}', "line 1: answer_not_in_options ('Maybe' is not among 2 options)"),
        ("", "holds no rows"),
        ('{"question": "w1", "answer": "True"}', "1 rows with 1 different questions cannot be cut"),
    ],
)
def test_wrong_rows(place: Place, capsys: pytest.CaptureFixture[str], line: str, words: str) -> None:
    Path(place.rows).write_text(line)
    assert words in refused(capsys, place.argv())


def test_rows_of_another_task(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    human = place.folder / "human"
    human.mkdir()
    rows_file(human / "train.jsonl", VARIED, 20, options=(5, 5))
    said = refused(capsys, place.argv(train=["csqa:train"], human_data=str(human)))
    assert "5 options a row, expected the fields question and labels True, False as in 'mood'" in said
    assert "say which task these rows are of: --task" in refused(capsys, ["--train", place.rows])
    assert "--num-rows is for one source" in refused(capsys, place.argv(train=[place.rows] * 2, num_rows=5))


def test_models_that_cannot_be_used(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(place.model)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    said = refused(capsys, place.argv(), code=1)
    assert f"{str(folder / 'model.safetensors')!r} is truncated or damaged" in said
    (folder / "model.safetensors").write_bytes(weights)

    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"model_type": "odd", "auto_map": {"AutoConfig": "odd.Odd"}})
    )
    assert "runs code of its own, which is refused: read it, then give --trust-remote-code" in refused(
        capsys, place.argv()
    )
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 30}))
    assert "its tokenizer has 64 tokens, the model 30" in refused(capsys, place.argv())
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert "has no tokenizer" in refused(capsys, place.argv())


def test_out_of_memory_says_what_to_lower(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(model, "logits", full)
    said = refused(capsys, place.argv(), code=1)
    assert re.search(r"out of memory at a batch of [28] sequences of \d+ tokens", said)
    assert "lower --micro-batch-size (now 8 rows)" in said and "--gradient-checkpointing" in said


def test_a_loss_that_explodes(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, place.argv(learning_rate=1e30, max_grad_norm=1e30, warmup_ratio=0), code=1)
    assert "the loss of epoch 1 is nan: give a --learning-rate below 1e+30" in said


def test_a_model_with_fewer_positions(tmp_path: Path) -> None:
    for kind, room in (("bert", 40), ("roberta", 38)):
        tokenizer = transformers.AutoTokenizer.from_pretrained(encoder(tmp_path / kind, kind, positions=40))
        loaded = model.load_model(str(tmp_path / kind), FIXED, tokenizer)
        assert model.fitting_length(loaded, 256) == room
        # The longest sequence there is room for goes through.
        rows = [Row((" ".join(["w1"] * 100),), ("True", "False"), 0, "0", 0)]
        inputs, counts = features.tokenise(rows, False, tokenizer, room).batch([0], tokenizer.pad_token_id)
        inputs = model.inputs_for(loaded, inputs, torch.device("cpu"))
        assert inputs["input_ids"].shape == (1, room)
        assert torch.isfinite(model.logits(loaded, inputs, counts, False)).all()


def test_where_it_goes_by_default(place: Place) -> None:
    args = Arguments(**place.flags(output_dir=None, seed=7, train=[f"{place.rows}:50"]))
    rows = data.load(args.train, args.task)
    assert outcome.default_folder(args, rows) == Path("models/mood-rows-50-encoder-7")
