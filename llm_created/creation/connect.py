"""Client, budget and price of a run."""

from __future__ import annotations

from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from ..checks.chosen import Prepared, emission, prepare
from ..clients.base import Client
from ..clients.prices import Price, look_up_price, parse_price
from ..runs.identity import Identity
from ..runs.journal import Journal
from ..runs.settings import DEMO, Settings
from ..utils.text import digest
from .budget import Budget


def price(settings: Settings) -> Price | None:
    """The price given, else the price known for this model at this provider, else `None`."""
    if settings.price:
        return parse_price(settings.price)
    if settings.model in (None, DEMO):
        return Price(0.0, 0.0, "free") if settings.model == DEMO else None
    from ..clients.openai import resolve_url

    return look_up_price(settings.model or "", resolve_url(settings.base_url))


def provider(settings: Settings) -> str:
    """Who runs the model, by name: an address may be private, and is written nowhere."""
    if settings.model == DEMO:
        return "the built-in demo writer"
    from genai_prices.data_snapshot import get_snapshot

    from ..clients.openai import resolve_url

    try:
        return str(get_snapshot().find_provider(None, None, resolve_url(settings.base_url)).name)
    except LookupError:
        return "an OpenAI-compatible server"


def ready(settings: Settings, identity: Identity) -> Prepared:
    """Find out what is wrong with a call before anything is written or asked.

    Returns:
        `Prepared`: what was loaded for that, for `run.rows`.

    Raises:
        UsageError: the filter cannot be loaded, a cap needs a price, the address is none, or there is no key.
    """
    prepared = prepare(settings, identity)
    emission(settings, identity, prepared)
    Budget(max_cost=settings.max_cost, price=price(settings))
    if identity.model != DEMO:
        from ..clients.openai import api_key, resolve_url

        api_key(settings.api_key_env, resolve_url(settings.base_url))
    return prepared


def server(settings: Settings) -> str | None:
    """Whose replies these are: a digest of the server's address, which is written nowhere; of the demo writer none."""
    if settings.model == DEMO:
        return None
    from ..clients.openai import resolve_url

    parts = urlsplit(resolve_url(settings.base_url))
    # Without a name and a password that may stand in it.
    return digest(["server", parts.scheme, parts.hostname, parts.port, parts.path.rstrip("/")])


def budget(settings: Settings, journal: Journal) -> Budget:
    """The caps, with what the run has spent so far."""
    return Budget(
        max_cost=settings.max_cost,
        max_tokens_total=settings.max_tokens_total,
        max_calls=settings.max_calls,
        price=price(settings),
        max_tokens=settings.max_tokens,
        spent=journal.spent(),
    )


async def client(settings: Settings, identity: Identity, journal: Journal, stack: AsyncExitStack) -> Client:
    """Who answers: the demo writer, or a server; what is found out about the server goes into the run's header."""
    if identity.model == DEMO:
        from ..clients.demo.client import DemoClient

        return DemoClient(seed=identity.seed)
    from ..clients.openai import OpenAIClient
    from ..clients.rate_limits import Limits

    limits = Limits(settings.rpm, settings.tpm) if settings.rpm or settings.tpm else None
    made = OpenAIClient(
        identity.model,
        base_url=settings.base_url,
        api_key_env=settings.api_key_env,
        temperature=identity.temperature,
        top_p=identity.top_p,
        max_tokens=settings.max_tokens,
        timeout=settings.timeout,
        seed=identity.seed if settings.send_seed else None,
        structured=settings.structured,
        concurrency=settings.concurrency,
        limits=limits,
        transport=journal.get("transport"),
    )
    stack.callback(lambda: journal.set("transport", made.transport))
    return await stack.enter_async_context(made)
