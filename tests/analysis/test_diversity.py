"""Figures of variety against values computed by hand, and the closed form of APS against every pair."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_created.analysis.diversity import APS, aps, balance, distinct, ingf, vocabulary, words

TEXTS = [
    "The cat sat.",  # the cat sat
    "the cat ran, the cat sat",  # the cat ran the cat sat
    "Dogs!",  # dogs
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat sat.", ["the", "cat", "sat"]),
        ('He said: "don\'t stop" — (twice)…', ["he", "said", "don't", "stop", "twice"]),
        ("well-known, U.S. and\tU.S.", ["well-known", "u.s", "and", "u.s"]),
        ("$5 for 3% of C++?", ["$5", "for", "3", "of", "c++"]),
        ("ＦＵＬＬ\u3000width STRASSE straße", ["full", "width", "strasse", "strasse"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),  # a vowel sign at the end belongs to the word
        ("... !? —", []),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_by_hand() -> None:
    texts = [words(text) for text in TEXTS]
    assert vocabulary(texts) == 5  # the, cat, sat, ran, dogs
    assert distinct(texts, 1) == 5 / 10
    # the-cat ×3, cat-sat ×2, cat-ran, ran-the: four kinds of seven.
    assert distinct(texts, 2) == 4 / 7
    # the-cat-sat ×2, the-cat-ran, cat-ran-the, ran-the-cat: four kinds of five.
    assert distinct(texts, 3) == 4 / 5
    assert ingf(texts) == 5 / 4 and ingf(texts, 2) == 7 / 4


def test_no_ngram_goes_from_one_text_into_the_next() -> None:
    assert distinct([["a", "b"], ["a", "b"]], 2) == 1 / 2
    assert distinct([["a", "b"], ["c"]], 3) is None
    assert ingf([["a", "b"]]) is None and ingf([]) is None
    assert vocabulary([]) == 0


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=6), st.integers(1, 4))
def test_ngrams_are_those_of_a_plain_count(texts: list[list[str]], n: int) -> None:
    every = [" ".join(text[at : at + n]) for text in texts for at in range(len(text)) if at + n <= len(text)]
    assert distinct(texts, n) == (len(set(every)) / len(every) if every else None)
    assert ingf(texts, n) == (len(every) / len(set(every)) if every else None)


def test_aps_by_hand() -> None:
    # Cosines: 0-1 is 0, 0-2 is 0.6, 1-2 is 0.8. Lengths do not matter.
    vectors = [[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]
    assert aps(vectors) == (pytest.approx(1.4 / 3), None, None)
    assert aps(vectors, [0, 1, 0]) == (pytest.approx(1.4 / 3), pytest.approx(0.6), pytest.approx(0.4))
    assert aps(vectors, [7, 7, 7]) == (pytest.approx(1.4 / 3), pytest.approx(1.4 / 3), None)
    assert aps(vectors, [0, 1, 2]) == (pytest.approx(1.4 / 3), None, pytest.approx(1.4 / 3))
    assert aps(vectors[:1], [0]) == aps([]) == APS(None, None, None)


def _every_pair(vectors: list[list[float]], labels: list[int]) -> list[float | None]:
    cosines = [
        (a == b, sum(x * y for x, y in zip(u, v, strict=True)) / math.hypot(*u) / math.hypot(*v))
        for (u, a), (v, b) in combinations(zip(vectors, labels, strict=True), 2)
    ]
    pools = ([c for _, c in cosines], [c for same, c in cosines if same], [c for same, c in cosines if not same])
    return [fmean(pool) if pool else None for pool in pools]


VECTOR = st.lists(st.floats(-5, 5), min_size=3, max_size=3).filter(lambda vector: math.hypot(*vector) > 1e-3)


@given(st.lists(st.tuples(VECTOR, st.integers(0, 3)), max_size=12))
def test_closed_form_is_the_mean_over_every_pair(labelled: list[tuple[list[float], int]]) -> None:
    vectors, labels = [vector for vector, _ in labelled], [label for _, label in labelled]
    found = aps(np.array(vectors, dtype=np.float32).astype(float).reshape(-1, 3), labels)
    exact = [[float(np.float32(value)) for value in vector] for vector in vectors]
    for value, expected in zip(found, _every_pair(exact, labels), strict=True):
        assert value == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_balance_by_hand() -> None:
    assert balance([50, 50]) == (0.5, 1.0)
    assert balance([0, 8, 0, 0]) == (1.0, 0.0)
    # Shares 1/2, 1/4, 1/4 of four labels: 1.5 of 2 bits.
    assert balance([2, 1, 1, 0]) == (0.5, pytest.approx(0.75))
    assert balance([0, 0]) is None and balance([4]) is None and balance([]) is None
