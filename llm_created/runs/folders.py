"""Where runs lie, and which one a person means: its digest's beginning, its name, or the folder of its rows."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import LLMCreatedError, UsageError
from ..utils.files import the_one
from .identity import Identity
from .journal import FILE_NAME, Journal
from .readings import Which

RUN_FILE = "run.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Found(NamedTuple):
    """A run that a person means, and what they said of it.

    Attributes:
        folder (`Path`): its folder.
        which (`Which`): the reading that is meant.
    """

    folder: Path
    which: Which = Which()

    def open(self) -> Journal:
        """Its journal, to be read, which speaks of what is meant."""
        return Journal(self.folder, which=self.which)


def all_runs(
    unreadable: Callable[[LLMCreatedError], None] = lambda error: None,
) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Digest, identity and names of every run in the cache, newest first.

    Args:
        unreadable (`Callable[[LLMCreatedError], None]`, *optional*): told of each journal that cannot be read.
    """
    for path in sorted(_journals(), key=lambda path: -path.stat().st_mtime):
        try:
            with Journal(path.parent) as journal:
                names = [one.name for one in journal.readings() if one.name]
                found = path.parent.name, journal.get("identity"), names
        except LLMCreatedError as error:
            unreadable(error)
            continue
        if isinstance(found[1], dict):
            yield found


def _journals() -> Iterator[Path]:
    return (cache_folder() / "runs").glob(f"*/{FILE_NAME}")


def find(run: str) -> Found:
    """The run that a person means.

    A folder of rows means what it was made as: its rows, with its checks. A name means what the last command made that
    gave it. A digest means what the last command made.

    Args:
        run (`str`): the beginning of its digest, its name, its folder, or a folder that its rows were written to.

    Raises:
        UsageError: there is none, or more than one.
    """
    run = the_one(run)
    path = Path(run).expanduser()
    if (path / FILE_NAME).exists():
        return Found(path)
    if (path / RUN_FILE).exists():
        return _of_rows(run, path / RUN_FILE)
    # A digest is looked for among the folders: a run whose journal is damaged is found, and said to be damaged.
    named = [digest for digest, _, names in all_runs() if run in names]
    found = named or _begins_with(run)
    if not found:
        raise UsageError(f"there is no run {run!r} in {cache_folder()}: `llm-created runs` lists them")
    if len(found) > 1:
        raise UsageError(
            f"{run!r} fits {len(found)} runs ({', '.join(digest[:12] for digest in found)}): give more of it"
        )
    return Found(cache_folder() / "runs" / found[0], Which(run) if named else Which())


def _of_rows(run: str, path: Path) -> Found:
    """The run that wrote a folder of rows."""
    digest, which = _written(run, path)
    folder = cache_folder() / "runs" / Path(digest).name
    if not (folder / FILE_NAME).exists():
        raise UsageError(f"{run!r} was written by the run {digest[:8]}, whose journal is not in {cache_folder()}")
    return Found(folder, which)


def _begins_with(digest: str) -> list[str]:
    """The runs whose digests begin so; four signs are the least."""
    if len(digest) < 4:
        return []
    return [path.parent.name for path in _journals() if path.parent.name.startswith(digest.lower())]


def _written(folder: str, path: Path) -> tuple[str, Which]:
    """The run that wrote a folder of rows, and how it was read for them."""
    try:
        about = json.loads(path.read_text("utf-8"))
        said = Which(None, folder, int(about["rows"]), str(about.get("reading", "")), int(about.get("target", 0)))
        return str(about["run"]), said
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"{path} does not say which run wrote it") from None


def check_name(name: str, digest: str) -> None:
    """Say whether this run can have this name.

    Raises:
        UsageError: the name is not usable, or another run has it.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"`name` {name!r}: use up to 64 letters, digits, '.', '_' and '-'")
    for other, _, taken in all_runs():
        if name in taken and other != digest:
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


def other_examples(identity: Identity) -> tuple[str, int] | None:
    """Of a run that is not there yet, one that differs in that formatting examples were added or left out: its digest,
    and how many it has."""
    wanted = identity.as_json
    if run_folder(identity.digest).exists() or not wanted["example"]:
        return None
    shown = _examples(wanted)
    none = {"example": None, "more_examples": None}
    for digest, other, _ in all_runs():
        if other.get("example") and other | none == wanted | none:
            ours, theirs = ({json.dumps(one, sort_keys=True) for one in all_} for all_ in (shown, _examples(other)))
            if ours < theirs or theirs < ours:
                return digest, len(theirs)
    return None


def _examples(identity: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All examples of a run, without options that are the same in each."""
    all_, options = [identity["example"], *identity.get("more_examples", ())], identity["task"]["options"]
    fixed = identity["task"]["labels"] is not None
    return [{name: value for name, value in one.items() if not (fixed and name == options)} for one in all_]


def cache_folder() -> Path:
    """`$LLM_CREATED_CACHE`, or `llm_created` beside the caches of the Hugging Face libraries."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("LLM_CREATED_CACHE") or Path(home) / "llm_created").expanduser()


def run_folder(digest: str) -> Path:
    """The folder of the run with this digest."""
    return cache_folder() / "runs" / digest
