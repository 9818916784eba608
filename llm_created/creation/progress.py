"""What a run is doing, for whoever watches it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from .budget import Budget


@dataclass
class Tally:
    """What a run is doing, for whoever watches it.

    Attributes:
        target (`int`): rows wanted.
        kept (`int`): rows emitted so far.
        calls (`int`): replies bought by this process.
        replayed (`int`): replies read from the journal.
        in_flight (`int`): requests on their way.
        reasons (`Counter[str]`): pieces that became no row, by reason.
        expected_calls (`int`): calls still to come, by the yield measured so far.
        started (`float`): when the first request went out, by `time.monotonic`; 0.0 before that.
        budget (`Budget`, *optional*): tokens and dollars so far.
    """

    target: int = 0
    kept: int = 0
    calls: int = 0
    replayed: int = 0
    in_flight: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    expected_calls: int = 0
    started: float = 0.0
    budget: Budget | None = None
