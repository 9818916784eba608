"""Requests and tokens per minute, for those whose provider counts them."""

from __future__ import annotations

from aiolimiter import AsyncLimiter

from ..errors import UsageError


class Limits:
    """Waits until one more attempt fits under the provider's limits.

    Args:
        rpm (`float`, *optional*): requests a minute.
        tpm (`float`, *optional*): tokens a minute, prompt and completion together.
        completion_tokens (`float`, defaults to 500): what a reply is expected to take, until some have come.
    """

    def __init__(self, rpm: float | None = None, tpm: float | None = None, completion_tokens: float = 500) -> None:
        for flag, value in (("`rpm`", rpm), ("`tpm`", tpm)):
            if value is not None and value <= 0:
                raise UsageError(f"{flag} must be above 0, not {value:g}")
        # A tenth of a minute's share at once: a whole minute's burst is what providers refuse.
        self._requests = None if rpm is None else AsyncLimiter(max(rpm / 10, 1), 60 * max(rpm / 10, 1) / rpm)
        self._tokens = None if tpm is None else AsyncLimiter(max(tpm / 10, 1), 60 * max(tpm / 10, 1) / tpm)
        self._completion_tokens = completion_tokens

    async def wait(self, characters: int) -> None:
        """Wait for the turn of one attempt whose body has so many characters."""
        if self._requests is not None:
            await self._requests.acquire()
        if self._tokens is not None:
            tokens = characters / 4 + self._completion_tokens
            # One call may need more than the bucket holds: then it takes several fillings.
            while tokens > 0:
                part = min(tokens, self._tokens.max_rate)
                await self._tokens.acquire(part)
                tokens -= part

    def learn(self, completion_tokens: int) -> None:
        """What a reply took: the next ones are expected to be like the last few."""
        self._completion_tokens += (completion_tokens - self._completion_tokens) / 8
