"""A linear model in a folder: weights as safetensors, all else as JSON, nothing that is run when it is read."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RunFailed, UsageError
from ..tasks.builtin import TASK_FILE
from ..tasks.task import Task
from ..utils import files, swap
from ..utils.text import shorten
from ..utils.version import __version__
from .choose import place_of, restored
from .embedded import Embeddings
from .linear import Linear

if TYPE_CHECKING:
    import numpy as np

LINEAR_FILE, WEIGHTS_FILE = "linear.json", "model.safetensors"
# Where the embedding model lies on this machine: of no use, and nobody's business, on another.
PLACE_FILE = ".embedding-model"
OWN = (WEIGHTS_FILE, PLACE_FILE, TASK_FILE, LINEAR_FILE)
_FORMAT = 1


def save(model: Linear, folder: str | Path, example: Mapping[str, Any] | None = None) -> Path:
    """Keep a linear model in a folder that `load_model` and `llm-created predict` take.

    All or nothing: a kill at any moment leaves there the old model or the new one.

    Args:
        model (`Linear`): a trained one.
        folder (`str` or `Path`): a new or an empty folder, or one with a linear model, which is replaced.
        example (`Mapping[str, Any]`, *optional*): the task's formatting example, for `task.json`.

    Raises:
        UsageError: the folder holds something else, or a package is missing.
        RunFailed: it cannot be written.
    """
    folder = Path(folder).expanduser()
    check(folder)
    stage = swap.beside(folder, "model")
    try:
        swap.restore(stage, folder)
        folder.mkdir(parents=True, exist_ok=True)
        swap.clear(stage)
        write(model, stage, example)
        swap.take_place(stage, folder, OWN)
    except OSError as error:
        raise files.cannot_write(folder, error, "") from None
    return folder


def check(folder: Path) -> None:
    """Say whether a linear model can be kept in a folder, before one is trained.

    Raises:
        UsageError: it holds something else, or a package is missing.
    """
    if importlib.util.find_spec("safetensors") is None:
        raise UsageError("to keep a linear model, safetensors is wanted: pip install 'llm-created[linear]'")
    try:
        there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise UsageError(f"the folder {str(folder)!r} cannot be used: {error.strerror or error}") from None
    if there and LINEAR_FILE not in there:
        raise UsageError(f"{str(folder)!r} holds other files ({', '.join(there[:3])}): give an empty or a new folder")


def write(model: Linear, folder: Path, example: Mapping[str, Any] | None = None) -> None:
    """Write the files of a model into a folder, whatever else is there."""
    import numpy as np
    from safetensors.numpy import save as packed

    about, arrays = model.kept()
    # The bytes of a matrix that lies the other way round are written as they lie.
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    (folder / WEIGHTS_FILE).write_bytes(packed(arrays))
    if isinstance(model.features, Embeddings) and os.path.isdir(model.features.path):
        files.write_text(folder / PLACE_FILE, f"{model.features.path}\n")
    files.write_json(
        folder / TASK_FILE, model.task.to_json() | {"example": None if example is None else dict(example)}
    )
    files.write_json(folder / LINEAR_FILE, {"format": _FORMAT, "library": f"llm-created {__version__}"} | about)


def load(folder: Path, task: Task, embedding_model: str | None = None) -> Linear:
    """The model that `save` kept.

    Raises:
        UsageError: something that it needs is not here, or a later version wrote it.
        RunFailed: a file is damaged.
    """
    about = files.read_json(str(folder / LINEAR_FILE), "a linear model")
    if not isinstance(about, dict) or not isinstance(about.get("features"), dict):
        raise RunFailed(f"{str(folder / LINEAR_FILE)!r} is damaged: copy the folder again")
    if about.get("format") != _FORMAT:
        raise UsageError(f"{str(folder)!r} is in format {about.get('format')!r}, and {_FORMAT} is known: upgrade")
    arrays = _arrays(folder / WEIGHTS_FILE)
    place = embedding_model or _place(folder, about["features"])
    features = restored(about["features"], arrays, place)
    try:
        return Linear(task, features).restore(about["classes"], arrays)
    except (KeyError, ValueError, TypeError) as error:
        told = shorten(str(error), 80)
        raise RunFailed(f"the model in {str(folder)!r} is damaged ({told}): copy the folder again") from None


def _place(folder: Path, features: Mapping[str, Any]) -> str | None:
    """Where the embedding model is looked for."""
    if features.get("kind") != "embeddings":
        return None
    noted, name = folder / PLACE_FILE, str(features.get("model"))
    if noted.is_file():
        path = noted.read_text("utf-8").strip()
        if os.path.isdir(path):
            return path
    place = place_of(name)
    if place is None:
        raise UsageError(
            f"the embedding model {name!r} of {str(folder)!r} is not here: say where with `embedding_model` FOLDER"
        )
    return place


def _arrays(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}: the model has lost its weights")
    try:
        found: dict[str, np.ndarray] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        told = shorten(str(error), 80)
        raise RunFailed(f"{str(path)!r} is truncated or damaged ({told}): copy it again") from None
    return found
