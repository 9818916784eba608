"""Client, budget and price of a run."""

from __future__ import annotations

import importlib.util
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..checks.chosen import Prepared, emission, prepare
from ..clients.base import Client
from ..clients.prices import Price, look_up_price, parse_price
from ..errors import UsageError
from ..runs.folders import cache_folder, run_folder
from ..runs.identity import Identity
from ..runs.journal import Journal
from ..runs.settings import DEMO, Settings
from ..utils.text import digest
from .budget import Budget

if TYPE_CHECKING:
    from ..clients.local.client import LocalClient

# How much longer than what is shown a row may get at first: small models run away, each token of which is computed.
_LOCAL_BOUND = 4.0


def price(settings: Settings) -> Price | None:
    """The price given, else the price known for this model at this provider, else `None`."""
    if settings.price:
        return parse_price(settings.price)
    if settings.model == DEMO or settings.local is not None:
        return Price(0.0, 0.0, "free" if settings.local is None else "seconds of compute on this machine")
    if settings.model is None:
        return None
    return look_up_price(settings.model, _url(settings))


def _url(settings: Settings) -> str:
    """Where the server is; of one that is started here, on which machine."""
    from ..clients.openai import resolve_url

    return resolve_url("http://127.0.0.1" if settings.serve is not None else settings.base_url)


def provider(settings: Settings) -> str:
    """Who runs the model, by name: an address may be private, and is written nowhere."""
    if settings.model == DEMO:
        return "the built-in demo writer"
    if settings.local is not None:
        return "a model of this process"
    from genai_prices.data_snapshot import get_snapshot

    try:
        return str(get_snapshot().find_provider(None, None, _url(settings)).name)
    except LookupError:
        return "an OpenAI-compatible server"


def ready(settings: Settings, identity: Identity) -> Prepared:
    """Find out what is wrong with a call before anything is written or asked.

    Returns:
        `Prepared`: what was loaded for that, for `run.rows`.

    Raises:
        UsageError: the filter cannot be loaded, a cap needs a price, the address is none, there is no key, or no
            server to start.
    """
    prepared = prepare(settings, identity)
    emission(settings, identity, prepared)
    Budget(max_cost=settings.max_cost, price=price(settings))
    if settings.local is not None:
        _local_ready(settings, identity)
    elif settings.serve is not None:
        from ..clients.server import command

        command(settings.serve, identity.model)
    elif identity.model != DEMO:
        from ..clients.openai import api_key

        api_key(settings.api_key_env, _url(settings))
    return prepared


def server(settings: Settings) -> str | None:
    """Whose replies these are: a digest of the server's address, or of the command that starts it, neither of which is
    written anywhere; of a model of this process none."""
    if settings.model == DEMO or settings.local is not None:
        return None
    if settings.serve is not None:
        return digest(["serve", *settings.serve.split()])
    parts = urlsplit(_url(settings))
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
        bounded=settings.model != DEMO,
        first_bound=_LOCAL_BOUND if settings.local is not None else None,
    )


async def client(settings: Settings, identity: Identity, journal: Journal, stack: AsyncExitStack) -> Client:
    """Who answers: the demo writer, or a server; what is found out about the server goes into the run's header."""
    if identity.model == DEMO:
        from ..clients.demo.client import DemoClient

        return DemoClient(seed=identity.seed)
    if settings.local is not None:
        return await stack.enter_async_context(_local(settings, identity, settings.local, journal))
    from ..clients.openai import OpenAIClient
    from ..clients.rate_limits import Limits

    limits = Limits(settings.rpm, settings.tpm) if settings.rpm or settings.tpm else None

    def at(base_url: str | None) -> OpenAIClient:
        made = OpenAIClient(
            identity.model,
            base_url=base_url,
            # A server of this machine is sent no key.
            api_key_env="" if settings.serve is not None else settings.api_key_env,
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
        return made

    if settings.serve is not None:
        from ..clients.serving import ServedClient

        how = (journal.folder, settings.serve_timeout, settings.api_key_env)
        return await stack.enter_async_context(ServedClient(settings.serve, identity.model, at, *how))
    return await stack.enter_async_context(at(settings.base_url))


def about(client: Client) -> str:
    """What writes, and where, of a model of this process; it is loaded for that, so that nobody waits unawares."""
    return str(getattr(client, "about", ""))


def _local_ready(settings: Settings, identity: Identity) -> None:
    """Say what is missing before anything is written; a run that has begun may need the model no more."""
    missing = [name for name in ("torch", "transformers", "llguidance") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"`model` local needs {', '.join(missing)}: pip install 'llm-created[local]'")
    if settings.local is not None and not run_folder(identity.digest).exists():
        from ..clients.local.client import load_once

        load_once(settings.local, _models())


def _models() -> Path:
    return cache_folder() / "models"


def _local(settings: Settings, identity: Identity, name: str, journal: Journal) -> LocalClient:
    from ..clients.local.client import LocalClient

    before = (journal.get("compute") or {}).get("seconds", 0.0)

    def computed(seconds: float, number_format: str, device: str) -> None:
        journal.set("compute", {"seconds": round(before + seconds, 1), "format": number_format, "device": device})

    return LocalClient(
        name,
        _models(),
        temperature=identity.temperature,
        top_p=identity.top_p,
        max_tokens=settings.max_tokens,
        seed=identity.seed,
        structured=settings.structured,
        concurrency=settings.concurrency,
        computed=computed,
    )
