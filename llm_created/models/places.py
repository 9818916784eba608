"""Where a trained model lies: a folder, or a repository on the Hub, which is fetched."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import RunFailed, UsageError
from ..tasks.builtin import TASK_FILE
from ..utils.text import shorten

_HUB = re.compile(r"[\w.-]+/[\w.-]+")
# The weights as safetensors alone: other formats are larger, and may hold code.
_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.py"]


def folder_of(run: str) -> Path:
    """The folder of a model, fetched from the Hub if it is there.

    Raises:
        UsageError: there is no such folder, or nothing in it says what the model was trained for.
        RunFailed: it cannot be fetched.
    """
    folder = Path(run).expanduser()
    if not folder.exists() and _HUB.fullmatch(run):
        folder = _fetched(run)
    if folder.is_file():
        raise UsageError(f"{run!r} is a file: give the folder of a trained model")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {run!r}, and it is no name of a model on the Hub")
    if not (folder / TASK_FILE).is_file():
        raise UsageError(
            f"{run!r} has no {TASK_FILE}, which says what it was trained for: give a model that finetune, `fit` or "
            "`evaluate` kept"
        )
    return folder


def _fetched(run: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(run, allow_patterns=_WANTED))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise RunFailed(f"cannot load {run!r} from the Hub: {shorten(str(error), 160)}") from None
