"""The file with the labels: written whole, and never over somebody's work."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import StoppedShort, UsageError
from ..runs.journal import Journal
from ..tasks.task import Task
from ..utils.files import write_text
from ..utils.text import digest, fold
from .records import Case
from .votes import Labelled


def text(
    task: Task, cases: Sequence[Case], found: Mapping[int, Labelled | None], short: StoppedShort | None = None
) -> str:
    """The file: every record in its order and as it was, with the task's answer field as the votes say.

    An answer that a record came with is kept as `given`. A record without a label has null there, and a `reason`; a
    line that is no object is kept as `unread`. Where a record has a field of one of these names, ours begins with
    `llm_`.
    """
    lines = (_record(task, case, found.get(place), short) for place, case in enumerate(cases))
    return "".join(f"{_line(one)}\n" for one in lines)


def _line(record: Mapping[str, Any]) -> str:
    line = json.dumps(record, ensure_ascii=False, default=str)
    try:
        line.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON carries as an escape alone
        return json.dumps(record, default=str)
    return line


def _record(task: Task, case: Case, one: Labelled | None, short: StoppedShort | None) -> dict[str, Any]:
    if not isinstance(case.record, Mapping):
        assert case.reason is not None
        return {"unread": case.record, "reason": f"{case.reason.code}: {case.reason.detail}"}
    record: dict[str, Any] = dict(case.record)
    given = [record.pop(name) for name in list(record) if isinstance(name, str) and fold(name) == fold(task.answer)]
    taken = {fold(name) for name in record if isinstance(name, str)}

    def add(name: str, value: Any) -> None:
        while fold(name) in taken:
            name = f"llm_{name}"
        record[name] = value

    record[task.answer] = None
    if given and given[-1] not in (None, ""):
        add("given", given[-1])
    if one is not None:
        options, votes = one.row.options, Counter(vote for vote in one.votes if vote is not None)
        record[task.answer] = None if one.label is None else options[one.label]
        add("votes", {options[vote]: votes[vote] for vote in sorted(votes)})
        add("agreement", None if one.label is None else round(votes[one.label] / len(one.votes), 4))
        if one.explanation:
            add("explanation", one.explanation)
    if record[task.answer] is None:
        add("reason", _why(case, one, short))
    return record


def _why(case: Case, one: Labelled | None, short: StoppedShort | None) -> str:
    if case.reason is not None:
        return f"{case.reason.code}: {case.reason.detail}"
    return f"not labelled yet: {short}" if one is None else f"no majority of {len(one.votes)} votes"


def refuse(journal: Journal, path: Path, out: Path) -> None:
    """Leave a file alone that is not as this labelling wrote it: it is another's, or somebody has worked on it."""
    if not out.exists():
        return
    known = journal.get("written", {}).get(_of(out), {})
    if known.get("of") == _of(path) and out.is_file() and _content(out.read_bytes()) in known["contents"]:
        return
    raise UsageError(f"{str(out)!r} is there already, and not as this labelling wrote it: give another `out` FILE")


def write(journal: Journal, path: Path, out: Path, text: str) -> None:
    """Write the file, and note down what it holds."""
    before = [_content(out.read_bytes())] if out.exists() else []
    # Noted down before the file is there: a process that dies in between leaves one of the two.
    now = {"of": _of(path), "contents": [*before, _content(text.encode())]}
    journal.set("written", journal.get("written", {}) | {_of(out): now})
    write_text(out, text)


def _of(path: Path) -> str:
    return digest(str(path.resolve()))


def _content(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
