"""Models that keep something else than keys and values, or attend in their own way: one sequence after the other."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .kept import Prefix, Segment

# What a model calls that which it keeps of a sequence.
_KEPT = ("past_key_values", "cache_params", "state")
# Of the text that is read to find out how a model can be fed.
_TRIED = 12
_CLOSE = 0.05  # of the spread of its logits


class Alone:
    """The same reading as `KeysAndValues`, with the model's own cache for each sequence, and nothing shared.

    Architectures differ in what a cache lets them do, so it is tried how they can be fed behind it: several tokens at
    once, one by one, or not at all; then the whole sequence is read again for each token.

    Args:
        model (`PreTrainedModel`): any causal LM.
    """

    shares = False

    def __init__(self, model: Any) -> None:
        self._model, self._device = model, torch.device(model.device)
        known = inspect.signature(model.forward).parameters
        self._kept = next((name for name in _KEPT if name in known), "")
        self._places = "position_ids" in known
        self._caches: dict[int, Any] = {}
        self._read: dict[int, list[int]] = {}
        self._most = self._fits()

    def read(self, segments: Sequence[Segment], wanted: Sequence[int]) -> Tensor:
        """One forward pass for each segment, or more; see `KeysAndValues.read`."""
        found, at = [], 0
        for segment in segments:
            end = at + len(segment.tokens)
            mine = [one - at for one in wanted if at <= one < end]
            logits = self._of(segment)
            found += [logits[one] for one in mine]
            at = end
        return torch.stack(found) if found else torch.empty(0)

    def _of(self, segment: Segment) -> Tensor:
        slot = segment.slot if segment.after is None else segment.after
        before = self._read[slot] if segment.start else []
        cache = self._caches[slot] if segment.start else None
        tokens = list(segment.tokens)
        if not self._most:
            logits = self._forward([*before, *tokens], 0, None)[0][len(before) :]
        else:
            cache = copy.deepcopy(cache) if segment.after is not None else cache
            logits, cache = self._fed(tokens, len(before), cache)
        if segment.after is None:
            self._read[slot], self._caches[slot] = [*before, *tokens], cache
        return logits

    def _fed(self, tokens: list[int], start: int, cache: Any) -> tuple[Tensor, Any]:
        """Tokens behind what a cache holds, so many at once as the model takes there; at the beginning all of them."""
        found, most = [], self._most if start else len(tokens)
        for at in range(0, len(tokens), most):
            logits, cache = self._forward(tokens[at : at + most], start + at, cache)
            found.append(logits)
        return torch.cat(found), cache

    def _forward(self, tokens: list[int], start: int, cache: Any) -> tuple[Tensor, Any]:
        more: dict[str, Any] = {self._kept: cache} if self._kept else {}
        if self._places:
            more["position_ids"] = torch.arange(start, start + len(tokens), device=self._device)[None]
        out = self._model(
            input_ids=torch.tensor([tokens], device=self._device),
            use_cache=bool(self._kept and self._most),
            **more,
        )
        logits: Tensor = out.logits[0].float().cpu()
        return logits, getattr(out, self._kept, None) if self._kept else None

    def _fits(self) -> int:
        """How many tokens the model takes at once behind its cache: any number, one, or none."""
        tokens = [number * 7 % int(self._model.config.get_text_config().vocab_size) for number in range(1, _TRIED + 1)]
        self._most, half = 0, _TRIED // 2
        with torch.inference_mode():
            plain = self._forward(tokens, 0, None)[0]
            for most in (2**31, 1) if self._kept else ():
                self._most = most
                try:
                    first, cache = self._fed(tokens[:half], 0, None)
                    again = torch.cat([first, self._fed(tokens[half:], half, copy.deepcopy(cache))[0]])
                except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError):
                    continue  # whatever the code of an architecture says when it is fed like this
                if cache is not None and float((again - plain).abs().max()) <= _CLOSE * float(plain.std()):
                    return most
        return 0

    def prefix(self, tokens: Sequence[int], slot: int, before: Prefix | None) -> Prefix:
        """Never asked for: `shares` is false."""
        raise NotImplementedError

    def move(self, source: int, target: int, length: int) -> None:
        """Take what a slot holds to another one."""
        self._caches[target], self._read[target] = self._caches.pop(source, None), self._read.pop(source, [])
