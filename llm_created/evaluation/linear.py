"""A linear model on the rows of a task, trained in seconds: a classifier, or a ranking of each row's own options."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..tasks.task import Row, Task
from .features import Features


class Linear:
    """Logistic regression on the features of a task's rows.

    For fixed labels it is the plain classifier. Where every row has its own options it learns to rank: each right
    option less each wrong one of the same row is an example (Joachims, 2002, https://doi.org/10.1145/775047.775067),
    and the option that scores highest is the answer. Nothing in it is drawn at random.

    Args:
        task (`Task`): the task.
        features (`Features`): what it sees.
    """

    def __init__(self, task: Task, features: Features) -> None:
        self._task = task
        self._features = features
        self._model: Any = None
        self._columns: Any = None
        self._constant = 0

    def fit(self, rows: Sequence[Row]) -> Linear:
        """Train on rows, anew."""
        from sklearn.linear_model import LogisticRegression

        self._features.fit(rows)
        answers: Any = [row.answer for row in rows]
        if not self._task.variable and len(set(answers)) == 1:
            self._model, self._constant = None, answers[0]
            return self
        if self._task.variable:
            seen, answers = _differences(self._features.pairs(rows), rows)
        else:
            seen = self._features.texts(rows)
        # Of the hashed columns most are empty, and the solver would take as long over them.
        self._columns = _filled(seen)
        self._model = LogisticRegression(max_iter=1000, fit_intercept=not self._task.variable)
        self._model.fit(seen[:, self._columns], answers)
        return self

    def predict(self, rows: Sequence[Row]) -> list[int]:
        """For each row an index into its options or the task's labels."""
        if self._task.variable:
            scores = self._model.decision_function(self._features.pairs(rows)[:, self._columns])
            return [int(scores[a:b].argmax()) for a, b in _spans(rows)]
        if self._model is None:
            return [self._constant] * len(rows)
        return [int(label) for label in self._model.predict(self._features.texts(rows)[:, self._columns])]


def _filled(matrix: Any) -> Any:
    """The columns of a sparse matrix in which anything stands; all of a dense one."""
    import numpy as np
    from scipy import sparse

    return np.unique(matrix.indices) if sparse.issparse(matrix) else slice(None)


def _spans(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Where the options of each row begin and end in a matrix of pairs."""
    ends = [0]
    for row in rows:
        ends.append(ends[-1] + len(row.options))
    return list(pairwise(ends))


def _differences(pairs: Any, rows: Sequence[Row]) -> tuple[Any, Any]:
    """Right less wrong, with every other sign turned, because a classifier needs two classes."""
    import numpy as np
    from scipy import sparse

    spans = _spans(rows)
    right = [start + row.answer for (start, end), row in zip(spans, rows, strict=True) for _ in range(start + 1, end)]
    known = set(right)
    wrong = [at for at in range(spans[-1][1]) if at not in known]
    if len(right) == 1:  # a single difference is shown both ways, which changes nothing but the number of classes
        right, wrong = 2 * right, 2 * wrong
    signs = np.where(np.arange(len(right)) % 2, 1.0, -1.0)
    differences = pairs[right] - pairs[wrong]
    return (sparse.diags(signs) @ differences).tocsr() if sparse.issparse(pairs) else signs[
        :, None
    ] * differences, signs
