"""Client, budget and price of a run."""

from __future__ import annotations

import importlib.util
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..checks.chosen import Prepared, emission, prepare
from ..clients.base import Client
from ..clients.prices import Price, look_up_price, parse_price
from ..errors import UsageError
from ..runs.folders import cache_folder
from ..runs.identity import Identity
from ..runs.journal import Journal
from ..runs.settings import DEMO, Settings
from ..utils.text import digest
from .budget import Budget

if TYPE_CHECKING:
    from ..clients.local.client import LocalClient


def price(settings: Settings) -> Price | None:
    """The price given, else the price known for this model at this provider, else `None`."""
    if settings.price:
        return parse_price(settings.price)
    if settings.model == DEMO or settings.local is not None:
        return Price(0.0, 0.0, "free" if settings.local is None else "seconds of compute on this machine")
    if settings.model is None:
        return None
    from ..clients.openai import resolve_url

    return look_up_price(settings.model or "", resolve_url(settings.base_url))


def provider(settings: Settings) -> str:
    """Who runs the model, by name: an address may be private, and is written nowhere."""
    if settings.model == DEMO:
        return "the built-in demo writer"
    if settings.local is not None:
        return "a model of this process"
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
    if settings.local is not None:
        _has_local()
    elif identity.model != DEMO:
        from ..clients.openai import api_key, resolve_url

        api_key(settings.api_key_env, resolve_url(settings.base_url))
    return prepared


def server(settings: Settings) -> str | None:
    """Whose replies these are: a digest of the server's address, which is written nowhere; of the demo writer none."""
    if settings.model == DEMO or settings.local is not None:
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
    if settings.local is not None:
        return await stack.enter_async_context(_local(settings, identity, settings.local))
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


def _has_local() -> None:
    """Say what is missing before anything is written."""
    missing = [name for name in ("torch", "transformers", "llguidance") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"`model` local needs {', '.join(missing)}: pip install 'llm-created[local]'")


def _local(settings: Settings, identity: Identity, name: str) -> LocalClient:
    from ..clients.local.client import LocalClient

    return LocalClient(
        name,
        cache_folder() / "models",
        temperature=identity.temperature,
        top_p=identity.top_p,
        max_tokens=settings.max_tokens,
        seed=identity.seed,
        structured=settings.structured,
        concurrency=settings.concurrency,
    )
