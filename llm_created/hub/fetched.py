"""A published run as it stands on the Hub, of which nothing is believed before all of it was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..creation.define import human_rows
from ..data.sources import source_of
from ..errors import RunFailed, UsageError
from ..methods.choose import strategy as strategy_of
from ..methods.pool import Pool
from ..runs.folders import RUN_FILE
from ..runs.identity import SELF_REFERENCE, STRATEGIES, Identity
from ..runs.settings import Settings
from ..tasks.guide import Guide
from ..tasks.task import Row, Task
from ..utils.text import shorten
from .absorbed import MAX_REPLIES_FILE, Replies, read_replies
from .published_rows import MAX_PARQUET_FILE, MAX_PARQUET_FILES, read_rows, split_of
from .push import REPLIES_FILE, splits
from .repository import told
from .strangers import MAX_RUN_FILE, Problems, run_file


@dataclass(frozen=True)
class Published:
    """A run as it stands on the Hub.

    Attributes:
        name (`str`): `owner/name@configuration`.
        identity (`Identity`): the run.
        splits (`dict[str, list[dict[str, Any]]]`): its rows, as records.
        replies (`Replies`): its replies, checked.
        about (`Mapping[str, Any]`): what its `run.json` says.
        taken (`Mapping[str, Any]`): which of its emission checks are settings now.
        grows (`bool`): whether what its journal lacks may be bought.
    """

    name: str
    identity: Identity
    splits: dict[str, list[dict[str, Any]]]
    replies: Replies
    about: Mapping[str, Any]
    taken: Mapping[str, Any] = field(default_factory=dict)
    grows: bool = False

    @property
    def num_rows(self) -> int:
        return sum(map(len, self.splits.values()))

    @property
    def checks(self) -> Mapping[str, Any]:
        """The emission checks that its rows have passed, by name."""
        return self.about["emission"] or {}

    def difference(self, rows: list[Row], wanted: int) -> str:
        """What first tells rows that were made again from the published ones, in words, or `""`."""
        task = self.identity.task
        for split, part in splits(rows, float(self.about["validation"])).items():
            mine, theirs = [task.record(row) for row in part], self.splits.get(split, [])
            for at, (one, two) in enumerate(zip(mine, theirs, strict=False)):
                one.pop(task.text_column)
                if one != two:
                    name = next(name for name in one if one[name] != two[name])
                    instead = shorten(repr(two["id"]), 40)
                    return f"{split} row {at + 1} differs first, in {name!r}: {one['id']} instead of {instead}"
        return f"there are {len(rows)} instead of {wanted}" if len(rows) < wanted else ""


def fetch(spec: str, settings: Settings) -> Published:
    """A published run; nothing of it is taken over before all of it was looked at.

    Args:
        spec (`str`): `owner/name`, and after an `@` its configuration where it has several.
        settings (`Settings`): where human data is, if the formatting example is only cited.

    Raises:
        UsageError: there is no such configuration, or it was pushed without its journal.
        RunFailed: the Hub cannot be reached, or what is there is damaged, too large or of another kind.
    """
    repo, _, config = spec.partition("@")
    with told(repo):
        from huggingface_hub import HfApi

        info = HfApi().dataset_info(repo)
        paths = [str(one.rfilename) for one in info.siblings or ()]
        config = _config(repo, config, paths)
        problems = Problems(f"{repo}@{config}")
        files = _download(repo, config, info.sha, paths, problems)
    about = run_file(files.pop(RUN_FILE).read_bytes(), RUN_FILE, problems)
    whole, task = not problems.count, None
    if whole:
        task = Task.from_json(about["task"])
    replies = read_replies(files.pop(REPLIES_FILE).read_bytes(), REPLIES_FILE, problems)
    found = read_rows({name: str(path) for name, path in files.items()}, task, problems)
    if whole:
        _fits(about, config, found, problems)
    identity = None
    if whole and about["identity"]["example"] is not None:
        identity = _identity(about, settings, problems)
    problems.refuse()
    identity = identity or _identity(about, settings, problems)
    problems.refuse()
    assert identity is not None
    return Published(f"{repo}@{config}", identity, found, replies, about)


def _download(repo: str, config: str, sha: str | None, paths: list[str], problems: Problems) -> dict[str, Path]:
    """A configuration's files by name, once their names and sizes are known to be what they may be."""
    from huggingface_hub import HfApi, hf_hub_download

    most = dict.fromkeys(_parquet(config, paths, problems), MAX_PARQUET_FILE) | {
        RUN_FILE: MAX_RUN_FILE,
        REPLIES_FILE: MAX_REPLIES_FILE,
    }
    listed = HfApi().get_paths_info(repo, [f"{config}/{name}" for name in most], repo_type="dataset", revision=sha)
    sizes = {one.path.removeprefix(f"{config}/"): getattr(one, "size", None) for one in listed}
    _check_sizes(sizes, most, problems)
    fetched = {
        name: Path(hf_hub_download(repo, f"{config}/{name}", repo_type="dataset", revision=sha)) for name in most
    }
    _check_sizes({name: path.stat().st_size for name, path in fetched.items()}, most, problems)
    return fetched


def _parquet(config: str, paths: Sequence[str], problems: Problems) -> list[str]:
    """The names of a configuration's files of rows."""
    names = [path.removeprefix(f"{config}/") for path in sorted(paths) if path.startswith(f"{config}/")]
    parquet = [name for name in names if name.endswith(".parquet")]
    for name in parquet:
        if not split_of(name):
            problems.add(f"{shorten(repr(name), 100)} is no file of the splits train and validation")
    if len(parquet) > MAX_PARQUET_FILES:
        problems.add(f"it has {len(parquet):,} files of rows, {MAX_PARQUET_FILES} are the most")
    problems.refuse()
    return parquet


def _check_sizes(sizes: Mapping[str, int | None], most: Mapping[str, int], problems: Problems) -> None:
    for name, limit in most.items():
        size = sizes.get(name)
        if size is None:
            problems.add(f"{name} is missing")
        elif size > limit:
            problems.add(f"{name} has {size:,} bytes, {limit:,} are the most")
    problems.refuse()


def _fits(about: Mapping[str, Any], config: str, found: Mapping[str, list[Any]], problems: Problems) -> None:
    """Whether the files of a configuration speak of one run."""
    if about["identity"]["strategy"] != config:
        problems.add(f"{RUN_FILE}: its strategy is {about['identity']['strategy']}, and its folder {config}")
    rows = sum(map(len, found.values()))
    if not problems.count and rows != about["rows"]:
        problems.add(f"{RUN_FILE}: it speaks of {about['rows']:,} rows, and there are {rows:,}")
    balance = (about["emission"] or {}).get("balance") or about["identity"].get("balance")
    if balance and about["task"].get("labels") is None:
        problems.add(f"{RUN_FILE}: emission.balance evens out fixed labels, and each of its rows has its own")


def _config(repo: str, config: str, paths: list[str]) -> str:
    """The configuration that is meant."""
    found = _with_journal(repo, paths)
    if config and config not in found:
        raise UsageError(f"{repo} has no configuration {config!r} with a journal: it has {', '.join(found)}")
    if not config and len(found) > 1:
        raise UsageError(f"{repo} has several configurations: give `from` {repo}@NAME with one of {', '.join(found)}")
    return config or found[0]


def _with_journal(repo: str, paths: list[str]) -> list[str]:
    """The configurations that were pushed with their journals."""
    found = sorted(path.removesuffix(f"/{REPLIES_FILE}") for path in paths if path.endswith(f"/{REPLIES_FILE}"))
    known = [name for name in found if name in STRATEGIES]
    if found and not known:
        odd = ", ".join(shorten(repr(name), 40) for name in found[:3])
        raise RunFailed(f"{repo}: no configuration of a run is called {odd}: they are called {', '.join(STRATEGIES)}")
    if not known:
        raise UsageError(
            f"{repo} was not pushed with its journal (`with_journal=True`), so its rows cannot be made again"
        )
    return known


def _identity(about: Mapping[str, Any], settings: Settings, problems: Problems) -> Identity | None:
    """The run that a `run.json` describes; an example that it only cites is looked up in the human data."""
    task, inside = Task.from_json(about["task"]), dict(about["identity"])
    known = {one.name for one in fields(Identity)} - {"task", "seed_from"}
    if inside["example"] is None and inside["strategy"] in SELF_REFERENCE:
        inside["example"] = _cited(task, about["seed_from"], settings)
    try:
        if "guide" in inside:
            inside["guide"] = Guide.from_json(inside["guide"])
            inside["guide"].check(task)
        given = {name: value for name, value in inside.items() if name in known}
        found = Identity(task=task, seed_from=about["seed_from"], **given)
        digest = found.digest
        strategy_of(found, Pool())
    except UsageError as error:
        problems.add(f"{RUN_FILE}: identity: {shorten(str(error), 300)}")
        return None
    if digest != about["run"]:
        problems.add(f"what it says it is makes the run {digest[:8]}, not {about['run'][:8]}")
    return found


def _cited(task: Task, seed_from: Mapping[str, Any], settings: Settings) -> Mapping[str, Any]:
    rows = human_rows(settings, source_of(task)).get("train", [])
    row = next((row for row in rows if row.id == seed_from["id"]), None)
    if row is None:
        whose = seed_from["dataset"] or "local files"
        raise UsageError(f"its formatting example is the row {seed_from['id']} of {whose}, which is not in this data")
    return task.example(row)
