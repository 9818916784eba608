"""Files read and written whole, or one clear line why not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import glob
from pathlib import Path
from typing import Any

from ..errors import RunFailed, UsageError

# Longer than any example, shorter than a dataset given by mistake.
_MAX_EXAMPLE = 1_000_000
# Of a run that cannot write its rows.
KEPT = "The replies are kept: mend that, or give another `out`, and run the same command again"


def the_one(spec: str) -> str:
    """The path that a pattern fits; anything else as it is.

    Raises:
        UsageError: it fits several.
    """
    if not any(mark in spec for mark in "*?[") or Path(spec).expanduser().exists():
        return spec
    found = sorted(glob(os.path.expanduser(spec)))
    if len(found) > 1:
        raise UsageError(f"{spec!r} fits {len(found)} paths ({', '.join(found[:3])}): name one of them")
    return found[0] if found else spec


def text_or_file(flag: str, given: str) -> str:
    """A text, or what is in the file of that name."""
    looks_like_path = "\n" not in given and len(given) < 256 and " " not in given and ("." in given or "/" in given)
    return read_text(flag, given) if looks_like_path or os.path.isfile(Path(given).expanduser()) else given


def read_text(flag: str, given: str) -> str:
    """The text in the file that a flag names."""
    try:
        return Path(given).expanduser().read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{flag}: cannot read {given!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{flag}: {given!r} is not UTF-8: save it as UTF-8") from None


def read_json(path: str, what: str = "one formatting example", most: int | None = _MAX_EXAMPLE) -> Any:
    """The JSON value in a file, or a `UsageError` that says where it is not JSON.

    Args:
        path (`str`): the file.
        what (`str`, defaults to `"one formatting example"`): what should be in it, for the error.
        most (`int`, *optional*): bytes that it may have.
    """
    try:
        raw = Path(path).expanduser().read_bytes()
    except FileNotFoundError:
        raise UsageError(f"there is no file {path!r}: give a JSON file that holds {what}") from None
    except OSError as error:
        raise UsageError(f"cannot read {path!r}: {error.strerror or error}") from None
    if most is not None and len(raw) > most:
        raise UsageError(f"{path!r} has {len(raw):,} bytes: {what} is wanted, not a dataset")
    return _parsed(path, raw, what)


def _parsed(path: str, raw: bytes, what: str) -> Any:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path!r} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    if not text.strip():
        raise UsageError(f'{path!r} is empty: it must hold one object such as {{"question": ..., "answer": ...}}')
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise UsageError(
                f"{path!r} holds more than one JSON value (the second begins at line {error.lineno}, column "
                f"{error.colno}): give {what}"
            ) from None
        raise UsageError(f"{path!r} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise UsageError(f"{path!r} is nested too deeply to be {what}") from None
    except ValueError as error:
        raise UsageError(f"{path!r} cannot be read as JSON: {error}") from None


@contextmanager
def whole(path: Path, then: str = "") -> Iterator[Path]:
    """A name beside a file to write to; once that is done, what was written takes the file's place.

    Args:
        path (`Path`): the file; its folder is made.
        then (`str`, *optional*): what the person can do where it fails.

    Raises:
        RunFailed: the file system refuses.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.incomplete")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        raise cannot_write(path, error, then) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str, then: str = "") -> None:
    """Write a file whole; see `whole`."""
    with whole(path, then) as part:
        part.write_bytes(text.encode())


def write_json(path: Path, value: Any, then: str = "") -> None:
    """Write a JSON file whole; see `whole`."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n", then)


def cannot_write(path: Path, error: OSError, then: str = KEPT) -> RunFailed:
    """The error for a file that cannot be written."""
    return RunFailed(f"cannot write {str(path)!r}: {error.strerror or error}" + (f". {then}" if then else ""))
