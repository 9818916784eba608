"""What the votes of a model make of rows: labels by majority, and how far the votes agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..checks.judge import Judge, majority
from ..checks.likelihood import Likelihood, probabilities
from ..clients.base import Reply
from ..tasks.task import Row
from ..utils.text import clean


class Labelled(NamedTuple):
    """A row, and what the votes say of it.

    Attributes:
        row (`Row`): its answer says nothing.
        label (`int`, *optional*): what more than half of the votes are for, as an index into the row's options.
        votes (`tuple[int | None, ...]`): the same for each vote, `None` where it names no option, or several.
        explanation (`str`): that of the first vote for the label, where one was asked for.
        unread (`tuple[str, ...]`): why the votes that are `None` name no option.
        probability (`float`, *optional*): of the label, where likelihoods were read; 0 without a label.
    """

    row: Row
    label: int | None
    votes: tuple[int | None, ...]
    explanation: str = ""
    unread: tuple[str, ...] = ()
    probability: float | None = None


class Steadiness(NamedTuple):
    """How far the votes on a row agree with each other, over rows: how steady a model is, not how right.

    Attributes:
        n (`int`): rows.
        unanimous (`int`): those on which all votes are the same.
        pairwise (`float`): the share of the pairs of votes on a row that agree, averaged over rows.
        kappa (`float`, *optional*): Fleiss' kappa; `None` where each row has its own options, or all votes are for
            one label.
    """

    n: int
    unanimous: int
    pairwise: float
    kappa: float | None


def of_replies(judge: Judge, row: Row, replies: Sequence[Reply]) -> Labelled:
    """What the replies to a judge say of a row."""
    read = [judge.read(row, reply) for reply in replies]
    votes = tuple(vote for vote, _ in read)
    label = majority(votes)
    said = next((said for vote, said in read if said and vote == label), "") if label is not None else ""
    found = Labelled(row, label, votes, clean(said), _unread(replies, votes))
    return _likely(found, replies[0]) if isinstance(judge, Likelihood) else found


def _unread(replies: Sequence[Reply], votes: Sequence[int | None]) -> tuple[str, ...]:
    """Why the votes that are none name no option."""
    return tuple(reply.reason or "unclear" for reply, vote in zip(replies, votes, strict=True) if vote is None)


def _likely(found: Labelled, reply: Reply) -> Labelled:
    """The same with the probability of the label, which explains it."""
    shares = probabilities(found.row, reply) or []
    return found._replace(explanation="", probability=0.0 if found.label is None else shares[found.label])


def steadiness(counts: Sequence[Sequence[int]], same_labels: bool = True) -> Steadiness | None:
    """Agreement among votes, from the table that has a line for each row and a column for each label.

    With n votes on each of N rows, n_ij of them on row i for label j, the pairwise agreement is the mean over rows of
    sum_j n_ij (n_ij - 1) / (n (n - 1)). Kappa is (P - E) / (1 - E), where P is that mean and E = sum_j p_j^2 what is
    expected by chance, p_j being the share of all votes that are for label j (Fleiss, 1971,
    https://doi.org/10.1037/h0031619).

    Args:
        counts (`Sequence[Sequence[int]]`): the table; all its lines have the same sum, two or more.
        same_labels (`bool`, defaults to `True`): whether a column means the same in every row; without, no kappa.

    Returns:
        `Steadiness`: the figures, or `None` where there is no row.
    """
    if not counts:
        return None
    n, rows = sum(counts[0]), len(counts)
    pairs = sum(count * (count - 1) for line in counts for count in line)
    pairwise = pairs / (n * (n - 1) * rows)
    unanimous = sum(max(line) == n for line in counts)
    if not same_labels:
        return Steadiness(rows, unanimous, pairwise, None)
    chance = sum((sum(column) / (n * rows)) ** 2 for column in zip(*counts, strict=True))
    return Steadiness(rows, unanimous, pairwise, (pairwise - chance) / (1 - chance) if chance < 1 else None)
