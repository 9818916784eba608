"""Draws that are even at every prefix, and depend on nothing but where they are made."""

from __future__ import annotations

import hashlib
from functools import lru_cache


def evenly(seed: int, name: str, at: int, count: int) -> int:
    """The draw number `at` (from 0) among `count` things: each comes once in every `count` draws, in an order by hash.

    Args:
        seed (`int`): the run's.
        name (`str`): what is drawn: another name, another order.
        at (`int`): how many draws of this name came before.
        count (`int`): from how many things.

    Returns:
        `int`: which one, from 0.
    """
    return _order(seed, name, at // count, count)[at % count]


@lru_cache(maxsize=4096)
def _order(seed: int, name: str, block: int, count: int) -> tuple[int, ...]:
    def rank(one: int) -> bytes:
        return hashlib.blake2b(f"{seed}/{name}/{block}/{one}".encode(), digest_size=8).digest()

    return tuple(sorted(range(count), key=rank))
