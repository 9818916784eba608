"""How a model computes best on this machine, found out by trying: the format of its numbers, and what it can share."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from . import kept

# How much a format, or sharing, may change what the model thinks comes next: nats a token, on `TEXT`.
MOST_CHANGED = 0.02
_SAME = 0.05  # of the spread of logits
_SINGLE = 4  # tokens that are read one by one when sharing is tried
TEXT = """\
The committee met on Tuesday to decide whether the old bridge should be repaired or replaced. "It has stood for \
ninety years," said the mayor, "and it will stand for ninety more if we look after it." {"sentence": "a quietly \
moving film that never asks for tears", "answer": "positive"} Water boils at a lower temperature on a mountain \
because the air presses less on it; nobody who cooks beans there forgets that."""


def for_cpu(model: Any, tokens: Sequence[int], number_format: str | None = None) -> tuple[Any, str]:
    """The model in the format that is fastest on this CPU by a short probe, and still thinks the same.

    Args:
        model (`PreTrainedModel`): in float32, or in the format that is given.
        tokens (`Sequence[int]`): `TEXT`.
        number_format (`str`, *optional*): the format, without a probe.
    """
    if number_format in ("float32", "bfloat16", "float16"):
        return model, number_format
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    # The largest but for the vocabulary's is one of those that a step spends most of its time in.
    inner = sorted(layers[:-1] or layers, key=lambda layer: layer.weight.numel())
    seconds = {"int8": 0.0} if number_format == "int8" or not layers else _probe(inner[-1])
    for name in sorted(seconds, key=lambda one: seconds[one]):
        if name == "float32":
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = _int8(model) if name == "int8" else _bfloat16(model)
        if name == number_format or changed(_logits(model, tokens), _logits(made, tokens)) <= MOST_CHANGED:
            return made, name
    return model, "float32"


def _int8(model: nn.Module) -> nn.Module:
    """With int8 linear layers, whose inputs are measured as they come."""
    from torch.ao import quantization

    made: nn.Module = quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]
    return made


def _bfloat16(model: nn.Module) -> nn.Module:
    import copy

    return copy.deepcopy(model).bfloat16()


def _probe(layer: nn.Linear) -> dict[str, float]:
    """Seconds that a layer takes for 32 tokens, by format."""
    token, one = torch.randn(32, layer.in_features), nn.Sequential(nn.Linear(layer.in_features, layer.out_features))
    tried: dict[str, tuple[nn.Module, Tensor]] = {"float32": (one, token)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(RuntimeError, NotImplementedError):  # a build of torch without kernels for it
            tried["int8"] = _int8(one), token
    tried["bfloat16"] = _bfloat16(one), token.bfloat16()
    found = {}
    for name, (layer_of, given) in tried.items():
        times = []
        with torch.inference_mode():
            for _ in range(20):
                started = time.perf_counter()
                layer_of(given)
                times.append(time.perf_counter() - started)
        found[name] = min(times)
    return found


def _logits(model: Any, tokens: Sequence[int]) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = model(torch.tensor([tokens], device=model.device)).logits[0].float().cpu()
    return logits


def changed(one: Tensor, other: Tensor) -> float:
    """How far two beliefs about the next tokens lie apart: mean Kullback-Leibler divergence of logits, in nats."""
    before, after = torch.log_softmax(one, dim=-1), torch.log_softmax(other, dim=-1)
    return float((before.exp() * (before - after)).sum(dim=-1).mean())


def causal(model: Any, tokens: Sequence[int]) -> bool:
    """Whether what the model thinks of a beginning is the same without what follows it."""
    half = len(tokens) // 2
    whole, alone = _logits(model, tokens)[:half], _logits(model, tokens[:half])
    return not float((whole - alone).abs().mean()) > _SAME * float(alone.std())


def shares(model: Any, tokens: Sequence[int]) -> bool:
    """Whether sequences can share the model's forward passes: it is set to the attention of `kept` then.

    Architectures differ in more than they say, so it is tried whether the model still thinks the same.
    """
    before = model.config._attn_implementation
    plain = _logits(model, tokens)
    if model._supports_attention_backend:
        model.set_attn_implementation(kept.NAME)
        pieces = _in_pieces(model, tokens)
        if pieces and all(changed(plain[at : at + len(one)], one) <= MOST_CHANGED for at, one in pieces):
            return True
        model.set_attn_implementation(before)
    return False


def _in_pieces(model: Any, tokens: Sequence[int]) -> list[tuple[int, Tensor]]:
    """The logits of a text that is read in pieces beside another one, and where each begins; none where the model does
    not take it so."""
    store, half = kept.KeysAndValues(model), len(tokens) // 2
    with torch.inference_mode():
        try:
            # The other one stands first, so that a state that runs on from it would show.
            first = store.read(
                [kept.Segment(1, 0, tokens[:half][::-1]), kept.Segment(0, 0, tokens[:half])], range(half, 2 * half)
            )
            # What writing is: one token after the other. A layer that forgets shows here, and hardly anywhere else.
            single = [
                store.read([kept.Segment(1, at, [tokens[0]]), kept.Segment(0, at, tokens[at : at + 1])], [1])
                for at in range(half, half + _SINGLE)
            ]
            after = half + _SINGLE
            rest = store.read([kept.Segment(0, after, tokens[after:])], range(len(tokens) - after))
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError):
            return []  # whatever the code of an architecture says when it is fed like this
    return [(0, first), (half, torch.cat(single)), (after, rest)]
