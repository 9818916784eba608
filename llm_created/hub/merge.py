"""A run's files on top of whatever a repository holds: what fits is merged, what does not is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from ..data.writer import arrow_schema, arrow_table
from ..errors import UsageError
from ..reports import card
from ..reports.markdown import split
from ..runs.folders import RUN_FILE
from ..tasks.task import Row, Task
from .repository import Files, Head

if TYPE_CHECKING:
    from .options import Pushed

TASK_FILE = "task.json"
# What `datasets` takes for data where a card names none.
_DATA = (".arrow", ".csv", ".jsonl", ".parquet", ".tar", ".tsv", ".zip")


class Merged:
    """A run's files over whatever a repository holds.

    Args:
        task (`Task`): the run's task.
        config (`str`): its configuration's name.
        run (`str`): its digest.
        parts (`Mapping[str, list[Row]]`): its rows by split.
        how (`Pushed`): how it is to be on the Hub.
        facts (`Mapping[str, Any]`): what its part of the card says.
        files (`Mapping[str, bytes]`): its files, but for the card.
    """

    def __init__(
        self,
        task: Task,
        config: str,
        run: str,
        parts: Mapping[str, list[Row]],
        how: Pushed,
        facts: Mapping[str, Any],
        files: Mapping[str, bytes],
    ) -> None:
        self.task, self.config, self.run, self.parts = task, config, run, parts
        self.how, self.facts, self.files = how, facts, files

    def over(self, head: Head) -> Files:
        """The files of the commit on top of `head`.

        Raises:
            UsageError: there is another run's configuration of this name, or another task.
        """
        old = head.text(card.NAME)
        before, _ = split(old, self.how.repo)
        there = [path for path in head.paths if path.startswith(f"{self.config}/")]
        self._check(head, before, bool(there))
        gone: dict[str, bytes | None] = {path: None for path in there if path not in self.files}
        return gone | dict(self.files) | {card.NAME: self._card(old, before)}

    def _check(self, head: Head, before: Mapping[str, Any], there: bool) -> None:
        configs = _names(before)
        if (there or self.config in configs) and not self.how.replace:
            self._same_run(head.text(f"{self.config}/{RUN_FILE}"))
        if others := [name for name in configs if name != self.config]:
            self._same_task(head.text(TASK_FILE), others)
        self._same_format(head, before)

    def _same_run(self, text: str) -> None:
        about = _object(text)
        if about.get("run") != self.run:
            whose = f"the run {str(about['run'])[:8]}" if "run" in about else "something else"
            raise UsageError(
                f"{self.how.repo} has a configuration {self.config!r} that is {whose}, and this is the run "
                f"{self.run[:8]}: add `replace=True` to put this in its place, or give another repository"
            )

    def _same_task(self, text: str, others: list[str]) -> None:
        about = _object(text)
        mine = self.task.to_json()
        if not about or any(about.get(name) != mine[name] for name in mine if name != "name"):
            raise UsageError(
                f"{self.how.repo} holds rows of another task ({', '.join(others)}): give another repository"
            )

    def _same_format(self, head: Head, before: Mapping[str, Any]) -> None:
        """`datasets` reads all configurations with the reader of the first, and no file that none of them names."""
        described = list(_texts([one.get("data_files") for one in before.get("configs") or ()]))
        for path in head.paths:
            named = any(fnmatch(path, pattern) for pattern in described) and not path.endswith(".parquet")
            found = not described and path.endswith(_DATA)
            if (named or found) and not path.startswith(f"{self.config}/"):
                raise UsageError(
                    f"{self.how.repo} holds data that `datasets` could not load any more beside these rows ({path}): "
                    "give another repository"
                )

    def _card(self, old: str, before: Mapping[str, Any]) -> bytes:
        """The card with this configuration in its head and in its text."""
        from datasets import DatasetInfo, SplitInfo
        from datasets.info import DatasetInfosDict
        from datasets.splits import SplitDict
        from huggingface_hub import DatasetCardData

        paths = [{"split": name, "path": f"{self.config}/{name}-*"} for name in self.parts]
        data: Any = DatasetCardData(**card.head(before, self.task, self.config, paths, self.how.options))
        kept = {name: table(self.task, part).nbytes for name, part in self.parts.items()}
        infos = SplitDict({name: SplitInfo(name, kept[name], len(part)) for name, part in self.parts.items()})
        info = DatasetInfo(features=self.task.features, splits=infos)
        info.download_size = sum(len(data) for path, data in self.files.items() if path.endswith(".parquet"))
        info.dataset_size = sum(kept.values())
        DatasetInfosDict({self.config: info}).to_dataset_card_data(data)
        rows = {
            name: sum(one.num_examples for one in (found.splits or {}).values())
            for name, found in DatasetInfosDict.from_dataset_card_data(data).items()
        }
        data["size_categories"] = [card.size(sum(rows.values()))]
        return card.write(old, dict(data.to_dict()), self.facts, self.how.repo, rows).encode()


def table(task: Task, rows: list[Row]) -> Any:
    """Rows as an Arrow table."""
    return arrow_table(task, rows, arrow_schema(task))


def _texts(value: Any) -> Iterator[str]:
    """The patterns in a `data_files` of any form that `datasets` takes."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        yield from _texts(value.get("path"))


def _object(text: str) -> dict[str, Any]:
    """The JSON object in a text, or an empty one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _names(head: Mapping[str, Any]) -> list[str]:
    """The configurations that a card's head names."""
    return [str(one.get("config_name")) for one in head.get("configs") or () if isinstance(one, dict)]
