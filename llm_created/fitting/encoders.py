"""A transformer in place of a linear model: the three arms, each trained by `train/finetune.py`, which resumes."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..evaluation.results import fingerprint
from ..tasks.task import Row, Task
from ..utils.files import write_json, write_text
from .plan import HELD_FILE, records

_NEEDED = ("torch", "transformers", "accelerate")


def check(name: str) -> None:
    """Say what is missing before anything is bought.

    Args:
        name (`str`): the encoder, a folder or its name on the Hub.

    Raises:
        UsageError: names the packages, or says what is wrong with the encoder.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"`encoder` needs {', '.join(missing)}: pip install 'llm-created[train]'")
    module: Any = importlib.import_module("llm_created.train.model")
    try:
        module.load_tokenizer(name)
    except UsageError as error:
        raise UsageError(f"`encoder` {name!r}: {error}") from None


class Trainings:
    """Trainings of an encoder in a folder, told apart by their rows.

    Args:
        name (`str`): the encoder, a folder or its name on the Hub.
        task (`Task`): of the rows.
        work (`Path`): where rows and checkpoints are; the held-out rows lie there already.
        seed (`int`): of the head and the order of rows.
    """

    def __init__(self, name: str, task: Task, work: Path, seed: int) -> None:
        self._name, self._task, self._work, self._seed = name, task, work, seed
        self._folders: dict[str, Path] = {}

    def train(self, rows: Sequence[Row]) -> Callable[[Sequence[Row]], list[int]]:
        """Train on rows, or go on; what that says is to the held-out rows, whatever it is asked about."""
        place = self._work / f"encoder-{len(self._folders)}"
        self._folders[fingerprint(rows)] = place
        write_json(self._work / "task.json", self._task.to_json() | {"example": records(self._task, rows[:1])[0]})
        lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in records(self._task, rows))
        write_text(file := self._work / f"{place.name}.jsonl", "".join(lines))
        # By name: mypy cannot follow a package that is mapped to another folder.
        module: Any = importlib.import_module("llm_created.train.finetune")
        arguments: Any = importlib.import_module("llm_created.train.arguments")
        on = [str(self._work / HELD_FILE)] if (self._work / HELD_FILE).is_file() else None
        how = {"model": self._name, "task": str(self._work / "task.json"), "output_dir": str(place), "on": on}
        result = module.finetune(arguments.Arguments([str(file)], **how, seed=self._seed))

        def predict(held: Sequence[Row]) -> list[int]:
            said = place / result["scores"][HELD_FILE]["predictions"]
            return [json.loads(line)["prediction"] for line in said.read_text("utf-8").splitlines()]

        return predict

    def copy(self, rows: Sequence[Row], to: Path) -> None:
        """Copy what the training on these rows wrote, but for what it said to the held-out ones."""
        for path in self._folders[fingerprint(rows)].iterdir():
            if path.is_file() and not path.name.startswith(".") and path.suffix != ".jsonl":
                shutil.copyfile(path, to / path.name)
