"""The `evaluate.Metric` classes: the same figures as the plain functions, and no network."""

from __future__ import annotations

from random import Random

from later import later, needs

from llm_created.evaluation.scores import mcnemar, score

needs("evaluate", extra="train")
metrics = later("llm_created.train.metrics")


def test_accuracy_comes_with_everything() -> None:
    rng = Random(0)
    predictions, answers = ([rng.randrange(3) for _ in range(200)] for _ in range(2))
    found = metrics.Accuracy().compute(predictions=predictions, references=answers)
    assert found == score(predictions, answers).to_json()
    assert found["n"] == 200 and found["low"] < found["accuracy"] < found["high"]


def test_accuracy_in_batches_is_that_of_the_whole() -> None:
    metric = metrics.Accuracy()
    metric.add_batch(predictions=[0, 1], references=[0, 0])
    metric.add(prediction=1, reference=1)
    assert metric.compute() == score([0, 1, 1], [0, 0, 1]).to_json()


def test_mcnemar() -> None:
    answers, first, second = [0] * 12, [0] * 10 + [1] * 2, [1] * 9 + [0] * 3
    found = metrics.McNemar().compute(predictions=first, others=second, references=answers)
    assert found == mcnemar([x == 0 for x in first], [x == 0 for x in second])._asdict()
    assert (found["only_first"], found["only_second"]) == (9, 2)
