"""The builder that `datasets` finds by the name "llm_created": the formatting examples are the data file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..data import examples
from ..data.columns import Columns
from ..data.tables import SUFFIXES
from ..errors import UsageError
from ..tasks import builtin as tasks
from .builder import Builder


class Created(Builder):
    """`datasets.load_dataset("llm_created", data_files="my.json", strategy="tree")` after `llm_created.register()`.

    Args:
        data_files (`str`): one file that holds formatting examples: a JSON object or array, JSON lines, CSV, Parquet.
        example (`Mapping`, `Sequence[Mapping]` or `str`, *optional*): in its place: one, several, or the file.
        fields (`Sequence[str]` or `str`, *optional*): the inputs, where not all other keys or columns are.
        label_space, labels, answer_field, options_field: see `Task.from_example`; what is not given
            is inferred of several examples. `fields`, `labels` and `aside` may be one line of CSV, as `"a,b,c"`.
        aside (`Sequence[str]` or `str`, *optional*): what is written with a row and is no input, as an explanation.
        **kwargs: those of `datasets.DatasetBuilder`, and the fields of `Settings`.
    """

    def __init__(
        self,
        cache_dir: str | None = None,
        *,
        data_files: Any = None,
        example: Any = None,
        fields: str | Sequence[str] | None = None,
        label_space: str | None = None,
        labels: str | Sequence[str] | None = None,
        answer_field: str | None = None,
        options_field: str | None = None,
        aside: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        if example is not None and data_files is not None:
            raise UsageError("the formatting example is given twice, as example= and as data_files=")
        inputs, known, kept = _names("fields", fields), _names("labels", labels), _names("aside", aside)
        told = Columns(inputs, answer_field, options_field, known, label_space, kept)
        source = examples.source(_one_file(data_files) if example is None else example, told)
        # The task comes with the call, where a builder of its own would have it on the class.
        self.task, self.example, self.guide = source.task, source.example, source.guide  # type: ignore[misc, assignment]
        self.more_examples = source.more_examples  # type: ignore[misc]
        # One cache, whichever door the call came through: `datasets` would name it after the door.
        kwargs |= {"dataset_name": source.task.name, "hash": None}
        super().__init__(cache_dir, **kwargs)


def _names(setting: str, given: str | Sequence[str] | None) -> Sequence[str]:
    return tasks.listed(setting, given) if isinstance(given, str) else given or ()


def _one_file(data_files: Any) -> str:
    """The path of the one file among what `data_files` may be: a path, a list, or a mapping of splits to either."""
    listed = list(data_files.values()) if isinstance(data_files, Mapping) else [data_files]
    paths: list[str] = []
    for one in listed:
        paths += map(os.fspath, [one] if isinstance(one, str | os.PathLike) else one or ())
    if len(paths) == 1 and paths[0].lower().endswith(SUFFIXES):
        return paths[0]
    named = ", ".join(map(repr, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    raise UsageError(
        f"data_files must be one file that holds formatting examples ({', '.join(SUFFIXES)}), not {named or 'nothing'}"
    )
