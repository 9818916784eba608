"""Replies held to a JSON schema while they are written, by llguidance; masks are computed beside the forward pass."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import RunFailed
from ...utils.text import shorten
from ..schemas import without

# JSON as models have read it most often: one space after a colon and a comma, and no others to run away with.
_COMPACT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
# What llguidance does not know, and refuses the whole schema for.
_NOT_HELD = ("uniqueItems",)


class Grammars:
    """What a model's tokens make of schemas.

    Args:
        tokenizer (`PreTrainedTokenizerFast`): the model's.
        vocabulary (`int`): how many logits it gives.
        ends (`Sequence[int]`): tokens that end a reply.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Sequence[int]) -> None:
        # Tokenizers may have words that the model has no logits for; those are never written.
        self._wide = max(vocabulary, len(tokenizer))
        self._tokenizer = llguidance.hf.from_tokenizer(
            tokenizer, n_vocab=self._wide, eos_token=list(ends), slices=llguidance.LLTokenizer.json_slices()
        )
        self._vocabulary = vocabulary
        self._known: dict[str, llguidance.LLMatcher] = {}
        self._executor = llguidance.LLExecutor()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="masks")

    def of(self, schema: Mapping[str, Any]) -> llguidance.LLMatcher:
        """What holds a reply to the schema of a `response_format`.

        Raises:
            RunFailed: it cannot be held.
        """
        inner = without(schema, _NOT_HELD)["json_schema"]["schema"]
        name = json.dumps(inner)
        if name not in self._known:
            matcher = llguidance.LLMatcher(
                self._tokenizer, llguidance.LLMatcher.grammar_from_json_schema(inner, overrides=_COMPACT)
            )
            if matcher.is_error():
                raise RunFailed(
                    f"this reply's JSON schema cannot be held: {shorten(matcher.get_error(), 160)}. `structured` off "
                    "writes without it"
                )
            if len(self._known) > 1000:
                self._known.clear()
            self._known[name] = matcher
        return self._known[name].deep_copy()

    def masks(self, matchers: Sequence[llguidance.LLMatcher | None]) -> Future[torch.Tensor | None]:
        """Which tokens may come next, `[matchers, vocabulary]`, computed while the model does something else."""
        return self._beside.submit(self._masks, list(matchers))

    def _masks(self, matchers: list[llguidance.LLMatcher | None]) -> torch.Tensor | None:
        held = [(matcher, number) for number, matcher in enumerate(matchers) if matcher is not None]
        if not held:
            return None
        words: NDArray[np.int32] = np.full((len(matchers), (self._wide + 31) // 32), -1, dtype=np.int32)
        self._executor.unsafe_compute_mask_ptr(held, words.ctypes.data, words.shape[1] * 4, len(matchers))
        bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, : self._vocabulary]
        return torch.from_numpy(bits).bool()

    def close(self) -> None:
        """End the thread of the masks."""
        self._beside.shutdown()
