"""Keys and values of everything in flight, and the attention over them: sequences of any length in one forward pass.

All tokens of a step stand in one row, so that linear layers work on exactly those; only attention knows whose they
are. What sequences begin with together (`Prefix`) is kept, and multiplied with, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AttentionInterface

NAME = "llm_created"
_GROW = 64  # columns


class Prefix(NamedTuple):
    """What prompts begin with: its tokens, and for each layer its keys and values, `[heads, tokens, size]`."""

    tokens: tuple[int, ...]
    layers: list[tuple[Tensor, Tensor]]


class Segment(NamedTuple):
    """Tokens of one sequence in a step, one after the other.

    Attributes:
        slot (`int`): where its keys and values are kept.
        start (`int`): tokens of its own that are kept already, behind the prefix.
        tokens (`Sequence[int]`): the new ones.
        prefix (`Prefix`, *optional*): what stands before its own.
        after (`int`, *optional*): another slot whose tokens, those of this step too, stand before these; what is fed
            so is not kept.
    """

    slot: int
    start: int
    tokens: Sequence[int]
    prefix: Prefix | None = None
    after: int | None = None

    @property
    def place(self) -> int:
        """The position of the first new token."""
        return self.start + (len(self.prefix.tokens) if self.prefix else 0)


@dataclass
class Step:
    """Where each token of a step stands, for all layers."""

    single: list[tuple[int, Segment]] = field(default_factory=list)
    several: list[tuple[int, Segment]] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)  # own tokens of a slot after this step
    kept: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    slots: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    columns: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    # Of single tokens: their places in the row, their slots, and which columns they see.
    places: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    rows: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    ahead: Tensor = field(default_factory=lambda: torch.empty(0))
    prefixes: list[tuple[Prefix, Tensor]] = field(default_factory=list)
    number: int = 0  # slots from 0 on that single tokens are spread over
    dense: bool = False  # one for each of those slots, in their order
    width: int = 0  # columns that they see


class KeysAndValues:
    """Keys and values of sequences, with room for as many and as long ones as there were, and the model that reads.

    Args:
        model (`PreTrainedModel`): attends as `NAME` does.
    """

    shares = True

    def __init__(self, model: Any) -> None:
        self._model, self._device = model, torch.device(model.device)
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}
        self._step = Step()

    def read(self, segments: Sequence[Segment], wanted: Sequence[int]) -> Tensor:
        """One forward pass.

        Args:
            segments (`Sequence[Segment]`): what is fed, in this order.
            wanted (`Sequence[int]`): tokens of it behind which logits are wanted.

        Returns:
            `Tensor`: `[wanted, vocabulary]`, float32, on the CPU.
        """
        tokens = [token for segment in segments for token in segment.tokens]
        places = [segment.place + i for segment in segments for i in range(len(segment.tokens))]
        self._begin(segments)
        found = self._model(
            input_ids=torch.tensor([tokens], device=self._device),
            position_ids=torch.tensor([places], device=self._device),
            use_cache=False,
            cache=self,
            logits_to_keep=torch.tensor(list(wanted), dtype=torch.long, device=self._device),
        ).logits[0]
        logits: Tensor = found.float().cpu()
        return logits

    def _begin(self, segments: Sequence[Segment]) -> None:
        step, at = Step(), 0
        kept: list[tuple[int, int, int]] = []
        for segment in segments:
            count = len(segment.tokens)
            if segment.after is None:
                kept += ((at + i, segment.slot, segment.start + i) for i in range(count))
                step.ends[segment.slot] = segment.start + count
            (step.single if count == 1 and segment.after is None else step.several).append((at, segment))
            at += count
        step.kept, step.slots, step.columns = (
            torch.tensor(kept, dtype=torch.long, device=self._device).reshape(-1, 3).unbind(1)
        )
        if step.single:
            self._single(step)
        self._step = step

    def _single(self, step: Step) -> None:
        step.places = torch.tensor([at for at, _ in step.single], device=self._device)
        step.rows = torch.tensor([segment.slot for _, segment in step.single], device=self._device)
        step.number = max(segment.slot for _, segment in step.single) + 1
        step.dense = [segment.slot for _, segment in step.single] == list(range(step.number))
        lengths = torch.tensor([segment.start + 1 for _, segment in step.single], device=self._device)
        step.width = int(lengths.max())
        step.ahead = torch.zeros(len(step.single), step.width, device=self._device)
        step.ahead.masked_fill_(torch.arange(step.width, device=self._device) >= lengths[:, None], -torch.inf)
        groups: dict[int, tuple[Prefix, list[int]]] = {}
        for number, (_, segment) in enumerate(step.single):
            if segment.prefix is not None:
                groups.setdefault(id(segment.prefix), (segment.prefix, []))[1].append(number)
        step.prefixes = [(prefix, torch.tensor(members, device=self._device)) for prefix, members in groups.values()]

    def prefix(self, tokens: Sequence[int], slot: int, before: Prefix | None) -> Prefix:
        """What stands in a slot behind `before`, kept apart: `tokens` are all of it."""
        own = slice(0, len(tokens) - (len(before.tokens) if before else 0))
        layers = []
        for number in sorted(self._layers):
            pair = tuple(one[slot, :, own].clone() for one in self._layers[number])
            if before is not None:
                pair = tuple(torch.cat(both, dim=1) for both in zip(before.layers[number], pair, strict=True))
            layers.append((pair[0], pair[1]))
        return Prefix(tuple(tokens), layers)

    def move(self, source: int, target: int, length: int) -> None:
        """Take what a slot holds to another one, so that those in use stay together."""
        for one in (one for pair in self._layers.values() for one in pair if length):
            one[target, :, :length] = one[source, :, :length]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: How) -> Tensor:
        """Attention of one layer: queries `[heads, tokens, size]` over what is kept, which the new keys and values
        enter; `[tokens, heads, size]`."""
        step = self._step
        keys, values = self._stored(layer, key, value)
        keys[step.slots, :, step.columns] = key.transpose(0, 1)[step.kept]
        values[step.slots, :, step.columns] = value.transpose(0, 1)[step.kept]
        out = query.new_empty(query.shape[1], query.shape[0], value.shape[-1])
        if step.single:
            out[step.places] = self._of_single(layer, query, keys, values, how)
        for at, segment in step.several:
            here = slice(at, at + len(segment.tokens))
            before = self._before(layer, segment, keys, values)
            if segment.after is None:
                own = (
                    keys[segment.slot, :, : step.ends[segment.slot]],
                    values[segment.slot, :, : step.ends[segment.slot]],
                )
            else:
                own = key[:, here], value[:, here]
            out[here] = _of_several(query[:, here], [*before, own], how)
        return out

    def _stored(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """What a layer keeps, with room for what comes."""
        ends, pair = self._step.ends, self._layers.get(layer)
        slots, _, width, _ = pair[0].shape if pair is not None else (0, 0, 0, 0)
        if pair is None or max(ends.values(), default=0) > width or max(ends, default=0) >= slots:
            wide = max(width, (max(ends.values(), default=0) // _GROW + 1) * _GROW)
            many = max(slots, max(ends, default=0) + 1)
            grown = tuple(one.new_zeros(many, one.shape[0], wide, one.shape[2]) for one in (key, value))
            for old, new in zip(pair or (), grown, strict=False):
                new[:slots, :, :width] = old
            pair = grown[0], grown[1]
            self._layers[layer] = pair
        return pair

    def _before(self, layer: int, segment: Segment, keys: Tensor, values: Tensor) -> list[tuple[Tensor, Tensor]]:
        before = [] if segment.prefix is None else [segment.prefix.layers[layer]]
        if segment.after is not None:
            end = segment.start
            before.append((keys[segment.after, :, :end], values[segment.after, :, :end]))
        return before

    def _of_single(self, layer: int, query: Tensor, keys: Tensor, values: Tensor, how: How) -> Tensor:
        """One new token a sequence: the many, each against its own and against what it shares."""
        step = self._step
        count, heads = len(step.single), keys.shape[1]
        asked = (query[:, step.places] * how.scaling).transpose(0, 1).reshape(count, heads, -1, query.shape[-1])
        # Each slot with its own columns; those that others need stand behind -inf.
        own = torch.matmul(self._spread(asked), keys[: step.number, :, : step.width].transpose(2, 3))
        own = own if step.dense else own[step.rows]
        ahead = step.ahead
        if how.window is not None:
            ahead = self._in_window(ahead, how.window)
        scores = how.capped(own) + ahead[:, None, None, :]
        longest = max((len(prefix.tokens) for prefix, _ in step.prefixes), default=0)
        if longest:
            shared = scores.new_full((*scores.shape[:3], longest), -torch.inf)
            for prefix, members in step.prefixes:
                part = torch.einsum("nhgd,hpd->nhgp", asked[members], prefix.layers[layer][0])
                part = how.capped(part)
                if how.window is not None:
                    part = self._shared_in_window(part, members, how.window)
                shared[members, :, :, : len(prefix.tokens)] = part.to(shared.dtype)
            scores = torch.cat([shared, scores], dim=3)
        weights = how.weights(scores).to(values.dtype)
        found = torch.matmul(self._spread(weights[..., longest:]), values[: step.number, :, : step.width])
        found = found if step.dense else found[step.rows]
        for prefix, members in step.prefixes:
            part = weights[members, :, :, : len(prefix.tokens)]
            found[members] += torch.einsum("nhgp,hpd->nhgd", part, prefix.layers[layer][1])
        return found.reshape(count, -1, found.shape[-1])

    def _spread(self, rows: Tensor) -> Tensor:
        """What single tokens have, by slot."""
        if self._step.dense:
            return rows
        spread = rows.new_zeros(self._step.number, *rows.shape[1:])
        spread[self._step.rows] = rows
        return spread

    def _in_window(self, ahead: Tensor, window: int) -> Tensor:
        starts = torch.tensor([segment.start for _, segment in self._step.single], device=self._device)
        columns = torch.arange(self._step.width, device=self._device)
        return ahead.masked_fill(columns <= (starts - window)[:, None], -torch.inf)

    def _shared_in_window(self, scores: Tensor, members: Tensor, window: int) -> Tensor:
        starts = torch.tensor([segment.start for _, segment in self._step.single], device=self._device)[members]
        columns = torch.arange(scores.shape[-1], device=self._device) - scores.shape[-1]
        return scores.masked_fill((columns <= (starts - window)[:, None])[:, None, None, :], -torch.inf)


@dataclass(frozen=True)
class How:
    """What a model's layer says of its attention: the scale, a window, a cap on scores, sinks."""

    scaling: float
    window: int | None = None
    cap: float | None = None
    sinks: Tensor | None = None

    def capped(self, scores: Tensor) -> Tensor:
        """Scores as the model bounds them."""
        return scores if self.cap is None else torch.tanh(scores / self.cap) * self.cap

    def weights(self, scores: Tensor) -> Tensor:
        """Softmax over the last dimension of `[..., heads, groups, columns]`, beside sinks if there are some."""
        if self.sinks is None:
            return torch.softmax(scores, dim=-1, dtype=torch.float32)
        sinks = self.sinks.view(scores.shape[1], scores.shape[2], 1).expand(*scores.shape[:3], 1)
        with_sinks = torch.cat([scores, sinks.to(scores.dtype)], dim=-1)
        return torch.softmax(with_sinks, dim=-1, dtype=torch.float32)[..., :-1]


def _of_several(query: Tensor, parts: Sequence[tuple[Tensor, Tensor]], how: How) -> Tensor:
    """Several new tokens of one sequence, each after the ones before it: `[tokens, heads, size]`."""
    keys, values = (torch.cat(both, dim=1) if len(both) > 1 else both[0] for both in zip(*parts, strict=True))
    heads, count, length = keys.shape[0], query.shape[1], keys.shape[1]
    asked = (query * how.scaling).reshape(heads, -1, count, query.shape[-1])
    scores = how.capped(torch.matmul(asked, keys[:, None].transpose(2, 3)))
    places = torch.arange(length - count, length, device=query.device)[:, None]
    columns = torch.arange(length, device=query.device)
    hidden = columns > places
    if how.window is not None:
        hidden |= columns <= places - how.window
    scores = scores.masked_fill(hidden, -torch.inf)
    # As `weights` wants it: one token a line.
    weights = how.weights(scores.permute(2, 0, 1, 3)).permute(1, 2, 0, 3).to(values.dtype)
    return torch.matmul(weights, values[:, None]).flatten(0, 1).transpose(0, 1)


def _attend(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, **said: Any
) -> tuple[Tensor, None]:
    """What the layers of transformers call in place of their attention."""
    scaling = said.get("scaling")
    how = How(
        query.shape[-1] ** -0.5 if scaling is None else scaling,
        said.get("sliding_window"),
        said.get("softcap"),
        said.get("s_aux"),
    )
    store: KeysAndValues = said["cache"]
    return store.attend(int(module.layer_idx), query[0], key[0], value[0], how)[None], None  # type: ignore[arg-type]


AttentionInterface.register(NAME, _attend)
