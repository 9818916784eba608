"""What a training is resumed from: written under a temporary name and renamed, so that a kill leaves a whole one."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from llm_created.errors import RunFailed
from llm_created.train.model import damaged
from llm_created.utils.files import whole

FOLDER = "checkpoints"


def save(folder: Path, model: Any, state: dict[str, Any], **parts: Any) -> None:
    """Write a checkpoint, then delete the ones before it.

    Args:
        folder (`Path`): holds the checkpoints of one training.
        model (`torch.nn.Module`): not wrapped.
        state (`dict[str, Any]`): plain JSON; `step` names the checkpoint.
        **parts: what has a `state_dict`: optimizer, schedule, gradient scaler.
    """
    name = f"step-{state['step']}-{state['epoch']}"
    part = folder / f".{name}.incomplete"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        safetensors.torch.save_model(model, str(part / "model.safetensors"))
        torch.save({key: value.state_dict() for key, value in parts.items()}, part / "optimizer.pt")
        (part / "state.json").write_text(json.dumps(state), "utf-8")
        shutil.rmtree(folder / name, ignore_errors=True)
        os.replace(part, folder / name)
        for other in folder.glob("step-*"):
            if other.name != name:
                shutil.rmtree(other, ignore_errors=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise RunFailed(f"cannot write the checkpoint {str(folder / name)!r}: {error}") from None


def newest(folder: Path) -> Path | None:
    """The checkpoint that was written last, or `None`."""
    found = [path for path in folder.glob("step-*") if path.is_dir()]
    return max(found, key=lambda path: tuple(map(int, path.name.split("-")[1:])), default=None)


def load(path: Path, model: Any, **parts: Any) -> dict[str, Any]:
    """Read a checkpoint into the model and the parts, and return its state.

    Raises:
        RunFailed: a file of it cannot be read; the message names it.
    """
    read_weights(path / "model.safetensors", model)
    try:
        saved = torch.load(path / "optimizer.pt", map_location="cpu", weights_only=True)
        for key, value in parts.items():
            value.load_state_dict(saved[key])
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise damaged(path / "optimizer.pt", error) from None
    try:
        state: dict[str, Any] = json.loads((path / "state.json").read_bytes())
    except (OSError, ValueError) as error:
        raise damaged(path / "state.json", error) from None
    return state


def read_weights(path: Path, model: Any) -> None:
    """Read weights into a model.

    Raises:
        RunFailed: the file is missing, truncated, or another model's.
    """
    try:
        safetensors.torch.load_model(model, str(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise damaged(path, error) from None


def keep_best(folder: Path, model: Any, epoch: int) -> None:
    """Write the weights of the best epoch so far."""
    path = best(folder, epoch)
    try:
        with whole(path) as part:
            safetensors.torch.save_model(model, str(part))
    except SafetensorError as error:
        raise RunFailed(f"cannot write {str(path)!r}: {error}") from None


def best(folder: Path, epoch: int) -> Path:
    """Where the weights of an epoch are, if it was the best: the epoch is in the name, because a training that was
    killed may have to go back to an earlier one."""
    return folder / f"best-{epoch}.safetensors"


def forget_other_bests(folder: Path, epoch: int) -> None:
    """Delete the weights of epochs that are no longer the best; called when a checkpoint says so."""
    for other in folder.glob("best-*.safetensors"):
        if other != best(folder, epoch):
            other.unlink(missing_ok=True)


def publish(output: Path, model: Any, tokenizer: Any) -> None:
    """Save model and tokenizer into the output folder, each file whole or not at all."""
    part = output / ".incomplete"
    try:
        shutil.rmtree(part, ignore_errors=True)
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        for path in sorted(part.iterdir()):
            os.replace(path, output / path.name)
        part.rmdir()
    except (OSError, SafetensorError) as error:
        raise RunFailed(f"cannot write the model to {str(output)!r}: {error}") from None
