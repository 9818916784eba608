"""Where people's rows of a task live: a description, nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Columns = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Human:
    """Where a task's human-labelled data lives on the Hub, how its columns map, and how it is cut.

    Args:
        path (`str`): the Hub's dataset.
        columns (`Callable`): one Hub record to an object with the keys `question`, `context`, `options`, `answer`, or
            to `None` where its label is hidden.
        splits (`Mapping[str, tuple[str, int | None]]`): for each split of ours the Hub's split (several joined by `+`)
            and how many rows it takes, `None` for all that is left. Splits are filled in this order, each with the
            first rows of the file whose question no split before has. All rows of one question stay together.
        config (`str`, *optional*): the dataset's configuration on the Hub.
        revision (`str`, *optional*): its revision; script repositories need `"refs/convert/parquet"`.

    Example:

        >>> from llm_created import Human
        >>> human = Human(
        ...     "me/capitals",
        ...     columns=lambda record: {"question": record["q"], "options": record["choices"], "answer": record["a"]},
        ...     splits={"train": ("train", None), "test": ("validation", 500)},
        ... )
        >>> human.columns({"q": "Of France?", "choices": ["Paris", "Rome"], "a": "Paris"})["answer"]
        'Paris'
    """

    path: str
    columns: Columns
    splits: Mapping[str, tuple[str, int | None]]
    config: str | None = None
    revision: str | None = None
