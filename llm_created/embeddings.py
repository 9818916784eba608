"""How alike two examples are, computed beside the waiting: what `contrastive` and `similar` choose by."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import LLMCreatedError, RunFailed, UsageError
from .tasks.task import Row
from .utils.text import shorten

if TYPE_CHECKING:
    import numpy as np


class Embedder:
    """Sentence embeddings of length 1 (Reimers and Gurevych, 2019, https://arxiv.org/abs/1908.10084).

    The model is loaded with the first rows, in a thread, and everything that waits is embedded in one batch.

    Args:
        model (`str`): any name or path that `SentenceTransformer` loads.
        question_only (`bool`, defaults to `False`): embed the first input field alone, as the paper did.
    """

    _wanted_by: ClassVar[str] = "this strategy"
    # Far more than the chains' current examples and the rows of their last replies.
    remembered: ClassVar[int] = 4096

    def __init__(self, model: str, question_only: bool = False) -> None:
        self._name = model
        self._question_only = question_only
        self._model: Any = None
        self._vectors: dict[str, np.ndarray] = {}
        self._waiting: list[tuple[Sequence[Row], asyncio.Future[dict[str, np.ndarray]]]] = []
        self._worker: asyncio.Task[None] | None = None

    def require(self) -> None:
        """Say before anything is bought that the package is missing, if it is.

        Raises:
            UsageError: sentence-transformers is not installed, or the model is a path that is not there.
        """
        if importlib.util.find_spec("sentence_transformers") is None:
            raise UsageError(
                f"{self._wanted_by} compares embeddings and needs sentence-transformers: "
                "pip install 'llm-created[embed]'"
            )
        if self._name.startswith((".", "/", "~")) and not os.path.isdir(os.path.expanduser(self._name)):
            raise UsageError(f"`embedding_model`: there is no folder {self._name!r}")

    async def vectors(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """The vector of each row, by its id.

        Raises:
            RunFailed: the model cannot be loaded, or breaks.
        """
        done: asyncio.Future[dict[str, np.ndarray]] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, done))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await done

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            needed = {row.id: row for rows, _ in batch for row in rows}
            missing = [row for row in needed.values() if row.id not in self._vectors]
            embedding = asyncio.ensure_future(asyncio.to_thread(self._embed, missing))
            await asyncio.wait([embedding])
            error = embedding.exception()
            if error is None:
                self._vectors.update(zip((row.id for row in missing), embedding.result(), strict=True))
            for rows, done in batch:
                self._answer(rows, done, error)
            for stale in list(self._vectors)[: max(len(self._vectors) - self.remembered, 0)]:
                del self._vectors[stale]

    def _answer(self, rows: Sequence[Row], done: asyncio.Future[Any], error: BaseException | None) -> None:
        if done.done():
            return  # whoever waited may have been cancelled
        if error is None:
            done.set_result({row.id: self._vectors[row.id] for row in rows})
        else:
            done.set_exception(self._told(error))

    def _told(self, error: BaseException | None) -> LLMCreatedError:
        """One line for whatever went wrong: a model is code of other people's."""
        if isinstance(error, LLMCreatedError):
            return error
        line = shorten(f"{type(error).__name__}: {error}", 200)
        return RunFailed(f"the embedding model {self._name!r} broke: {line}")

    def _embed(self, rows: Sequence[Row]) -> Sequence[np.ndarray]:
        if not rows:
            return []
        if self._model is None:
            self._model = self._load()
        texts = [row.inputs[0] if self._question_only else "\n".join(row.inputs) for row in rows]
        vectors: Sequence[np.ndarray] = self._model.encode(
            texts, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        if len(vectors) != len(rows):
            raise RunFailed(f"the embedding model {self._name!r} gave {len(vectors)} vectors for {len(rows)} texts")
        return vectors

    def _load(self) -> Any:
        self.require()
        return load_model(self._name)


class Similarity(Embedder):
    """Cosine similarity of sentence embeddings."""

    async def compare(self, example: Row, rows: Sequence[Row]) -> dict[str, float]:
        """Similarity of each row (by its id) to the example, rounded to 1e-5 so that ties are ties everywhere."""
        vectors = await self.vectors([example, *rows])
        return {row.id: round(float(vectors[example.id] @ vectors[row.id]), 5) for row in rows}


def load_model(name: str) -> Any:
    """The `SentenceTransformer` of a name or path.

    Raises:
        RunFailed: it cannot be loaded.
    """
    from sentence_transformers import SentenceTransformer

    if not sys.stderr.isatty():
        importlib.import_module("transformers.utils.logging").disable_progress_bar()
    try:
        return SentenceTransformer(os.path.expanduser(name))
    # What a folder that is no model, or half of one, makes it raise.
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, ImportError) as error:
        raise RunFailed(f"cannot load the embedding model {name!r}: {shorten(str(error), 200)}") from None
