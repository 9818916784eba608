"""The file with the labels: written whole, and never over somebody's work."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data import fields
from ..data.written import line
from ..errors import StoppedShort, UsageError
from ..runs.journal import Journal
from ..tasks.task import Task
from ..utils.files import write_text
from ..utils.text import digest, fold
from .records import Case
from .votes import Labelled

_WRITTEN = (".jsonl", ".json", ".csv", ".tsv")
# What stands beside a record, and the label itself, whose column is the task's.
_OURS = ("votes", "agreement", "probability", "explanation", "reason")
_LABEL = ""


def check(out: Path) -> None:
    """Refuse a file that labels are not written as.

    Raises:
        UsageError: names those that they are.
    """
    if out.suffix.lower() not in _WRITTEN and not out.exists():
        raise UsageError(f"`out` {str(out)!r}: labels are written as {', '.join(_WRITTEN)}")


def column(task: Task, cases: Sequence[Case]) -> str:
    """The column of the model's labels: the task's answer field where no record has one, else a column of its own."""
    return _free(f"llm_{task.answer}" if any(_answered(task, case) for case in cases) else task.answer, _names(cases))


def _answered(task: Task, case: Case) -> bool:
    """Whether a record has a field for the answer, even an empty one."""
    given = case.given is not None or bool(case.stray)
    return given or (isinstance(case.record, Mapping) and task.answer in fields.own_names(task, case.record))


def _names(cases: Sequence[Case]) -> set[str]:
    """The names of all fields, so that a column is called the same in every record."""
    records = (case.record for case in cases if isinstance(case.record, Mapping))
    return {fold(name) for record in records for name in record if isinstance(name, str)}


def _free(name: str, taken: set[str]) -> str:
    while fold(name) in taken:
        name = f"llm_{name}"
    return name


def text(
    task: Task,
    cases: Sequence[Case],
    found: Mapping[int, Labelled | None],
    short: StoppedShort | None = None,
    suffix: str = ".jsonl",
) -> str:
    """The file: every record in its order and as it was, and the model's label beside what it says.

    No label that a record came with is touched: where there are any, the model's have a column of their own. A record
    without a label has null there, and a `reason`; a line that is no object is kept as `unread`. Where a record has a
    field of one of our names, ours begins with `llm_`.

    Args:
        task (`Task`): the task.
        cases (`Sequence[Case]`): the records.
        found (`Mapping[int, Labelled | None]`): what the votes say, by the record's place.
        short (`StoppedShort`, *optional*): why there is no more.
        suffix (`str`, defaults to `".jsonl"`): what kind of file it is.
    """
    taken = _names(cases)
    ours = {name: _free(name, taken) for name in _OURS} | {_LABEL: column(task, cases)}
    records = [_record(case, found.get(place), short, ours) for place, case in enumerate(cases)]
    if suffix.lower() == ".json":
        return f"[{f',{chr(10)} '.join(map(line, records))}]\n"
    if between := {".csv": ",", ".tsv": "\t"}.get(suffix.lower()):
        return _cells(records, between)
    return "".join(f"{line(one)}\n" for one in records)


def _cells(records: Sequence[Mapping[str, Any]], between: str) -> str:
    """The records as CSV; what is neither text nor number stands in its cell as JSON."""
    lines = io.StringIO(newline="")
    names = list(dict.fromkeys(name for record in records for name in record))
    writer = csv.writer(lines, delimiter=between, lineterminator="\n")
    writer.writerow(names)
    for record in records:
        cells = (record.get(name) for name in names)
        writer.writerow([line(one) if isinstance(one, (dict, list)) else one for one in cells])
    return lines.getvalue().encode("utf-8", "backslashreplace").decode()


def _record(case: Case, one: Labelled | None, short: StoppedShort | None, ours: Mapping[str, str]) -> dict[str, Any]:
    """A record, and what the votes say of it under our names."""
    if not isinstance(case.record, Mapping):
        assert case.reason is not None
        return {"unread": case.record, "reason": f"{case.reason.code}: {case.reason.detail}"}
    said: dict[str, Any] = {_LABEL: None}
    if one is not None:
        said = _voted(one)
    if said[_LABEL] is None:
        said["reason"] = _why(case, one, short)
    return {**case.record, **{ours[name]: value for name, value in said.items()}}


def _voted(one: Labelled) -> dict[str, Any]:
    """The label that most votes are for, and the votes; or the likeliest, and its probability."""
    options, votes = one.row.options, Counter(vote for vote in one.votes if vote is not None)
    if one.probability is not None:
        likeliest = None if one.label is None else options[one.label]
        return {_LABEL: likeliest, "probability": round(one.probability, 4) or None}
    said: dict[str, Any] = {_LABEL: None, "votes": {options[vote]: votes[vote] for vote in sorted(votes)}}
    said["agreement"] = None
    if one.label is not None:
        said |= {_LABEL: options[one.label], "agreement": round(votes[one.label] / len(one.votes), 4)}
    return said | ({"explanation": one.explanation} if one.explanation else {})


def _why(case: Case, one: Labelled | None, short: StoppedShort | None) -> str:
    if case.reason is not None:
        return f"{case.reason.code}: {case.reason.detail}"
    if one is None:
        return f"not labelled yet: {short}"
    if one.probability is not None:
        return f"no likelihoods in the reply ({one.unread[0]}), or two that are the same"
    return f"no majority of {len(one.votes)} votes"


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
