"""Frozen sentence embeddings as features."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..tasks.task import Row
from ..utils.text import slug
from .features import text

if TYPE_CHECKING:
    import numpy as np

# By what an embedding model makes of it, another one is told.
_SENTENCE, PROBE = "The quick brown fox jumps over the lazy dog.", "probe"


class Embeddings:
    """Frozen sentence embeddings (Reimers and Gurevych, 2019, https://arxiv.org/abs/1908.10084).

    A pair of question and option is described by the product of the two, number by number, and its sum, the cosine.

    Args:
        model (`str`): any name or path that `SentenceTransformer` loads. Every text is embedded once.
        called (`str`, *optional*): its name, where that is not the last part of a path.
    """

    def __init__(self, model: str, called: str = "") -> None:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise UsageError(
                "`features` embeddings needs sentence-transformers: pip install 'llm-created[linear,embed]'"
            )
        if model.startswith((".", "/", "~")) and not os.path.isdir(os.path.expanduser(model)):
            raise UsageError(f"`embedding_model`: there is no folder {model!r}")
        # Of a path the last part: results travel to other machines.
        local = os.path.isdir(os.path.expanduser(model))
        self._called = called or (os.path.basename(os.path.abspath(os.path.expanduser(model))) if local else model)
        short = self._called.rpartition("/")[2]
        self.name, self.about = slug(short), f"embeddings of {short}"
        self.path = os.path.abspath(os.path.expanduser(model)) if local else model
        # What the model that a classifier was trained with made of `_SENTENCE`.
        self.expected: np.ndarray | None = None
        self._model: Any = None
        self._vectors: dict[str, np.ndarray] = {}

    def fit(self, rows: Sequence[Row]) -> None:
        pass

    def texts(self, rows: Sequence[Row]) -> Any:
        return self._of([text(row) for row in rows])

    def pairs(self, rows: Sequence[Row]) -> Any:
        import numpy as np

        # In one batch, because texts of like length are embedded together.
        self._of([text(row) for row in rows] + [option for row in rows for option in row.options])
        owner = np.repeat(np.arange(len(rows)), [len(row.options) for row in rows])
        product = self.texts(rows)[owner] * self._of([option for row in rows for option in row.options])
        return np.hstack([product, product.sum(axis=1, keepdims=True)])

    def _of(self, texts: Sequence[str]) -> Any:
        import numpy as np

        missing = sorted(set(texts) - self._vectors.keys())
        if missing:
            self._open()
            shown = sys.stderr.isatty()
            vectors = self._model.encode(missing, normalize_embeddings=True, show_progress_bar=shown, batch_size=64)
            self._vectors.update(zip(missing, vectors, strict=True))
        return np.array([self._vectors[one] for one in texts])

    def kept(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The model's name, and what it makes of one sentence, by which another model is told."""
        self._open()
        return {"kind": "embeddings", "model": self._called}, {PROBE: self._model.encode(_SENTENCE)}

    def forget(self) -> None:
        self._vectors.clear()

    def _open(self) -> None:
        """Load the model, once.

        Raises:
            RunFailed: it cannot be loaded.
            UsageError: it is another one than the classifier was trained with.
        """
        if self._model is not None:
            return
        from ..embeddings import load_model

        self._model = load_model(self.path)
        if self.expected is None:
            return
        import numpy as np

        made = self._model.encode(_SENTENCE)
        if made.shape != self.expected.shape or not np.allclose(made, self.expected, atol=0.01):
            raise UsageError(
                f"`embedding_model` {self.path!r} is not the {self._called!r} that this classifier was trained with: "
                "give the folder or name of that one"
            )
