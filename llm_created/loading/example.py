"""The builder that `datasets` finds by the name "llm_created": the formatting example is the data file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..tasks import builtin as tasks
from .builder import Builder


class Created(Builder):
    """`datasets.load_dataset("llm_created", data_files="my.json", strategy="tree")` after `llm_created.register()`.

    Args:
        data_files (`str`): one JSON file that holds one formatting example.
        label_space, labels, answer_field, options_field: see `Task.from_example`; `labels` may be one line of CSV, as
            `"a,b,c"`.
        **kwargs: those of `datasets.DatasetBuilder`, and the fields of `Settings`.
    """

    def __init__(
        self,
        cache_dir: str | None = None,
        *,
        data_files: Any = None,
        label_space: str | None = None,
        labels: str | Sequence[str] | None = None,
        answer_field: str | None = None,
        options_field: str | None = None,
        **kwargs: Any,
    ) -> None:
        source = tasks.from_example(
            _one_file(data_files),
            label_space=label_space,
            labels=tasks.listed("labels", labels) if isinstance(labels, str) else labels,
            answer_field=answer_field,
            options_field=options_field,
        )
        # The task comes with the call, where a builder of its own would have it on the class.
        self.task, self.example, self.guide = source.task, source.example, source.guide  # type: ignore[misc, assignment]
        # One cache, whichever door the call came through: `datasets` would name it after the door.
        kwargs |= {"dataset_name": source.task.name, "hash": None}
        super().__init__(cache_dir, **kwargs)


def _one_file(data_files: Any) -> str:
    """The path of the one example among what `data_files` may be: a path, a list, or a mapping of splits to either."""
    listed = list(data_files.values()) if isinstance(data_files, Mapping) else [data_files]
    paths: list[str] = []
    for one in listed:
        paths += map(os.fspath, [one] if isinstance(one, str | os.PathLike) else one or ())
    if len(paths) == 1 and paths[0].lower().endswith(".json"):
        return paths[0]
    named = ", ".join(map(repr, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    raise UsageError(f"data_files must be one JSON file that holds one formatting example, not {named or 'nothing'}")
