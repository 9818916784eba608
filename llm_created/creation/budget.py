"""Caps in dollars, tokens and calls that hold over the life of a run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..clients.base import Reply, Request, Usage
from ..clients.prices import Price
from ..errors import LLMCreatedError, UsageError
from ..runs.journal import Spent


class CapReached(LLMCreatedError):
    """A retry would have gone over a cap."""


# A reply that runs away is paid for to its end, and a cap in tokens or dollars has to know how long one can be. Where
# the user does not say, replies are bounded to the first value, until so many have come; then to three times the
# longest that came to its end, as the next power of two. Where most did not, their bound counts as that long.
FIRST_BOUND = 4096
_ENOUGH = 16
_SMALLEST_BOUND = 256
_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123)) + b" "


class Reserved(NamedTuple):
    """What is set aside for one attempt at a request, and the `max_tokens` that it is to carry, if any."""

    usage: Usage
    bound: int | None


class Budget:
    """What a run has spent, what is reserved for requests in flight, and whether one more may go out.

    A request reserves what it may use at most and goes out only if spent and reserved together stay under every cap.
    A reply is bounded by the `max_tokens` that goes along, so that a server which keeps it cannot overshoot: the
    user's, or one that is learnt from the replies so far.

    Args:
        max_cost (`float`, *optional*): dollars.
        max_tokens_total (`int`, *optional*): prompt and completion tokens together.
        max_calls (`int`, *optional*): HTTP requests, retries included.
        price (`Price`, *optional*): needed for `max_cost`.
        max_tokens (`int`, *optional*): the user's bound on one reply.
        spent (`Spent`, *optional*): what the run's journal says was spent before.
        bounded (`bool`, defaults to `False`): replies are bounded without a cap in tokens or dollars, too: a model
            that runs away writes until it is stopped.
        first_bound (`float`, *optional*): the first bound of a row, as a multiple of the size of what is shown, about
            its tokens; by default replies have 4,096 at first.

    Attributes:
        stopped_by (`str`): the cap that kept a request from going out, or `""`.
        raised (`tuple[str, ...]`): the setting that is this cap, and a value that would have let the request go out.
        bounds (`dict[int, int]`): the bound that replies to requests for so many rows have, where it is learnt.

    Example:

        >>> from llm_created import Budget
        >>> budget = Budget(max_calls=1)
        >>> messages = [{"role": "user", "content": "Write five rows."}]
        >>> budget.reserve(messages, rows=5) is not None
        True
        >>> budget.reserve(messages, rows=5) is None
        True
        >>> "max_calls" in budget.stopped_by
        True
    """

    def __init__(
        self,
        *,
        max_cost: float | None = None,
        max_tokens_total: int | None = None,
        max_calls: int | None = None,
        price: Price | None = None,
        max_tokens: int | None = None,
        spent: Spent | None = None,
        bounded: bool = False,
        first_bound: float | None = None,
    ) -> None:
        if max_cost is not None and price is None:
            raise UsageError("`max_cost` needs a price, and none is known for this model here: give `price` IN,OUT")
        self.price = price
        self._max_cost, self._max_tokens_total, self._max_calls = max_cost, max_tokens_total, max_calls
        self._max_tokens = max_tokens
        capped = max_cost is not None or max_tokens_total is not None
        self._bounded, self._first = max_tokens is None and (capped or bounded), first_bound
        # Without a cap, the first learnt bound is far above what a lost reply can have cost.
        self._reserves_bound = capped or not self._bounded or first_bound is not None
        self._reserved = Spent()
        self._rate = 0.0  # tokens for each unit of a prompt's size, once a server has counted some
        self._largest: dict[int, int] = {}  # the longest reply by the rows that were asked for: a vote is short
        self._seen: Counter[int] = Counter()
        self._cut: Counter[int] = Counter()
        self._ended: dict[int, int] = {}  # of the replies that came to their end, the longest
        self._unkept: dict[int, int] = {}  # of those that went beyond their bound
        self.spent = spent or Spent()
        self.stopped_by = ""
        self.raised: tuple[str, ...] = ()
        self.bounds: dict[int, int] = {}

    def expect(self, messages: Sequence[Mapping[str, str]], rows: int) -> Usage:
        """What a request is expected to use, by those that came."""
        reply = self._largest.get(rows) or max(rows, 1) * _size(messages[-1:]) * (self._rate or 0.5)
        return Usage(self._prompt(messages), min(int(reply) + 16, self._max_tokens or 2**31), True)

    def reserve(self, messages: Sequence[Mapping[str, str]], rows: int) -> Reserved | None:
        """Set aside what one request may use, or `None`: a cap leaves no room for it now."""
        prompt, bound = self._prompt(messages), self._bound(messages, rows)
        largest = int(self._largest.get(rows, 0) * 1.25)
        most = (bound if self._reserves_bound else None) or largest or self.expect(messages, rows).completion_tokens
        # A server that does not keep the bound may write again what it wrote before.
        most = max(most, int(self._unkept.get(rows, 0) * 1.25))
        self.stopped_by = self._over(prompt, most)
        if self.stopped_by and self._bounded and not self._reserved.calls:
            room = self._room(prompt)
            if max(int(self._ended.get(rows, 0) * 1.25), 16) <= room < most:
                # The last replies under a cap, or the first under a small one, go alone and may be as long as it lets.
                bound = most = room
                self.stopped_by = self._over(prompt, most)
        if self.stopped_by:
            return None
        if self._bounded and bound is not None:
            self.bounds[rows] = bound
        usage = Usage(prompt, most, True)
        self._reserved = _plus(self._reserved, usage, 1)
        return Reserved(usage, bound if self._bounded else None)

    def retry(self, reserved: Usage, lost: bool) -> None:
        """One more attempt at a request in flight is about to be sent; if the last one may have been answered, what
        was reserved for it is spent, and as much is reserved anew.

        Raises:
            CapReached: it would go over a cap.
        """
        over = self._over(*(reserved[:2] if lost else (0, 0)))
        if over:
            self.stopped_by = over
            raise CapReached(over)
        self.spent = _plus(self.spent, reserved if lost else Usage(0, 0), 1, lost)

    def settle(self, reserved: Usage, used: Usage, lost: bool = False) -> None:
        """A request has ended: what it used takes the place of what was reserved."""
        self._reserved = _plus(self._reserved, Usage(-reserved.prompt_tokens, -reserved.completion_tokens), -1)
        self.spent = _plus(self.spent, used, 1, lost)

    def learn(self, request: Request, reply: Reply, rows: int) -> None:
        """How large prompts and replies are here."""
        used, size = reply.usage, _size(request.prompt)
        if not used.completion_tokens:
            return  # nothing was written
        self._seen[rows] += 1
        _most(self._largest, rows, used.completion_tokens)
        if used.completion_tokens > (request.max_tokens or self._max_tokens or math.inf):
            _most(self._unkept, rows, used.completion_tokens)
        if reply.finish_reason == "length":
            self._cut[rows] += 1
            _most(self._largest, rows, request.max_tokens or 0)
        else:
            _most(self._ended, rows, used.completion_tokens)
        if not used.estimated and size:
            self._rate = max(self._rate, 1.1 * used.prompt_tokens / size)

    def _prompt(self, messages: Sequence[Mapping[str, str]]) -> int:
        return int(_size(messages) * (self._rate or 1.0)) + 16

    def _bound(self, messages: Sequence[Mapping[str, str]], rows: int) -> int | None:
        """The `max_tokens` of a request for so many rows."""
        if not self._bounded:
            return self._max_tokens
        if self._seen[rows] >= _ENOUGH:
            return max(_SMALLEST_BOUND, self._powers(rows))
        first = int(self._first * max(rows, 1) * _size(messages[-1:])) if self._first else FIRST_BOUND
        return max(first, _SMALLEST_BOUND, self._powers(rows))

    def _powers(self, rows: int) -> int:
        mostly_cut = self._cut[rows] > max(2, self._seen[rows] / 2)
        return 1 << (3 * (self._largest if mostly_cut else self._ended).get(rows, 0)).bit_length()

    @property
    def dollars(self) -> float | None:
        """Dollars spent over the life of the run, `None` where the price is not known."""
        return None if self.price is None else self.price.of(self.spent.prompt_tokens, self.spent.completion_tokens)

    def _over(self, prompt: int, completion: int) -> str:
        """The cap that one more attempt of this size would go over, in words, or `""`."""
        sent = self.spent.prompt_tokens + self._reserved.prompt_tokens + prompt
        got = self.spent.completion_tokens + self._reserved.completion_tokens + completion
        if self._max_calls is not None and self.spent.calls + self._reserved.calls >= self._max_calls:
            self.raised = "max_calls", str(2 * self._max_calls)
            return f"`max_calls` {self._max_calls} is used up"
        if self._max_tokens_total is not None and sent + got > self._max_tokens_total:
            size = prompt + completion
            self.raised = "max_tokens_total", str(max(2 * self._max_tokens_total, sent + got))
            return f"`max_tokens_total` {self._max_tokens_total} leaves no room for a call of up to {size} tokens"
        if self._max_cost is not None and self.price is not None and self.price.of(sent, got) > self._max_cost:
            cost = self.price.of(prompt, completion)
            self.raised = "max_cost", f"{max(2 * self._max_cost, 1.01 * self.price.of(sent, got)):.6g}"
            return f"`max_cost` {self._max_cost:g} leaves no room for a call of up to ${cost:.4f}"
        return ""

    def _room(self, prompt: int) -> int:
        """The longest reply to such a prompt that the caps in tokens and dollars leave room for."""
        sent = self.spent.prompt_tokens + self._reserved.prompt_tokens + prompt
        got = self.spent.completion_tokens + self._reserved.completion_tokens
        room = math.inf if self._max_tokens_total is None else self._max_tokens_total - sent - got
        if self._max_cost is not None and self.price is not None and self.price.output:
            room = min(room, (self._max_cost - self.price.of(sent, got)) / self.price.output * 1e6 - 1)
        return int(max(min(room, 2**31), 0))


def _most(of: dict[int, int], rows: int, tokens: int) -> None:
    of[rows] = max(of.get(rows, 0), tokens)


def _size(messages: Sequence[Mapping[str, str]]) -> float:
    """A prompt's size, a unit of which is a token at most: a byte, but of words and spaces two in five."""
    data = "".join(message["content"] for message in messages).encode("utf-8", "replace")
    others = len(data.translate(None, _LETTERS))
    return others + 0.4 * (len(data) - others)


def _plus(total: Spent, usage: Usage, calls: int, lost: bool = False) -> Spent:
    prompt, completion = usage[:2]
    return Spent(
        total.calls + calls,
        total.prompt_tokens + prompt,
        total.completion_tokens + completion,
        total.estimated + (prompt + completion if usage.estimated and not lost else 0),
        total.lost_prompt_tokens + (prompt if lost else 0),
        total.lost_completion_tokens + (completion if lost else 0),
    )
