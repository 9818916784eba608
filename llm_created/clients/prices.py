"""What a model costs, and who says so."""

from __future__ import annotations

from datetime import date
from functools import cache
from importlib.metadata import version
from typing import NamedTuple

from ..errors import UsageError


class Price(NamedTuple):
    """Dollars per million tokens, and who says so."""

    input: float
    output: float
    source: str = "the price given"

    @property
    def free(self) -> bool:
        """Whether nothing costs anything."""
        return not self.input and not self.output

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Dollars for so many tokens."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


def parse_price(text: str) -> Price:
    """``price` IN,OUT`: dollars per million prompt and completion tokens."""
    try:
        dollars_in, dollars_out = (float(part) for part in text.split(","))
        price = Price(dollars_in, dollars_out)
        if min(dollars_in, dollars_out) < 0 or not dollars_in + dollars_out < 1e9:
            raise ValueError
    except ValueError:
        raise UsageError(
            "`price` takes two numbers, dollars per million prompt and completion tokens, as in 0.15,0.60; "
            f"not {text!r}"
        ) from None
    return price


def look_up_price(model: str, base_url: str) -> Price | None:
    """The model's price at that provider according to `genai-prices`, or `None`: a price is never guessed."""
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    million = Tokens(input_tokens=1_000_000, output_tokens=1_000_000)
    try:
        found = calc_price(million, model_ref=model, provider_api_url=base_url)
    except LookupError:
        return None
    return Price(float(found.input_price), float(found.output_price), f"{_table()} ({found.provider.id})")


@cache
def _table() -> str:
    """The table of prices and how new it is. It has no date: its version, and the last day on which one of its prices
    began, tell."""
    from genai_prices.data_snapshot import get_snapshot

    today, began = date.today(), date.min
    for provider in get_snapshot().providers:
        for model in provider.models:
            for price in model.prices if isinstance(model.prices, list) else ():
                start = getattr(price.constraint, "start_date", None)
                began = max(began, start) if start is not None and start <= today else began
    newest = f", newest price of {began}" if began != date.min else ""
    return f"genai-prices {version('genai-prices')}{newest}"
