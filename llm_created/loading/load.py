"""The doors into the Hugging Face stack: `load_dataset`, and a name that `datasets` knows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Unpack

from ..data.tables import SUFFIXES
from ..errors import UsageError
from ..runs.knobs import described
from ..runs.settings import KNOBS
from ..tasks import builtin as tasks
from ..utils import user_code
from .builder import Builder
from .keywords import Keywords, signature


def builder_class(path: str) -> type[Builder]:
    """The builder of a built-in task, or of a builder file."""
    file = tasks.find(path).resolve()
    own = file.parent == tasks.folder().resolve()
    module_name = f"llm_created.builders.{file.stem}" if own else f"_llm_created_{file.stem}"
    module = sys.modules.get(module_name) if own else None
    found: type[Builder] = tasks.builder_class(module or user_code.import_file(file, module_name), file)
    return found


def load_dataset(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    data_files: Any = None,
    split: Any = None,
    cache_dir: str | None = None,
    download_mode: Any = None,
    keep_in_memory: bool | None = None,
    streaming: bool = False,
    num_proc: int | None = None,
    **settings: Unpack[Keywords],
) -> Any:
    """`datasets.load_dataset` for datasets that are made when they are loaded.

    Args:
        path (`str`): a built-in task, a builder file, or a file that holds one or more formatting examples: JSON, JSON
            lines, CSV, Parquet.
        name (`str`, *optional*): the configuration: a strategy (`"tree"` by default) or `"human"`.
        data_files (`str`, *optional*): with `path="llm_created"`, the file of the formatting examples; or in its place
            `example`, a dictionary or a list of them.
        split, cache_dir, download_mode, keep_in_memory, streaming, num_proc: as in `datasets.load_dataset`.
        fields, aside, label_space, labels, answer_field, options_field: of the task that examples define.
        **settings: what follows here, and is declared in [`Settings`].

    Returns:
        `datasets.DatasetDict` or `datasets.Dataset`, or their iterable kinds if `streaming`.

    Raises:
        UsageError: the call is wrong.
        StoppedShort: a cap or patience ended the run; nothing half is cached.
        RunFailed: the run could not go on.

    Example:

        >>> import llm_created
        >>> rows = llm_created.load_dataset("csqa", "tree", model="demo", num_rows=20, split="train")
        >>> rows.num_rows, sorted(rows.column_names)
        (20, ['answer', 'answer_text', 'depth', 'id', 'options', 'parent_id', 'question'])
    """
    path, given = os.fspath(path), dict[str, Any](settings)
    builder: Builder
    if path == "llm_created" or path.lower().endswith(SUFFIXES):
        from .example import Created

        if path != "llm_created" and (data_files, settings.get("example")) != (None, None):
            again = f"data_files={data_files!r}" if data_files is not None else "example="
            raise UsageError(f"the formatting example is given twice, as {path!r} and as {again}")
        data_files = data_files if path == "llm_created" else path
        builder = Created(cache_dir, config_name=name, data_files=data_files, **given)
    else:
        given |= {"data_files": data_files, "dataset_name": Path(path).stem}
        builder = builder_class(path)(cache_dir, config_name=name, **given)
    if streaming:
        return builder.as_streaming_dataset(split=split)
    builder.download_and_prepare(download_mode=download_mode, num_proc=num_proc)
    return builder.as_dataset(split=split, in_memory=bool(keep_in_memory))


def register() -> None:
    """Make `datasets.load_dataset("llm_created", data_files="my.json", strategy="tree", ...)` work in this process.

    Always give `data_files`: without it, `datasets` looks through the working directory before it asks this library,
    which may take long; what it finds there is not one formatting example, and the call ends with an error.

    Example:

        >>> import datasets, json, llm_created
        >>> example = {"question": "Is ice cold?", "options": ["True", "False"], "answer": "True"}
        >>> with open("closed.json", "w") as file:
        ...     json.dump(example, file)
        >>> llm_created.register()
        >>> rows = datasets.load_dataset(
        ...     "llm_created", data_files="closed.json", label_space="fixed", model="demo", num_rows=20, split="train"
        ... )
        >>> rows.num_rows
        20
    """
    from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES

    _PACKAGED_DATASETS_MODULES["llm_created"] = ("llm_created.loading.example", "by-content")


def _with_settings(text: str) -> str:
    """A docstring with the settings after its `**settings`."""
    mark = "declared in [`Settings`].\n"
    return text.replace(mark, mark + "".join(f"            {line}\n" for line in described(KNOBS)))


load_dataset.__signature__ = signature(load_dataset)  # type: ignore[attr-defined]
load_dataset.__doc__ = _with_settings(load_dataset.__doc__ or "")
