"""Where runs lie, and which one a person means: its digest's beginning, its name, or the folder of its rows."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import LLMCreatedError, UsageError
from ..utils.files import the_one
from .identity import Identity
from .journal import FILE_NAME, Journal

RUN_FILE = "run.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def all_runs(
    unreadable: Callable[[LLMCreatedError], None] = lambda error: None,
) -> Iterator[tuple[str, dict[str, Any], str | None]]:
    """Digest, identity and name of every run in the cache, newest first.

    Args:
        unreadable (`Callable[[LLMCreatedError], None]`, *optional*): told of each journal that cannot be read.
    """
    for path in sorted(_journals(), key=lambda path: -path.stat().st_mtime):
        try:
            with Journal(path.parent) as journal:
                found = path.parent.name, journal.get("identity"), journal.get("name")
        except LLMCreatedError as error:
            unreadable(error)
            continue
        if isinstance(found[1], dict):
            yield found


def _journals() -> Iterator[Path]:
    return (cache_folder() / "runs").glob(f"*/{FILE_NAME}")


def find(run: str) -> Path:
    """The folder of the run that a person means.

    Args:
        run (`str`): the beginning of its digest, its name, its folder, or a folder that its rows were written to.

    Raises:
        UsageError: there is none, or more than one.
    """
    run = the_one(run)
    path = Path(run).expanduser()
    if (path / FILE_NAME).exists():
        return path
    if (path / RUN_FILE).exists():
        try:
            digest = str(json.loads((path / RUN_FILE).read_text("utf-8"))["run"])
        except (OSError, ValueError, KeyError, TypeError):
            raise UsageError(f"{path / RUN_FILE} does not say which run wrote it") from None
        folder = cache_folder() / "runs" / Path(digest).name
        if (folder / FILE_NAME).exists():
            return folder
        raise UsageError(f"{run!r} was written by the run {digest[:8]}, whose journal is not in {cache_folder()}")
    # A digest is looked for among the folders: a run whose journal is damaged is found, and said to be damaged.
    found = [digest for digest, _, name in all_runs() if name == run] or [
        path.parent.name for path in _journals() if len(run) >= 4 and path.parent.name.startswith(run.lower())
    ]
    if len(found) == 1:
        return cache_folder() / "runs" / found[0]
    if found:
        raise UsageError(
            f"{run!r} fits {len(found)} runs ({', '.join(digest[:12] for digest in found)}): give more of it"
        )
    raise UsageError(f"there is no run {run!r} in {cache_folder()}: `llm-created runs` lists them")


def check_name(name: str, digest: str) -> None:
    """Say whether this run can have this name.

    Raises:
        UsageError: the name is not usable, or another run has it.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"`name` {name!r}: use up to 64 letters, digits, '.', '_' and '-'")
    for other, _, taken in all_runs():
        if taken == name and other != digest:
            raise UsageError(
                f"`name` {name!r} is the name of the run {other[:8]}, which had other settings: "
                "give another name, or the settings of that run"
            )


def same_but_instruction(identity: Identity) -> str:
    """The digest of a run that has replies and differs from this one in its instruction alone, or `""`."""
    wanted = identity.as_json
    for digest, other, _ in all_runs():
        if digest != identity.digest and other | {"instruction": ""} == wanted | {"instruction": ""}:
            with Journal(cache_folder() / "runs" / digest) as journal:
                if journal.num_replies():
                    return digest
    return ""


def cache_folder() -> Path:
    """`$LLM_CREATED_CACHE`, or `llm_created` beside the caches of the Hugging Face libraries."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("LLM_CREATED_CACHE") or Path(home) / "llm_created").expanduser()


def run_folder(digest: str) -> Path:
    """The folder of the run with this digest."""
    return cache_folder() / "runs" / digest
