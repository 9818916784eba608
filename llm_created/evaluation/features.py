"""What a linear model sees of a row: TF-IDF, without torch, or frozen sentence embeddings."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import UsageError
from ..runs.identity import DEFAULT_EMBEDDING_MODEL
from ..tasks.task import Row
from ..utils.text import slug

if TYPE_CHECKING:
    import numpy as np

# Columns of hashed features: collisions are rare, and a text without known words is no special case.
_COLUMNS = 2**18
_WORD = r"(?u)\b\w+\b"


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


def choose(name: str, embedding_model: str | None = None) -> Features:
    """The features of a name.

    Args:
        name (`str`): `"tfidf"` or `"embeddings"`.
        embedding_model (`str`, *optional*): any name or path that `SentenceTransformer` loads, default
            all-MiniLM-L6-v2.

    Raises:
        UsageError: a package or the model's folder is missing, or there are no such features.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise UsageError("a linear model needs scikit-learn: pip install 'llm-created[linear]'")
    if name == "tfidf" and embedding_model is None:
        return Tfidf()
    if name == "tfidf":
        raise UsageError(f"`embedding_model` {embedding_model!r} goes with `features` embeddings")
    if name != "embeddings":
        raise UsageError(f"`features` must be tfidf or embeddings, not {name!r}")
    return Embeddings(embedding_model or DEFAULT_EMBEDDING_MODEL)


def text(row: Row) -> str:
    """All inputs of a row as one text."""
    return "\n".join(row.inputs)


class Tfidf:
    """TF-IDF of words and of pieces of words (2 to 5 characters), hashed.

    A pair of question and option is described by how alike they are, in words and in characters, and by every word of
    the question together with every word of the option. The option alone is left out: it is no answer to
    anything, and what is learnt from it (right here, so wrong beside another question) is below chance on CSQA.
    """

    name = "tfidf"
    about = "TF-IDF of words and characters"

    def __init__(self) -> None:
        self._words, self._characters = _tfidf(token_pattern=_WORD), _tfidf(analyzer="char_wb", ngram_range=(2, 5))
        self._phrases = _tfidf(token_pattern=_WORD, ngram_range=(1, 2))

    def fit(self, rows: Sequence[Row]) -> None:
        texts = [text(row) for row in rows]
        self._phrases.fit(texts)
        options = sorted({option for row in rows for option in row.options})
        self._words.fit(texts + options)
        self._characters.fit(texts + options)

    def texts(self, rows: Sequence[Row]) -> Any:
        from scipy import sparse

        texts = [text(row) for row in rows]
        return sparse.hstack([self._phrases.transform(texts), self._characters.transform(texts)]).tocsr()

    def pairs(self, rows: Sequence[Row]) -> Any:
        import numpy as np
        from scipy import sparse

        texts, options = [text(row) for row in rows], [option for row in rows for option in row.options]
        owner = np.repeat(np.arange(len(rows)), [len(row.options) for row in rows])
        words = self._words.transform(texts)[owner], self._words.transform(options)
        characters = self._characters.transform(texts)[owner], self._characters.transform(options)
        alike = [np.asarray(a.multiply(b).sum(axis=1)) for a, b in (words, characters)]
        return sparse.hstack([sparse.csr_matrix(np.hstack(alike)), _crossed(*words)]).tocsr()


def _tfidf(**how: Any) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.pipeline import make_pipeline

    hashed = HashingVectorizer(n_features=_COLUMNS, alternate_sign=False, norm=None, **how)
    return make_pipeline(hashed, TfidfTransformer(sublinear_tf=True))


def _crossed(first: Any, second: Any) -> Any:
    """Row by row the outer product of two sparse matrices, its columns hashed."""
    import numpy as np
    from scipy import sparse

    columns, values, ends = [np.empty(0, np.int64)], [np.empty(0)], [0]
    for (a, b), (c, d) in zip(pairwise(first.indptr), pairwise(second.indptr), strict=True):
        # A prime spreads the pairs; the sum alone would put (1, 2) and (2, 1) into one column.
        pair = first.indices[a:b, None].astype(np.int64) * 1_000_003 + second.indices[c:d]
        columns.append(pair.ravel() % _COLUMNS)
        values.append(np.outer(first.data[a:b], second.data[c:d]).ravel())
        ends.append(ends[-1] + pair.size)
    return sparse.csr_matrix((np.concatenate(values), np.concatenate(columns), ends), (len(ends) - 1, _COLUMNS))


class Embeddings:
    """Frozen sentence embeddings (Reimers and Gurevych, 2019, https://arxiv.org/abs/1908.10084).

    A pair of question and option is described by the product of the two, number by number, and its sum, the cosine.

    Args:
        model (`str`): any name or path that `SentenceTransformer` loads. Every text is embedded once.
    """

    def __init__(self, model: str) -> None:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise UsageError(
                "`features` embeddings needs sentence-transformers: pip install 'llm-created[linear,embed]'"
            )
        if model.startswith((".", "/", "~")) and not os.path.isdir(os.path.expanduser(model)):
            raise UsageError(f"`embedding_model`: there is no folder {model!r}")
        # Of a path the last part: results travel to other machines.
        short = model.rstrip("/").rpartition("/")[2]
        self.name, self.about = slug(short), f"embeddings of {short}"
        self._path = model
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
            self._model = self._model or self._load()
            shown = sys.stderr.isatty()
            vectors = self._model.encode(missing, normalize_embeddings=True, show_progress_bar=shown, batch_size=64)
            self._vectors.update(zip(missing, vectors, strict=True))
        return np.array([self._vectors[one] for one in texts])

    def _load(self) -> Any:
        from ..embeddings import load_model

        return load_model(self._path)
