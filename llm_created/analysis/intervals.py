"""How sure a share is that was found in a drawn part of the rows there are."""

from __future__ import annotations

from math import exp, lgamma

LEVEL = 0.95


def share(right: int, drawn: int, of: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of the share of right rows among all, after `right` of `drawn` were found right.

    It is exact for draws without putting back: both tails of the hypergeometric distribution become bounds, as
    Clopper and Pearson did for the binomial one. So it covers the true share at least as often as it says, is that
    interval where there are many more rows than were drawn, and a point where all were.

    Args:
        right (`int`): rows that were found right.
        drawn (`int`): rows that were drawn.
        of (`int`): rows that there are.
        level (`float`, defaults to 0.95): how often it is to cover the true share.

    Example:

        >>> from llm_created.analysis.intervals import share
        >>> low, high = share(93, 100, 5000)
        >>> round(100 * low, 1), round(100 * high, 1)
        (86.2, 97.1)
    """
    tail = (1 - level) / 2
    least, most = right, of - (drawn - right)
    return _first(least, most, right, drawn, of, tail) / of, _last(least, most, right, drawn, of, tail) / of


def _first(least: int, most: int, right: int, drawn: int, of: int, tail: float) -> int:
    """The smallest number of right rows under which as many as were found, or more, are likelier than the tail."""
    while least < most:
        middle = (least + most) // 2
        if _at_least(right, middle, drawn, of) > tail:
            most = middle
        else:
            least = middle + 1
    return least


def _last(least: int, most: int, right: int, drawn: int, of: int, tail: float) -> int:
    """The largest under which as few, or fewer, are likelier than the tail: seen from the wrong rows."""
    return of - _first(of - most, of - least, drawn - right, drawn, of, tail)


def _at_least(right: int, all_right: int, drawn: int, of: int) -> float:
    """How likely `right` or more among those drawn are, if so many are right in all."""
    most = min(drawn, all_right)
    return sum(exp(_log(at, all_right, drawn, of)) for at in range(right, most + 1))


def _log(at: int, all_right: int, drawn: int, of: int) -> float:
    if drawn - at > of - all_right:
        return float("-inf")
    return _choose(all_right, at) + _choose(of - all_right, drawn - at) - _choose(of, drawn)


def _choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
