"""An encoder that `train/finetune.py` wrote, put to rows."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..tasks.task import Row, Task
from ..utils import files

# What is held in memory at once, and what goes through the model at once.
_BATCH = 32
_NEEDED = ("torch", "transformers", "accelerate")


class Encoder:
    """A transformer with a trained head: classification, or multiple choice where options vary.

    Args:
        folder (`Path`): of `finetune`.
        task (`Task`): what it was trained for.

    Raises:
        UsageError: a package is missing, or the folder has no such model.
        RunFailed: its weights are damaged.
    """

    def __init__(self, folder: Path, task: Task) -> None:
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise UsageError(f"an encoder needs {', '.join(missing)}: pip install 'llm-created[train]'")
        # By name: mypy cannot follow a package that is mapped to another folder.
        self._of_models: Any = importlib.import_module("llm_created.train.model")
        self._of_tokens: Any = importlib.import_module("llm_created.train.features")
        import torch

        logging: Any = importlib.import_module("transformers.utils.logging")
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.task = task
        self._tokenizer = self._of_models.load_tokenizer(str(folder))
        model = self._of_models.load_model(str(folder), task, self._tokenizer, trained=True)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(self._device).eval()
        self._max_length = self._of_models.fitting_length(self._model, _max_length(folder))

    def probabilities(self, rows: Sequence[Row]) -> list[list[float]]:
        """For each row how likely each of its options or the task's labels is."""
        import torch

        if not rows:
            return []
        encoded = self._of_tokens.encode(rows, self.task.variable, self._tokenizer, self._max_length)
        found: list[list[float]] = [[] for _ in rows]
        pad, models = self._tokenizer.pad_token_id, self._of_models
        for batch in self._of_tokens.batches_by_length(encoded.lengths(), _BATCH):
            inputs, counts = encoded.batch(batch, pad)
            with torch.inference_mode(), models.oom_told(inputs, "`batch_size`", len(batch)):
                inputs = models.inputs_for(self._model, inputs, self._device)
                shares = models.logits(self._model, inputs, counts, self.task.variable).softmax(-1).tolist()
            for row, share, count in zip(batch, shares, counts, strict=True):
                found[row] = share[:count] if self.task.variable else share
        return found

    def forget(self) -> None:
        """Nothing is remembered."""


def _max_length(folder: Path) -> int:
    """The length that it was trained with."""
    path = folder / "result.json"
    result = files.read_json(str(path), "a result") if path.is_file() else None
    params = result.get("params") if isinstance(result, dict) else None
    length = params.get("max_length") if isinstance(params, dict) else None
    return length if isinstance(length, int) and 8 <= length <= 100_000 else 256
