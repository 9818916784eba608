"""TF-IDF of words and of pieces of words, hashed: without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..tasks.task import Row
from .features import text

if TYPE_CHECKING:
    import numpy as np

# Columns of hashed features: collisions are rare, and a text without known words is no special case.
COLUMNS = 2**18
_WORD = r"(?u)\b\w+\b"


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

    @property
    def _parts(self) -> dict[str, Any]:
        return {"phrases": self._phrases, "words": self._words, "characters": self._characters}

    def kept(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The weight of every column that is not the one of columns never seen, and that one."""
        import numpy as np

        arrays: dict[str, np.ndarray] = {}
        for name, part in self._parts.items():
            weights = part[-1].idf_
            seen = np.flatnonzero(weights != weights.max())
            arrays |= {
                f"{name}.columns": seen,
                f"{name}.weights": weights[seen],
                f"{name}.unseen": weights.max()[None],
            }
        return {"kind": "tfidf", "columns": COLUMNS}, arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `kept` gave in place of `fit`."""
        import numpy as np

        for name, part in self._parts.items():
            weights = np.full(COLUMNS, arrays[f"{name}.unseen"][0])
            weights[arrays[f"{name}.columns"]] = arrays[f"{name}.weights"]
            part[-1].idf_ = weights

    def forget(self) -> None:
        pass


def _tfidf(**how: Any) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.pipeline import make_pipeline

    hashed = HashingVectorizer(n_features=COLUMNS, alternate_sign=False, norm=None, **how)
    return make_pipeline(hashed, TfidfTransformer(sublinear_tf=True))


def _crossed(first: Any, second: Any) -> Any:
    """Row by row the outer product of two sparse matrices, its columns hashed."""
    import numpy as np
    from scipy import sparse

    columns, values, ends = [np.empty(0, np.int64)], [np.empty(0)], [0]
    for (a, b), (c, d) in zip(pairwise(first.indptr), pairwise(second.indptr), strict=True):
        # A prime spreads the pairs; the sum alone would put (1, 2) and (2, 1) into one column.
        pair = first.indices[a:b, None].astype(np.int64) * 1_000_003 + second.indices[c:d]
        columns.append(pair.ravel() % COLUMNS)
        values.append(np.outer(first.data[a:b], second.data[c:d]).ravel())
        ends.append(ends[-1] + pair.size)
    return sparse.csr_matrix((np.concatenate(values), np.concatenate(columns), ends), (len(ends) - 1, COLUMNS))
