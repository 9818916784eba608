"""Models that keep something else than keys and values, or attend in their own way: one sequence after the other."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .kept import Prefix, Segment


class Alone:
    """The same reading as `KeysAndValues`, with the model's own cache for each sequence, and nothing shared.

    Args:
        model (`PreTrainedModel`): any causal LM.
        slots (`int`): sequences at most.
    """

    shares = False

    def __init__(self, model: Any, slots: int) -> None:
        self._model, self._device = model, torch.device(model.device)
        self._caches: list[Any] = [None] * slots

    def read(self, segments: Sequence[Segment], wanted: Sequence[int]) -> Tensor:
        """One forward pass for each segment; see `KeysAndValues.read`."""
        found, at = [], 0
        for segment in segments:
            end = at + len(segment.tokens)
            logits = self._of(segment)
            found += [logits[one - at] for one in wanted if at <= one < end]
            at = end
        return torch.stack(found)

    def _of(self, segment: Segment) -> Tensor:
        if segment.after is not None:
            cache = copy.deepcopy(self._caches[segment.after])
        else:
            cache = self._caches[segment.slot] if segment.start else None
        place = torch.arange(segment.start, segment.start + len(segment.tokens), device=self._device)[None]
        out = self._model(
            input_ids=torch.tensor([segment.tokens], device=self._device),
            position_ids=place,
            past_key_values=cache,
            use_cache=True,
        )
        if segment.after is None:
            self._caches[segment.slot] = out.past_key_values
        logits: Tensor = out.logits[0].float().cpu()
        return logits

    def prefix(self, tokens: Sequence[int], slot: int, before: Prefix | None) -> Prefix:
        """Never asked for: `shares` is false."""
        raise NotImplementedError

    def move(self, source: int, target: int, length: int) -> None:
        """Take what a slot holds to another one."""
        self._caches[target], self._caches[source] = self._caches[source], None
