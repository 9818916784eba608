"""What a linear model sees of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..tasks.task import Row

if TYPE_CHECKING:
    import numpy as np


class Features(Protocol):
    """What a model sees of a row.

    Attributes:
        name (`str`): short, for tables and paths.
        about (`str`): in words.
    """

    name: str
    about: str

    def fit(self, rows: Sequence[Row]) -> None:
        """Take what is learnt without labels (document frequencies) from training rows."""
        ...

    def texts(self, rows: Sequence[Row]) -> Any:
        """A matrix of shape (rows, columns): for fixed labels."""
        ...

    def pairs(self, rows: Sequence[Row]) -> Any:
        """A matrix of shape (options of all rows, columns): for options that vary, question and option together."""
        ...

    def kept(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What it takes to see the same in another process: plain JSON, and arrays."""
        ...

    def forget(self) -> None:
        """Let go of what is only remembered to be faster, before the next of many rows."""
        ...


def text(row: Row) -> str:
    """All inputs of a row as one text."""
    return "\n".join(row.inputs)
