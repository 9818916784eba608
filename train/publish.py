"""A trained model with its card: beside it in its folder, and on the Hub in one commit."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from llm_created.errors import RunFailed, UsageError
from llm_created.hub.repository import Files, Head, Say, commit
from llm_created.hub.secrets import no_keys
from llm_created.runs.settings import DEMO
from llm_created.tasks import builtin as tasks
from llm_created.train import model_card
from llm_created.train.arguments import Arguments, Finetune
from llm_created.train.model_card import NAME, TASK, How, Trained
from llm_created.utils.console import out, say
from llm_created.utils.files import read_json, write_text
from llm_created.utils.text import shorten

RESULT = "result.json"
# What of a folder belongs to a model; result and task are written anew, predictions are named in the result.
_FILES = (
    "config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*", "vocab*", "merges.txt", "*.model",
    "special_tokens_map.json", "added_tokens.json", "*.py", "train_keys.txt",
)  # fmt: skip
# What a model that was there before may have left beside that.
_OLD = (*_FILES, "*.bin", "*.h5", "*.msgpack", "*.onnx", "result.*jsonl", TASK, RESULT)

# What of a result a card is made from.
_WANTED = {
    "identity": str, "task": str, "model": str, "train_set": str, "seed": int, "scores": dict, "train": dict,
    "params": dict, "validation_accuracy": float,
}  # fmt: skip
_OF_TRAIN = {"sources": list, "train_rows": int, "validation_rows": int, "validation": str}


def push_model(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created push-model RUN REPO`."""
    out(to_hub(load(args.run), args.repo, How.of(args), say))
    return 0


def finished(folder: Path, args: Arguments, say: Say) -> None:
    """What `finetune` ends with: the card beside the model, and the push if one was asked for."""
    how, trained = How.of(args) if isinstance(args, Finetune) else How(), load(str(folder))
    beside(trained, how)
    if isinstance(args, Finetune) and args.push_to_hub:
        say(f"pushed: {to_hub(trained, args.push_to_hub, how, say)}")


def load(run: str) -> Trained:
    """A trained model, by its folder.

    Raises:
        UsageError: there is none, or it is not finished.
        RunFailed: a file of its weights is damaged.
    """
    folder = Path(run).expanduser()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {run!r}: give the one that finetune wrote its model to")
    for name in (RESULT, TASK, "config.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            raise UsageError(f"{run!r} has no {name}: give a folder that finetune has finished")
    result = read_json(str(folder / RESULT))
    wrong = _missing(result)
    if wrong:
        raise UsageError(f"{str(folder / RESULT)!r} is no result of finetune: {wrong!r} is missing in it")
    _check_weights(folder)
    source = tasks.from_example(str(folder / TASK))
    known = tasks.load(source.task.name) if source.task.name in tasks.names() else None
    # A run may have begun at a row that people wrote, and its licence may not let it be shown: ours may be.
    example = known.example if known and known.task == source.task else source.example
    return Trained(folder, source.task, source.task.seed_row(example), result)


def _missing(result: Any) -> str | None:
    """The first thing that a card is made from and that a result does not have."""
    if not isinstance(result, dict):
        return "identity"
    wrong = [name for name, kind in _WANTED.items() if not isinstance(result.get(name), kind)]
    if wrong:
        return wrong[0]
    train = result["train"]
    wrong = [name for name, kind in _OF_TRAIN.items() if not isinstance(train.get(name), kind)]
    return (wrong or [None if all(map(_is_source, train.get("sources") or ())) else "sources"])[0]


def _is_source(value: Any) -> bool:
    return isinstance(value, dict) and {"name", "kind", "rows"} <= value.keys()


def _check_weights(folder: Path) -> None:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise UsageError('safetensors is missing: pip install "llm-created[train]"') from None
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UsageError(f"{str(folder)!r} has no weights (*.safetensors): give a folder that finetune has finished")
    for path in files:
        try:
            with safe_open(path, "numpy"):
                continue
        except (SafetensorError, OSError) as error:
            raise RunFailed(f"{str(path)!r} is truncated or damaged ({shorten(str(error), 100)})") from None


def beside(trained: Trained, how: How) -> None:
    """Write the card beside a model; what a person wrote around it stays.

    Raises:
        RunFailed: it cannot be written.
    """
    path = trained.folder / NAME
    write_text(path, model_card.write(trained, ".", _own(path), how))


def _own(path: Path) -> str:
    return path.read_text("utf-8-sig", "replace") if path.exists() else ""


def to_hub(trained: Trained, repo: str, how: How, say: Say = lambda text: None) -> str:
    """Push a model: weights, tokenizer, task, result and card in one commit.

    Args:
        trained (`Trained`): the model.
        repo (`str`): `owner/name`.
        how (`How`): what a person says about it.
        say (`Callable[[str], None]`, *optional*): told what is going on.

    Returns:
        `str`: the commit's address.

    Raises:
        UsageError: something in the call cannot be: see `repository.commit`; or the repository holds another model.
        RunFailed: the Hub refuses or cannot be reached.
    """
    no_demo(trained.result["train"])
    ours = _files(trained)
    result = trained.result

    def over(head: Head) -> Files:
        if not how.replace:
            _same_model(head, result)
        text = model_card.write(trained, repo, head.text(NAME) or _own(trained.folder / NAME), how)
        no_keys({NAME: text.encode()})
        old = [path for path in head.paths if any(fnmatch(path, pattern) for pattern in _OLD) and "/" not in path]
        return {path: None for path in old if path not in ours} | ours | {NAME: text.encode()}

    title = f"{result['task']}: {result['model']} trained on {result['train_set']}, seed {result['seed']}"
    return commit(repo, "model", over, message=shorten(title, 120), private=how.private, say=say)


def check(args: Arguments, train: Mapping[str, Any]) -> None:
    """Say before the training that its model could not be pushed; see `no_demo`."""
    if isinstance(args, Finetune) and args.push_to_hub:
        no_demo(train)


def no_demo(train: Mapping[str, Any]) -> None:
    """Refuse what was trained on the demo writer's rows, by what a result says of its training.

    Raises:
        UsageError: it was, in whole or in part.
    """
    for source in train["sources"]:
        if source.get("writer") == DEMO:
            raise UsageError(
                f"this model was trained on rows of the demo writer ({shorten(str(source['name']), 60)}): they are no "
                "data, and neither they nor what was trained on them is pushed"
            )


def _same_model(head: Head, result: Mapping[str, Any]) -> None:
    if not any(path.endswith((".safetensors", ".bin")) or path == "config.json" for path in head.paths):
        return
    try:
        theirs = json.loads(head.text(RESULT) or "{}")
    except ValueError:
        theirs = {}
    if not isinstance(theirs, dict) or theirs.get("identity") != result["identity"]:
        raise UsageError(
            f"{head.repo_id} holds another model than this training's: add --replace to put this one in its place, or "
            "give another name"
        )


def _files(trained: Trained) -> dict[str, bytes | Path]:
    """What is pushed beside the card. Nothing in it names a place of this machine."""
    folder, task, result = trained.folder, trained.task, dict(trained.result)
    if "environment" in result:
        result["environment"] = dict(result["environment"]) | {"command": model_card.command(trained)}
    texts = {
        TASK: _json(task.to_json() | {"example": task.example(trained.example)}),
        RESULT: _json(result),
    }
    no_keys(texts)
    predictions = {entry.get("predictions") for entry in result["scores"].values()}
    found: dict[str, bytes | Path] = {
        path.name: path
        for path in sorted(folder.iterdir())
        if path.is_file() and (path.name in predictions or any(fnmatch(path.name, one) for one in _FILES))
    }
    return found | texts


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
