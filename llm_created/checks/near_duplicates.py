"""Near-duplicates: a row that says in other words what an earlier one says is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from ..embeddings import Embedder
from ..errors import UsageError
from ..tasks.task import Reason, Row
from ..utils.text import shorten

if TYPE_CHECKING:
    import numpy as np

NEAR_DUPLICATE = "near_duplicate"


class NearDuplicates(Embedder):
    """Which rows are nearly the same as one that was kept, by the cosine of their sentence embeddings.

    Rows are compared one by one in their canonical order with every row that was kept, so the first is kept and what
    is found does not depend on how rows were batched. The search is exact. The model reads all input fields, and only
    as much of them as its window holds (256 tokens for all-MiniLM-L6-v2): longer texts are compared by their
    beginnings. Answers and options are not compared.

    Args:
        threshold (`float`): cosine from which a row is a near-duplicate, above 0 and at most 1.
        model (`str`): any name or path that `SentenceTransformer` loads.

    Raises:
        UsageError: the threshold is out of range.
    """

    _wanted_by: ClassVar[str] = "`near_duplicates`"
    # The vectors of rows that wait to be compared are kept here, those of kept rows in the matrix.
    remembered: ClassVar[int] = 0

    def __init__(self, threshold: float, model: str) -> None:
        if not 0 < threshold <= 1:
            raise UsageError(f"`near_duplicates` must be above 0 and at most 1, not {threshold:g}: try 0.9")
        super().__init__(model)
        self.threshold = threshold
        self._pending: dict[tuple[str, ...], np.ndarray] = {}
        self._verdicts: dict[tuple[str, ...], Reason] = {}
        self._kept: list[str] = []
        self._matrix: np.ndarray | None = None

    def require(self) -> None:
        """Say before anything is bought that a package is missing, if one is.

        Raises:
            UsageError: sentence-transformers is not installed, numpy is too old, or the model is a path that is not
                there.
        """
        super().require()
        import numpy as np

        if not hasattr(np, "vecdot"):
            raise UsageError(f"`near_duplicates` needs numpy 2, not {np.__version__}: pip install 'numpy>=2'")

    async def embed(self, rows: Sequence[Row]) -> None:
        """Make ready to judge these rows, in any order and beside others; what was judged is not embedded again.

        Raises:
            RunFailed: the model cannot be loaded, or breaks.
        """
        new = {row.inputs: row for row in rows if row.inputs not in self._verdicts and row.inputs not in self._pending}
        if new:
            vectors = await self.vectors(list(new.values()))
            self._pending.update((inputs, vectors[row.id]) for inputs, row in new.items())

    def check(self, row: Row) -> Reason | None:
        """Judge the next row of the canonical order, which has been embedded; one that passes is kept.

        Returns:
            `Reason` or `None`: `near_duplicate`, and of which row.
        """
        said = self._verdicts.get(row.inputs)
        if said is not None:
            return said
        vector = self._pending.pop(row.inputs)
        nearest = self._nearest(vector)
        if nearest is not None and nearest[0] >= self.threshold:
            self._verdicts[row.inputs] = reason = _reason(nearest[0], self._kept[nearest[1]])
            return reason
        self._keep(row, vector)
        return None

    def _nearest(self, vector: np.ndarray) -> tuple[float, int] | None:
        """The greatest cosine to a kept row, and the place of that row; the first of several."""
        if self._matrix is None:
            return None
        import numpy as np

        # Pair by pair in one thread: a cosine does not depend on how many other rows there are, and a product of
        # matrices of this shape takes ten times the processor time, waiting for its threads.
        cosines = np.vecdot(self._matrix[: len(self._kept)], vector)
        place = int(cosines.argmax())
        # The last digits differ between machines and batches.
        return round(float(cosines[place]), 5), place

    def _keep(self, row: Row, vector: np.ndarray) -> None:
        import numpy as np

        if self._matrix is None:
            self._matrix = np.empty((64, len(vector)), np.float32)
        elif len(self._kept) == len(self._matrix):
            self._matrix = np.concatenate([self._matrix, np.empty_like(self._matrix)])
        self._matrix[len(self._kept)] = vector
        named = f"{row.id[:8]}…: {shorten(' '.join(row.inputs), 60)!r}"
        self._kept.append(named)
        # Other options or another answer to the same text.
        self._verdicts[row.inputs] = _reason(1.0, named)


def _reason(cosine: float, named: str) -> Reason:
    return Reason(NEAR_DUPLICATE, f"{cosine:.2f} to the row {named}")
