"""What a training leaves behind: its folder, and its result there and where all results are."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from llm_created.data import sources
from llm_created.errors import UsageError
from llm_created.evaluation import results
from llm_created.models import use
from llm_created.train import checkpoint, data, publish, score
from llm_created.train.arguments import Arguments
from llm_created.utils import files
from llm_created.utils.files import write_json
from llm_created.utils.text import slug

RESULT_FILE, KEYS_FILE = "result.json", "train_keys.txt"
_log = logging.getLogger("llm_created.train")


def default_folder(args: Arguments, rows: data.TrainingData) -> Path:
    """`models/TASK-TRAINSET-MODEL-CREATIONSEED-SEED`."""
    names = (rows.task.name, rows.path_name, args.named, rows.creation_seed, str(args.seed))
    return Path("models", "-".join(slug(name) for name in names if name != "-"))


def finished(output: Path, identity: str, overwrite: bool, accelerator: Any) -> dict[str, Any] | None:
    """The result in the output folder if this very training made it; `None` if there is work to do.

    Raises:
        UsageError: another training is in it, or files that are none.
    """
    last = checkpoint.newest(output / checkpoint.FOLDER)
    if overwrite and accelerator.is_main_process:
        (output / RESULT_FILE).unlink(missing_ok=True)
        shutil.rmtree(output / checkpoint.FOLDER, ignore_errors=True)
    accelerator.wait_for_everyone()
    if overwrite or not output.exists():
        return None
    if (output / RESULT_FILE).exists():
        return _same_training(output / RESULT_FILE, output, identity)
    if last is not None and (last / "state.json").exists():
        _same_training(last / "state.json", output, identity)
    # A kill between the weights and the result leaves a checkpoint; without one these are another's files.
    if last is None:
        _check_empty(output)
    return None


def _check_empty(output: Path) -> None:
    for path in output.iterdir():
        if not path.name.startswith(".") and path.name != checkpoint.FOLDER:
            raise UsageError(
                f"--output-dir {str(output)!r} holds other files ({path.name}): give an empty or a new folder"
            )


def _same_training(file: Path, output: Path, identity: str) -> dict[str, Any]:
    value: dict[str, Any] = files.read_json(str(file))
    if value.get("identity") != identity:
        raise UsageError(f"--output-dir {str(output)!r} holds another training: give another folder, or --overwrite")
    return value


def result(args: Arguments, rows: data.TrainingData, state: dict[str, Any], warmup: int) -> dict[str, Any]:
    """What is known about a training, as in `result.json`, before anything is scored."""
    return {
        "task": rows.task.name,
        "family": rows.family,
        "train_set": rows.name,
        "train_path": rows.path_name,
        "model": args.named,
        "base_model": args.on_hub,
        "kind": "encoder",
        "creation_seed": rows.creation_seed,
        "seed": args.seed,
        "train": rows.about | {"train_rows": len(rows.train)},
        "params": args.settings,
        "steps": state["step"],
        "warmup_steps": warmup,
        "epochs": state["epoch"],
        "best_epoch": state["best_epoch"],
        "validation_accuracy": state["best"],
        "history": state["history"],
        "seconds": round(state["seconds"], 1),
        "scores": {},
    }


def write_beside(output: Path, rows: data.TrainingData, result: dict[str, Any]) -> None:
    """What belongs to the model: its task, what it was trained on, and, last, the result."""
    write_json(output / "task.json", rows.task.to_json() | {"example": dict(rows.example)})
    # The rows that chose the epoch count: a test row among them flatters the score as well.
    keys = sorted(set(data.keys([*rows.train, *rows.validation])))
    (output / KEYS_FILE).write_text("".join(f"{key}\n" for key in keys), "ascii")
    results.write(output / RESULT_FILE, result)


def file_and_score(result: dict[str, Any], output: Path, args: Arguments, accelerator: Any) -> dict[str, Any]:
    """File the result where all results are, score the test sets that it does not have yet, write the card, push."""
    if args.results and accelerator.is_main_process:
        score.file(result, output / RESULT_FILE, score.filed_at(args.results, result))
    missing = [test for test in args.on or () if sources.public_name(test) not in result["scores"]]
    if missing:
        wanted = score.Arguments(str(output), missing, args.human_data, results=args.results)
        wanted.batch_size, wanted.mixed_precision = args.eval_batch_size, args.mixed_precision
        wanted.trust_remote_code = args.trust_remote_code
        result = score.score(wanted)
    if accelerator.is_main_process:
        publish.finished(output, args, lambda text: _log.info("%s", text))
        for line in use.lines(output, publish.load(str(output)).task, "encoder"):
            _log.info("%s", line)
    accelerator.wait_for_everyone()
    return result
