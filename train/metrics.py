"""The library's figures as `evaluate.Metric` classes, made directly: `evaluate.load` would ask the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from llm_created.evaluation import scores

_INDEX = datasets.Value("int64")


class Accuracy(evaluate.Metric):
    """Accuracy with what it must not be without: see `llm_created.evaluation.scores.Score`.

    ```python
    Accuracy().compute(predictions=[0, 1], references=[0, 0])
    # {"correct": 1, "n": 2, "accuracy": 0.5, "macro_f1": 0.33, "low": 0.09, "high": 0.91, "majority": 1.0, ...}
    ```
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="accuracy, macro F1, n, the Wilson 95 % interval, the majority class, constant predictions",
            citation="https://doi.org/10.2307/2276774",
            features=datasets.Features({"predictions": _INDEX, "references": _INDEX}),
        )

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, Any]:
        return scores.score(predictions, references).to_json()


class McNemar(evaluate.Metric):
    """The exact paired test of two models on one test set: see `llm_created.evaluation.scores.mcnemar`.

    `predictions` are the first model's, `others` the second's: `compute(predictions=..., others=..., references=...)`.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="the rows that only one of two models has right, and the exact two-sided p",
            citation="https://doi.org/10.1007/BF02295996",
            features=datasets.Features({"predictions": _INDEX, "others": _INDEX, "references": _INDEX}),
        )

    def _compute(self, predictions: Sequence[int], others: Sequence[int], references: Sequence[int]) -> dict[str, Any]:
        first = [int(said) == answer for said, answer in zip(predictions, references, strict=True)]
        second = [int(said) == answer for said, answer in zip(others, references, strict=True)]
        return scores.mcnemar(first, second)._asdict()
