"""How varied texts are, as published figures: plain functions, each with its exact definition and where it is from.

Vocabulary, distinct-n and INGF depend on how many texts there are, and how long: a vocabulary grows with them, and
n-grams repeat more often. Compare sets of texts on the same number of them, and with figures in a paper only where the
tokenizer is the same. Self-BLEU (Zhu et al., 2018, https://arxiv.org/abs/1802.01886) is left out: its time grows with
the square of the texts, and its value hangs on the tokenizer, the smoothing and the size of the sample.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from statistics import fmean
from typing import Any, NamedTuple

from ..utils.text import fold


class APS(NamedTuple):
    """Average pairwise similarity: over all pairs, over those of one label, over those of two.

    `None` where there is no such pair.
    """

    overall: float | None
    intra: float | None
    inter: float | None


class Balance(NamedTuple):
    """How evenly counts are spread: the share of the largest, and the entropy as a share of the highest possible."""

    largest: float
    entropy: float


def words(text: str) -> list[str]:
    """A text's words: split at white space, NFKC and case folded, punctuation at both ends cut off.

    A language that puts no space between words is one word a sentence here.
    """
    return [word for token in fold(text).split(" ") if (word := _bare(token))]


@lru_cache(maxsize=2**16)
def _bare(token: str) -> str:
    inside = [at for at, letter in enumerate(token) if unicodedata.category(letter)[0] != "P"]
    return token[inside[0] : inside[-1] + 1] if inside else ""


def vocabulary(texts: Iterable[Sequence[str]]) -> int:
    """Distinct words in all texts together, as AttrPrompt counts them (https://arxiv.org/abs/2306.15895).

    TarGEN's figure of that name is another: the sum, over the texts, of the distinct words of each.

    Args:
        texts (`Iterable[Sequence[str]]`): the words of each text.
    """
    return len(set(chain.from_iterable(texts)))


def distinct(texts: Iterable[Sequence[str]], n: int) -> float | None:
    """Distinct-n: distinct n-grams / all n-grams of all texts together; `None` where there is no n-gram.

    After Li et al., 2016 (https://arxiv.org/abs/1510.03055), who divide by the number of words; dividing by the number
    of n-grams is what became usual, and lets texts of any length reach 1.0. No n-gram goes from one text to the next.

    Args:
        texts (`Iterable[Sequence[str]]`): the words of each text.
        n (`int`): words in an n-gram.
    """
    kinds, count = _ngrams(texts, n)
    return kinds / count if count else None


def ingf(texts: Iterable[Sequence[str]], n: int = 3) -> float | None:
    """Inter-sample n-gram frequency: how often a distinct n-gram occurs on average; `None` where there is none.

    All n-grams / distinct n-grams (DQI, Mishra et al., 2020, https://arxiv.org/abs/2008.03964), so 1 / distinct-n.
    With which n the authors of AttrPrompt computed theirs is not known here; trigrams are what others took.

    Args:
        texts (`Iterable[Sequence[str]]`): the words of each text.
        n (`int`, defaults to 3): words in an n-gram.
    """
    kinds, count = _ngrams(texts, n)
    return count / kinds if kinds else None


def _ngrams(texts: Iterable[Sequence[str]], n: int) -> tuple[int, int]:
    """How many distinct n-grams there are, and how many in all."""
    kinds: set[tuple[str, ...]] = set()
    count = 0
    for text in texts:
        kinds.update(zip(*(text[at:] for at in range(n)), strict=False))
        count += max(len(text) - n + 1, 0)
    return len(kinds), count


def aps(vectors: Any, labels: Sequence[int] | None = None) -> APS:
    """Mean cosine over distinct pairs: all, those of one label, those of two (arXiv 2509.02040, appendix C).

    Each kind of pair is one pool: a label with many texts weighs more. No pair is looked at: the cosines of all
    ordered pairs among n unit vectors u sum to |Σu|² - n, so that sums of vectors are enough.

    Args:
        vectors (`array`): one embedding a text, of any length but 0.
        labels (`Sequence[int]`, *optional*): the label of each text; without them `intra` and `inter` are `None`.
    """
    import numpy as np

    units = np.asarray(vectors, dtype=np.float64)
    n = len(units)
    if n < 2:
        return APS(None, None, None)
    units = units / np.linalg.norm(units, axis=1, keepdims=True)
    # In place of n, so that what rounding left in the lengths cancels.
    own = float((units * units).sum())
    whole = float((units.sum(axis=0) ** 2).sum())
    overall = (whole - own) / (n * (n - 1))
    if labels is None:
        return APS(overall, None, None)
    groups = [units[np.asarray(labels) == label] for label in sorted(set(labels))]
    within = sum(float((group.sum(axis=0) ** 2).sum()) for group in groups)
    same = sum(len(group) * (len(group) - 1) for group in groups)
    other = n * (n - 1) - same
    return APS(overall, (within - own) / same if same else None, (whole - within) / other if other else None)


def balance(counts: Sequence[int]) -> Balance | None:
    """How evenly labels are used; `None` where nothing was counted or there is one label alone.

    The entropy is Pielou's evenness: -Σ p log p / log k with k labels, whether they occur or not (1966,
    https://doi.org/10.1016/0022-5193(66)90013-0). 1.0 is even, 0.0 is one label throughout.

    Args:
        counts (`Sequence[int]`): how often each label occurs, zeros included.
    """
    total = sum(counts)
    if not total or len(counts) < 2:
        return None
    shares = [count / total for count in counts if count]
    # max: -0.0 is no entropy that anybody wants to read.
    entropy = max(-sum(share * math.log(share) for share in shares) / math.log(len(counts)), 0.0)
    return Balance(max(shares), entropy)


def figures(texts: Sequence[str], vectors: Any = None, labels: Sequence[int] | None = None) -> dict[str, Any]:
    """All figures of a set of texts, by name; `None` where there is nothing to count.

    Args:
        texts (`Sequence[str]`): the texts.
        vectors (`array`, *optional*): an embedding of each; without them the similarities are left out.
        labels (`Sequence[int]`, *optional*): the label of each, for similarity within and between labels.
    """
    split = [words(text) for text in texts]
    found = {
        "mean_words": fmean(map(len, split)) if split else None,
        "vocabulary": vocabulary(split),
        "distinct_2": distinct(split, 2),
        "distinct_3": distinct(split, 3),
        "ingf": ingf(split),
    }
    if vectors is None:
        return found
    return found | {f"aps_{name}": value for name, value in aps(vectors, labels)._asdict().items()}
