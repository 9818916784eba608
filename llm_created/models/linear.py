"""A linear model on the rows of a task, trained in seconds: a classifier, or a ranking of each row's own options."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..tasks.task import Row, Task
from .features import Features

if TYPE_CHECKING:
    import numpy as np


class Linear:
    """Logistic regression on the features of a task's rows.

    For fixed labels it is the plain classifier. Where every row has its own options it learns to rank: each right
    option less each wrong one of the same row is an example (Joachims, 2002, https://doi.org/10.1145/775047.775067),
    and the option that scores highest is the answer. Nothing in it is drawn at random.

    Args:
        task (`Task`): the task.
        features (`Features`): what it sees.
        evenly (`bool`, defaults to `False`): whether each label weighs as much as another, however many rows have it.
    """

    def __init__(self, task: Task, features: Features, evenly: bool = False) -> None:
        self.task = task
        self.features = features
        self._evenly = evenly and not task.variable
        # Which columns of the features it looks at, what each says for each class, and which labels the classes are.
        self._columns: Any = slice(None)
        self._weights: Any = None
        self._bias: Any = None
        self._classes: Sequence[int] = ()

    def fit(self, rows: Sequence[Row]) -> Linear:
        """Train on rows, anew."""
        import numpy as np
        from sklearn.linear_model import LogisticRegression

        self.features.fit(rows)
        answers: Any = [row.answer for row in rows]
        if not self.task.variable and len(set(answers)) == 1:
            self._columns, self._classes = np.empty(0, np.int64), answers[:1]
            self._weights, self._bias = np.zeros((1, 0)), np.zeros(1)
            return self
        if self.task.variable:
            seen, answers = _differences(self.features.pairs(rows), rows)
        else:
            seen = self.features.texts(rows)
        # Of the hashed columns most are empty, and the solver would take as long over them.
        self._columns = _filled(seen)
        weights = "balanced" if self._evenly else None
        model = LogisticRegression(max_iter=1000, fit_intercept=not self.task.variable, class_weight=weights)
        with warnings.catch_warnings():
            # That few rows have many labels is no mistake here.
            warnings.filterwarnings("ignore", "The number of unique classes")
            model.fit(seen[:, self._columns], answers)
        self._weights, self._bias = model.coef_, np.broadcast_to(model.intercept_, len(model.coef_)).copy()
        self._classes = [] if self.task.variable else [int(label) for label in model.classes_]
        return self

    def predict(self, rows: Sequence[Row]) -> list[int]:
        """For each row an index into its options or the task's labels."""
        return [int(one.argmax()) for one in self._scores(rows)]

    def probabilities(self, rows: Sequence[Row]) -> list[list[float]]:
        """For each row how likely each of its options or the task's labels is: the softmax of their scores.

        A label that no training row had has none.
        """
        import numpy as np

        found = []
        for scores in self._scores(rows):
            powers = np.exp(scores - scores.max())
            found.append((powers / powers.sum()).tolist())
        return found

    def _scores(self, rows: Sequence[Row]) -> list[Any]:
        """For each row the log-odds of its options; minus infinity for a label that no training row had."""
        import numpy as np

        if not rows:
            return []
        if self.task.variable:
            flat = self._linear(self.features.pairs(rows))[:, 0]
            return [flat[start:end] for start, end in _spans(rows)]
        given = self._linear(self.features.texts(rows))
        if len(self._classes) == 2:
            given = np.hstack([np.zeros_like(given), given])
        found = np.full((len(rows), len(self.task.labels or ())), -np.inf)
        found[:, list(self._classes)] = given
        return list(found)

    def _linear(self, seen: Any) -> Any:
        return _dense(seen[:, self._columns] @ self._weights.T) + self._bias

    def kept(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What it takes to answer the same in another process: plain JSON, and arrays."""
        import numpy as np

        features, arrays = self.features.kept()
        arrays |= {"weights": self._weights, "bias": self._bias}
        if not isinstance(self._columns, slice):
            arrays["columns"] = self._columns.astype(np.int64)
        return {"classes": list(self._classes), "features": features}, arrays

    def restore(self, classes: Sequence[int], arrays: Mapping[str, np.ndarray]) -> Linear:
        """Take what `kept` gave in place of `fit`.

        Raises:
            KeyError, ValueError: that is not what stands there.
        """
        self._weights, self._bias = arrays["weights"], arrays["bias"]
        self._columns, self._classes = arrays.get("columns", slice(None)), list(classes)
        labels = len(self.task.labels or ())
        lines = 1 if self.task.variable or len(classes) == 2 else len(classes)
        if len(self._weights) != lines or len(self._bias) != lines or any(not 0 <= at < labels for at in classes):
            raise ValueError(f"weights of {len(self._weights)} for {len(classes)} classes of {labels} labels")
        return self


def _dense(matrix: Any) -> Any:
    """A matrix without empty places."""
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix


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
