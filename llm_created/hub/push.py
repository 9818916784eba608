"""A run on the Hub: its rows as Parquet, its card, and perhaps its replies, all in one commit."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..reports import card
from ..runs.folders import RUN_FILE, find
from ..runs.human import people
from ..runs.journal import Journal
from ..runs.kept import kept_rows
from ..tasks.task import Row, Task
from ..utils.version import __version__
from .merge import TASK_FILE, Merged, table
from .options import Pushed
from .repository import Files, Head, Say, commit, told
from .secrets import no_keys

REPLIES_FILE = "journal.jsonl"
# Licences under which a row of somebody else's data may be shown, as the Hub spells them.
_MAY_BE_SHOWN = {
    "afl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc0-1.0", "cdla-permissive-2.0", "mit", "odc-by", "pddl", "unlicense",
}  # fmt: skip


def push(
    run: str | os.PathLike[str],
    repo: str,
    *,
    private: bool = False,
    with_journal: bool = False,
    replace: bool = False,
    validation: float | None = None,
    license: str | None = None,
    language: str | Sequence[str] = (),
    overlap: str | None = None,
) -> str:
    """Push the rows of a run and their card to the Hub, in one commit.

    Args:
        run (`str` or `os.PathLike`): the beginning of its digest, its name, its folder, or the folder of its rows.
        repo (`str`): `owner/name`; made if it is not there. The token is read from `HF_TOKEN` or `hf auth login`.
        private (`bool`, defaults to `False`): make it a private repository; one that is public is refused.
        with_journal (`bool`, defaults to `False`): the raw replies too, so that others can make the rows again.
        replace (`bool`, defaults to `False`): put it in the place of another run's configuration.
        validation (`float`, *optional*): share of the rows that make a split of their own; by default what the run has
            on the Hub, and none where it is new.
        license (`str`, *optional*): of the rows, as the Hub spells it; none is invented.
        language (`str` or `Sequence[str]`, *optional*): of the rows, such as `"en"`.
        overlap (`str`, *optional*): a folder of result files that say how far test sets overlap with the rows.

    Returns:
        `str`: the commit's address.

    Raises:
        UsageError: there is no such run, its rows are the demo writer's, there is no token, or the repository holds
            something else.
        RunFailed: the Hub refuses or cannot be reached.

    Example:

        >>> from llm_created import Identity, Journal, ScriptedClient, Task, create, push
        >>> example = {"question": "Is ice cold?", "options": ["True", "False"], "answer": "True"}
        >>> task = Task.from_example(example, label_space="fixed", name="closed")
        >>> row = '{"question": "Is fire cold?", "options": ["True", "False"], "answer": "False"}'
        >>> identity = Identity(task, example, "my-model", "Write one more.", num_examples=1)
        >>> async def fill():
        ...     with Journal("my-run", identity.as_json) as journal:
        ...         return [row async for row in create(identity, ScriptedClient([row]), journal, 1)]
        >>> import asyncio
        >>> rows = asyncio.run(fill())
        >>> push("my-run", "me/closed", license="mit", language="en")  # doctest: +ELLIPSIS
        'http...datasets/me/closed/commit/...'
    """
    languages = (language,) if isinstance(language, str) else tuple(language)
    how = Pushed(repo, private, with_journal, replace, validation, card.Options(license, languages, overlap))
    with find(os.fspath(run)).open() as journal:
        return to_hub(journal, how)


def to_hub(journal: Journal, how: Pushed, say: Say = lambda text: None) -> str:
    """Push a run.

    Args:
        journal (`Journal`): its journal, open.
        how (`Pushed`): where and how.
        say (`Callable[[str], None]`, *optional*): told what is going on.

    Returns:
        `str`: the commit's address.

    Raises:
        UsageError: something in the call cannot be: see `repository.commit`; or the repository holds something else.
        RunFailed: the Hub refuses or cannot be reached.
    """
    identity, task = journal.get("identity"), Task.from_json(journal.get("task"))
    how.check(identity["model"])
    rows = list(kept_rows(journal, task))
    if not rows:
        raise UsageError(f"the run {journal.folder.name[:8]} has no rows to push")
    if len(rows) != (journal.which.rows or len(rows)):
        raise UsageError(
            f"{journal.which.folder!r} holds {journal.which.rows:,} rows, and its run's replies read as {len(rows):,} "
            "by now: run the command that wrote it once more, and push what it makes"
        )
    how = dataclasses.replace(
        how, options=dataclasses.replace(how.options, shows_seed=_may_show(journal.get("seed_from")))
    )
    say(f"{len(rows)} rows of the run {journal.folder.name[:8]}")
    said = journal.said() if how.with_journal else []
    if said:
        say(f"{len(said):,} answers of people go along, under the names that they gave: {', '.join(people(said))}")
    if more := identity.get("more_examples"):
        say(f"its {1 + len(more):,} formatting examples go along, in {RUN_FILE}, {TASK_FILE} and the card")
    facts = card.facts(journal, task, rows, how.options) | {"with_journal": how.with_journal}
    title = f"{identity['strategy']}: {len(rows)} rows of the run {journal.folder.name[:8]}"
    # Looked through for keys before anything goes to the Hub.
    files = {(how.validation or 0.0): _files(journal, task, rows, how.validation or 0.0, how)}

    def over(head: Head) -> Files:
        share = how.validation
        if share is None:
            share = published_share(head.text(f"{identity['strategy']}/{RUN_FILE}"), journal.folder.name)
            if share:
                say(f"its validation split stays, {share:g} of the rows (a share of 0 drops it)")
        ours = files.get(share) or _files(journal, task, rows, share, how)
        parts = splits(rows, share)
        merged = Merged(task, identity["strategy"], journal.folder.name, parts, how, facts, ours)
        return {**merged.over(head), TASK_FILE: _with_others(ours[TASK_FILE], head.text(TASK_FILE), task)}

    return commit(how.repo, "dataset", over, message=title, private=how.private, say=say)


def _with_others(ours: bytes, theirs: str, task: Task) -> bytes:
    """A task file that keeps what other configurations say of the same task: an example, or the task in words."""
    old, new = _of_same_task(theirs, task), json.loads(ours)
    kept = {name: old[name] for name in ("example", "guide") if old.get(name) and not new.get(name)}
    if "example" in kept and old.get("more_examples"):
        kept["more_examples"] = old["more_examples"]
    return _json(new | kept) if kept else ours


def _of_same_task(text: str, task: Task) -> dict[str, Any]:
    """What a task file says, if it is one of this task, whatever that is called."""
    try:
        said = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    about = {name: value for name, value in task.to_json().items() if name != "name"}
    same = isinstance(said, dict) and all(said.get(name) == value for name, value in about.items())
    return said if same else {}


def published_share(text: str, run: str) -> float:
    """The share of the rows that a published `run.json` puts into a validation split; none if it is another run's."""
    try:
        about = json.loads(text or "{}")
        share = about["validation"] if about["run"] == run else 0
    except (ValueError, RecursionError, LookupError, TypeError):
        return 0.0
    return float(share) if type(share) in (int, float) and 0 <= share < 1 else 0.0


def splits(rows: list[Row], validation: float) -> dict[str, list[Row]]:
    """Rows by split. Where a row goes follows from its content, so a run that grows moves none."""
    parts: dict[str, list[Row]] = {"train": [], "validation": []}
    for row in rows:
        parts["validation" if int(row.id, 16) / 16 ** len(row.id) < validation else "train"].append(row)
    return {name: part for name, part in parts.items() if part}


def _may_show(seed_from: Mapping[str, Any] | None) -> bool:
    """Whether the licence of the data that a human formatting example is from lets it be shown."""
    if not seed_from or not seed_from["dataset"]:
        return not seed_from
    from huggingface_hub import HfApi

    with told(seed_from["dataset"]):
        found = HfApi().dataset_info(seed_from["dataset"]).card_data
    named = (found.get("license") if found else None) or []
    return bool(named) and set([named] if isinstance(named, str) else named) <= _MAY_BE_SHOWN


def _files(journal: Journal, task: Task, rows: list[Row], share: float, how: Pushed) -> dict[str, bytes]:
    """What a configuration's own folder holds, and the task."""
    identity, shown = dict(journal.get("identity")), how.options.shows_seed
    config = identity["strategy"]
    # A formatting example that may not be shown is cited, and one of the rows stands where one has to stand.
    example = identity["example"] if shown or not identity["example"] else task.example(rows[0])
    identity["example"] = identity["example"] if shown else None
    run = {
        "run": journal.folder.name,
        "rows": len(rows),
        "validation": share,
        "library": f"llm-created {__version__}",
        "emission": journal.get("emission"),
        "seed_from": journal.get("seed_from"),
        "task": task.to_json(),
        "identity": identity,
    }
    files = {
        f"{config}/{name}-00000-of-00001.parquet": _parquet(task, part) for name, part in splits(rows, share).items()
    }
    files[f"{config}/{RUN_FILE}"] = _json(run)
    guide = identity.get("guide")
    told = {"guide": guide | {"attributes": identity.get("attributes") or {}}} if guide else {}
    more = {"more_examples": identity["more_examples"]} if identity.get("more_examples") else {}
    files[TASK_FILE] = _json(task.to_json() | {"example": example} | more | told)
    if how.with_journal:
        from ..creation.replay import export

        files[f"{config}/{REPLIES_FILE}"] = export(journal)
    no_keys({"the rows": "\n".join(map(task.line, rows)).encode()} | files, strict=REPLIES_FILE)
    return files


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def _parquet(task: Task, rows: list[Row]) -> bytes:
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(table(task, rows), file)
    return file.getvalue()
