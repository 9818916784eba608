"""The method that an identity names."""

from __future__ import annotations

from ..runs.identity import CHAINED, Identity
from .base import Strategy
from .pool import Pool


def strategy(identity: Identity, pool: Pool) -> Strategy:
    """The strategy that the identity names."""
    from . import self_reference
    from .attrprompt import AttrPrompt
    from .few_shot import FewShot
    from .targen import TarGEN

    if identity.strategy == "targen":
        return TarGEN(identity)
    if identity.strategy in ("attrprompt", "simprompt"):
        return AttrPrompt(identity)
    if identity.strategy == "naive":
        return self_reference.Naive(identity)
    if identity.strategy == "tree":
        return self_reference.Tree(identity)
    if identity.strategy == "pool":
        return FewShot(identity)
    assert identity.strategy in CHAINED
    return self_reference.Chains(identity, pool)
