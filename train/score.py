"""Score a trained model on any test sets of its kind, in distribution and out.

  python -m llm_created.train.score models/csqa-tree --on csqa:test riddle_sense:test my_test.jsonl

The model is a folder that `finetune` wrote, or one on the Hub with a task.json; the predictions are saved beside its
result.
"""

from __future__ import annotations

import logging
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llm_created.data import sources
from llm_created.errors import RunFailed, UsageError
from llm_created.evaluation import results, scores
from llm_created.models.places import folder_of
from llm_created.tasks import builtin as tasks
from llm_created.tasks.task import Row, Task
from llm_created.train import data
from llm_created.train.arguments import command, flag, start
from llm_created.utils import files

_log = logging.getLogger("llm_created.train")


@dataclass
class Arguments:
    """One scoring; `score --help` says what each field is."""

    run: str = field(metadata={"help": "folder of a trained model, or its Hub name; `--run` may be left out"})
    on: list[str] = field(metadata={"help": "test sets: TASK:SPLIT, a run, a folder, a file, a Hub dataset"})
    human_data: str | None = flag("folder of human data in place of the Hub")
    probe: Literal["no-question", "no-options"] | None = flag("blank a part of every row: what is left is a shortcut")
    results: str | None = flag("folder of results, where the result is filed too")
    batch_size: int = flag("rows of a batch", 32)
    max_length: int | None = flag("tokens of a sequence; default: that of the training, else 256")
    mixed_precision: Literal["no", "fp16", "bf16"] | None = flag("default: that of `accelerate launch`, else no")
    trust_remote_code: bool = flag("run code that comes with the model", False)


def score(args: Arguments) -> dict[str, Any]:
    """Score a model, save the predictions, and write the figures into its result.

    Args:
        args (`Arguments`): see there.

    Returns:
        `dict[str, Any]`: the result with its `scores`; a probed test set stands there as `csqa:test#no-question`.

    Raises:
        UsageError: a test set does not fit the model's task, or there is no such model.
        RunFailed: a file of the model is damaged.
    """
    if args.batch_size < 1:
        raise UsageError(f"--batch-size must be at least 1, not {args.batch_size}")
    folder = folder_of(args.run)
    task = tasks.from_example(str(folder / "task.json")).task
    # Every test set is read before the model is loaded: a wrong name costs no time.
    tests = {_test_name(spec, args.probe): _rows(spec, task, args) for spec in args.on}
    accelerator = start(args.mixed_precision)
    from llm_created.train import features, publish
    from llm_created.train import model as models

    result, place = _result(folder, task, args)
    tokenizer = models.load_tokenizer(str(folder), args.trust_remote_code)
    model = models.load_model(str(folder), task, tokenizer, args.trust_remote_code, trained=True)
    max_length = args.max_length or result.get("params", {}).get("max_length", 256)
    max_length = models.fitting_length(model.to(accelerator.device), max_length)
    known = _training_keys(folder)
    for name, (rows, distribution) in tests.items():
        with accelerator.local_main_process_first():
            shown = features.tokenise(blanked(rows, args.probe), task.variable, tokenizer, max_length)
        predictions = models.predict(model, shown, task.variable, tokenizer.pad_token_id, accelerator, args.batch_size)
        figures = scores.score(predictions, [row.answer for row in rows])
        entry = figures.to_json() | leaks(rows, known) | {"distribution": distribution, "probe": args.probe}
        entry["train_rows"] = result.get("train", {}).get("train_rows")
        if accelerator.is_main_process:
            entry["predictions"] = results.write_predictions(place, name, rows, predictions)
        result["scores"][name] = entry
        _say(name, figures, entry)
    if accelerator.is_main_process:
        results.write(place, result)
        if Path(args.run).is_dir():
            publish.beside(publish.load(args.run), publish.How())  # its card says every score
        if args.results:
            file(result, place, filed_at(args.results, result))
    accelerator.wait_for_everyone()
    return result


def filed_at(root: str, result: dict[str, Any]) -> Path:
    """Where a result belongs under a folder of results."""
    named = result.get("train_path") or result["train_set"]
    return results.path(root, result["task"], named, result["model"], result["creation_seed"], result["seed"])


def file(result: dict[str, Any], source: Path, place: Path) -> None:
    """Copy a result with its predictions to where all results are.

    Args:
        result (`dict[str, Any]`): the result.
        source (`Path`): its file; the predictions are beside it.
        place (`Path`): the file to write.
    """
    if source == place:
        return
    copied = {}
    for name, entry in result["scores"].items():
        copied[name] = entry | {"predictions": place.stem + entry["predictions"].removeprefix(source.stem)}
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.with_name(entry["predictions"]), place.with_name(copied[name]["predictions"]))
        except OSError as error:
            raise RunFailed(f"cannot copy predictions to {str(place.parent)!r}: {error.strerror or error}") from None
    results.write(place, result | {"scores": copied})


def _result(folder: Path, task: Task, args: Arguments) -> tuple[dict[str, Any], Path]:
    """The model's result and the file that it is kept in; one is begun where the model came without."""
    there = folder / "result.json"
    result = files.read_json(str(there)) if there.is_file() else None
    if not isinstance(result, dict) or not isinstance(result.get("scores"), dict):
        result = {
            "task": task.name, "family": "", "train_set": "unknown", "model": sources.public_name(args.run),
            "kind": "encoder", "creation_seed": "-", "seed": 0, "train": {}, "scores": {},
            "environment": results.environment(),
        }  # fmt: skip
    if Path(args.run).expanduser().is_dir():
        return result, there
    # A Hub model lies in the cache of the Hub, which is not a place to write to.
    return result, filed_at(args.results or "results", result)


def _test_name(spec: str, probe: str | None) -> str:
    return sources.public_name(spec) + (f"#{probe}" if probe else "")


def _rows(spec: str, task: Task, args: Arguments) -> tuple[list[Row], str]:
    """The rows of a test set in the model's labels, and whether it is in or out of distribution."""
    loaded = sources.load(spec, task, args.human_data)
    rows = sources.in_labels(loaded, task)
    if args.probe == "no-options" and not task.variable:
        raise UsageError(
            f"--probe no-options: the labels of {task.name!r} are not shown to the model; try no-question"
        )
    return rows, "in" if loaded.task.name == task.name else "out"


def blanked(rows: list[Row], probe: str | None) -> list[Row]:
    """The rows as a probe shows them: without the question, or without the options; their answers stay."""
    if probe == "no-question":
        return [row._replace(inputs=("", *row.inputs[1:])) for row in rows]
    if probe == "no-options":
        return [row._replace(options=("",) * len(row.options)) for row in rows]
    return rows


def _training_keys(folder: Path) -> set[str] | None:
    """The keys of all rows and questions that it was trained and chosen on; `None` where they are not known."""
    path = folder / "train_keys.txt"
    return set(path.read_text("ascii").split()) if path.is_file() else None


def leaks(rows: list[Row], known: set[str] | None) -> dict[str, int | None]:
    """How many test rows are among the training rows: whole (`leaked`), or their question alone (`same_question`)."""
    if known is None:
        return {"leaked": None, "same_question": None}
    parts = [key.split() for key in data.keys(rows)]
    return {
        "leaked": sum(row in known for row, _ in parts),
        "same_question": sum(question in known for _, question in parts),
    }


def _say(name: str, figures: scores.Score, entry: dict[str, Any]) -> None:
    low, high = 100 * figures.low, 100 * figures.high
    mark = ", which a constant answer gets too" if scores.is_majority(figures) else ""
    where = "in" if entry["distribution"] == "in" else "out of"
    _log.info(
        "%s (%s distribution): accuracy %.1f [%.1f, %.1f], n %s, majority %.1f%s",
        name, where, 100 * figures.accuracy, low, high, f"{figures.n:,}", 100 * figures.majority, mark,
    )  # fmt: skip
    if entry["leaked"]:
        _log.warning("%s: %d of %d rows are in the training data", name, entry["leaked"], figures.n)
    if entry["leaked"] is None:
        _log.warning("%s: the model came without train_keys.txt, so it may have been trained on these rows", name)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv and not argv[0].startswith("-"):
        argv.insert(0, "--run")
    return command(Arguments, score, __doc__ or "", argv)


if __name__ == "__main__":
    sys.exit(main())
