"""The sweep: who is stopped when, what is chosen by what, and that a kill changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

from llm_created.errors import RunFailed, UsageError
from llm_created.train import grid
from llm_created.train import sweep as sweeping
from llm_created.train.grid import Sweep

Curve = Callable[[float, int, int], float]


class Fake:
    """Stands in for `finetune`: remembers checkpoints like it, and says of each epoch what `curve` says.

    Args:
        curve: validation accuracy by learning rate, batch size and epoch.
        die_at: the call that is killed.
        diverge: learning rates whose loss is not finite.
        patience_over: learning rates that give up, and the epoch.
    """

    def __init__(
        self,
        curve: Curve,
        die_at: int | None = None,
        diverge: tuple[float, ...] = (),
        patience_over: dict[float, int] | None = None,
    ) -> None:
        self.curve, self.die_at, self.diverge, self.patience_over = curve, die_at, diverge, patience_over or {}
        self.calls: list[tuple[str, int | None]] = []
        self.scored: list[Any] = []
        self.epochs: set[int] = set()

    def __call__(self, args: Any) -> dict[str, Any]:
        name = Path(args.output_dir).name
        if args.results:
            self.scored.append((name, args.on))
        else:
            self.calls.append((name, args.stop_after_epoch))
        assert bool(args.results) or args.on is None, "a cell must not see a test set"
        self.epochs.add(args.epochs)
        if len(self.calls) == self.die_at:
            raise KeyboardInterrupt
        if args.learning_rate in self.diverge:
            raise RunFailed("the loss of epoch 1 is nan")
        Path(args.output_dir).mkdir(parents=True, exist_ok=True)
        last = min(args.stop_after_epoch or args.epochs, self.patience_over.get(args.learning_rate, args.epochs))
        curve = [self.curve(args.learning_rate, args.batch_size, epoch) for epoch in range(1, last + 1)]
        history = [{"epoch": at, "loss": 1.0, "validation_accuracy": value} for at, value in enumerate(curve, 1)]
        return {"epochs": last, "best_epoch": 1, "validation_accuracy": max(curve), "history": history,
                "params": args.settings, "seconds": 1.0}  # fmt: skip


@pytest.fixture
def where(tmp_path: Path) -> dict[str, Any]:
    """A sweep of nine cells over rows that are there."""
    return {
        "train": [tiny.rows_file(tmp_path / "train.jsonl", tiny.FIXED, 100)],
        "task": tiny.task_file(tmp_path, tiny.FIXED),
        "model": "tiny",
        "results": str(tmp_path / "results"),
        "output_dir": str(tmp_path / "models"),
        "epochs": 9,
        "on": ["test.jsonl"],
        "learning_rates": ",".join(f"{number}e-5" for number in range(1, 10)),
        "batch_sizes": "8",
    }


def rising(rate: float, size: int, epoch: int) -> float:
    """The larger the rate the better, at every epoch."""
    return round(0.5 + 1000 * rate + 0.01 * epoch, 6)


@pytest.mark.parametrize(
    ("cells", "epochs", "eta", "found"),
    [(27, 10, 3, [1, 3, 10]), (9, 9, 3, [1, 3, 9]), (3, 9, 3, [3, 9]), (1, 9, 3, [9]), (27, 1, 3, [1]),
     (27, 10, 1, [10]), (4, 10, 2, [2, 5, 10]), (1000, 81, 3, [1, 3, 9, 27, 81])],
)  # fmt: skip
def test_rungs(cells: int, epochs: int, eta: int, found: list[int]) -> None:
    assert grid.rungs(cells, epochs, eta) == found


def test_paper_grid_is_that_of_the_paper() -> None:
    cells = Sweep(train=["human"], grid="paper").cells
    rates = {3e-4, 1e-4, 5e-5, 2e-5, 1e-5, 5e-6, 3e-6, 1e-6, 5e-7}
    assert {(cell.learning_rate, cell.batch_size) for cell in cells} == {(x, y) for x in rates for y in (4, 8, 16)}
    assert len({grid.name_of(cell) for cell in cells}) == 27


def test_a_third_goes_on_and_the_winner_alone_is_scored(where: dict[str, Any]) -> None:
    fake = Fake(rising)
    done = sweeping.sweep(Sweep(**where), fake)
    names = [f"lr{number}e-05-bs8" for number in range(1, 10)]
    assert fake.calls == [
        *((name, 1) for name in names),
        *((name, 3) for name in reversed(names[6:])),
        (names[8], None),
    ]
    assert fake.scored == [(names[8], ["test.jsonl"])]
    assert fake.epochs == {9}, "the schedule is that of a whole training in every rung"
    assert done["winner"] == names[8]
    ranking = [(one["cell"], one["epochs"]) for one in done["ranking"]]
    assert ranking == [(names[8], 9), (names[7], 3), (names[6], 3), *((name, 1) for name in reversed(names[:6]))]
    assert [path.name for path in Path(where["output_dir"]).iterdir()] == [names[8]], "only the winner's weights stay"


def test_cells_leave_a_result_each_that_tables_take_no_notice_of(where: dict[str, Any]) -> None:
    from llm_created.evaluation import results
    from llm_created.train.cells import cells

    sweeping.sweep(Sweep(**where), Fake(rising))
    found = results.read_all(where["results"])
    assert len(found) == 10 and cells(found) == []
    folder = Path(where["results"]) / "mood" / "train" / "tiny" / "sweep-none-0"
    record = json.loads((folder / "lr7e-05-bs8.json").read_text("utf-8"))
    assert (record["epochs"], record["params"]["learning_rate"]) == (3, 7e-5)


def test_one_that_learns_late_is_kept_while_nothing_tells_cells_apart(where: dict[str, Any]) -> None:
    def late(rate: float, size: int, epoch: int) -> float:
        return 0.9 if rate == 1e-5 and epoch > 3 else 0.5

    done = sweeping.sweep(Sweep(**where), Fake(late))
    assert (done["winner"], done["validation_accuracy"]) == ("lr1e-05-bs8", 0.9)


@pytest.mark.parametrize("die_at", range(1, 14))
def test_killed_and_started_again_it_chooses_the_same_and_trains_nothing_twice(
    where: dict[str, Any], die_at: int
) -> None:
    # Ranks change from rung to rung: what a cell reached later must not decide what was decided before.
    def crossing(rate: float, size: int, epoch: int) -> float:
        return round(0.5 + 1000 * rate if epoch < 3 else 0.9 - 1000 * rate, 6)

    whole = Fake(crossing)
    expected = sweeping.sweep(Sweep(**where | {"results": where["results"] + "-whole"}), whole)
    first, second = Fake(crossing, die_at=die_at), Fake(crossing)
    with pytest.raises(KeyboardInterrupt):
        sweeping.sweep(Sweep(**where), first)
    done = sweeping.sweep(Sweep(**where), second)
    assert [one["cell"] for one in done["ranking"]] == [one["cell"] for one in expected["ranking"]]
    assert first.calls[:-1] + second.calls == whole.calls
    third = Fake(crossing)
    assert sweeping.sweep(Sweep(**where), third)["winner"] == expected["winner"]
    assert third.calls == []


def test_a_loss_that_is_not_finite_costs_that_cell(where: dict[str, Any]) -> None:
    done = sweeping.sweep(Sweep(**where), Fake(rising, diverge=(9e-5, 8e-5)))
    assert done["winner"] == "lr7e-05-bs8"
    assert [one["failed"] for one in done["ranking"]][-2:] == ["the loss of epoch 1 is nan"] * 2


def test_no_cell_at_all(where: dict[str, Any]) -> None:
    rates = tuple(float(rate) for rate in where["learning_rates"].split(","))
    with pytest.raises(RunFailed, match="none of 9 cells could be trained; the last said: the loss of epoch 1 is nan"):
        sweeping.sweep(Sweep(**where), Fake(rising, diverge=rates))


def test_a_cell_that_gave_up_goes_on_without_being_trained(where: dict[str, Any]) -> None:
    fake = Fake(lambda rate, size, epoch: 0.5 + 1000 * rate, patience_over={9e-5: 2})
    done = sweeping.sweep(Sweep(**where), fake)
    assert [stop for name, stop in fake.calls if name == "lr9e-05-bs8"] == [1, 3]
    assert (done["winner"], done["ranking"][0]["epochs"]) == ("lr9e-05-bs8", 2)


def test_eta_one_trains_all_to_the_end(where: dict[str, Any]) -> None:
    fake = Fake(rising)
    sweeping.sweep(Sweep(**where, eta=1), fake)
    assert [stop for _, stop in fake.calls] == [None] * 9


def test_another_sweep_in_its_place_is_refused_unless_it_may_be_overwritten(where: dict[str, Any]) -> None:
    sweeping.sweep(Sweep(**where), Fake(rising))
    with pytest.raises(UsageError, match="of a sweep with other settings: give another --results, or --overwrite"):
        sweeping.sweep(Sweep(**where | {"epochs": 5}), Fake(rising))
    fake = Fake(rising)
    sweeping.sweep(Sweep(**where | {"epochs": 5}, overwrite=True), fake)
    assert len(fake.calls) > 9


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"learning_rates": "1e-5;2e-5"}, "--learning-rates takes numbers with commas between them, not '1e-5;2e-5'"),
        ({"batch_sizes": "8,x"}, "--batch-sizes takes numbers"),
        ({"batch_sizes": "0"}, "--batch-size must be at least 1, not 0"),
        ({"grid": "paper"}, "--grid paper brings its own"),
        ({"eta": 0}, "--eta must be at least 1, not 0"),
        ({"stop_after_epoch": 2}, "--stop-after-epoch is set by the sweep"),
    ],
)
def test_what_cannot_be_swept(where: dict[str, Any], wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as told:
        sweeping.sweep(Sweep(**where | wrong), Fake(rising))
    assert str(told.value).startswith(said)


@pytest.mark.slow
def test_for_real_the_rungs_are_one_training(
    where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("accelerate")
    monkeypatch.chdir(tmp_path)
    from llm_created.train.arguments import Arguments
    from llm_created.train.finetune import finetune

    model = tiny.encoder(tmp_path / "encoder", dropout=0.1)
    test = tiny.rows_file(tmp_path / "test.jsonl", tiny.FIXED, 40, seed=1)
    where |= {"model": model, "on": [test], "epochs": 4, "learning_rates": "3e-3,1e-9", "eta": 2}
    argv = [word for name, value in where.items() for word in (f"--{name}", *([value] if isinstance(value, str) else
            map(str, value) if isinstance(value, list) else [str(value)]))]  # fmt: skip
    assert sweeping.main(argv) == 0
    (sweep_json,) = Path(where["results"]).rglob("sweep.json")
    done = json.loads(sweep_json.read_text("utf-8"))
    assert done["rungs"] == [2, 4]
    winner = done["ranking"][0]
    filed = json.loads((sweep_json.parent.parent / "none-0.json").read_text("utf-8"))
    assert list(filed["scores"]) == ["test.jsonl"]
    best = {name: winner[name] for name in ("learning_rate", "batch_size")}
    given = {name: where[name] for name in ("train", "task")}
    whole = finetune(Arguments(**given, **best, model=model, epochs=4, output_dir=str(tmp_path / "whole")))
    assert [one["validation_accuracy"] for one in filed["history"]] == [
        one["validation_accuracy"] for one in whole["history"]
    ]
    assert [one["loss"] for one in filed["history"]] == pytest.approx([one["loss"] for one in whole["history"]])
