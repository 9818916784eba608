"""Replies held to a JSON schema while they are written, by llguidance; masks are computed beside the forward pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
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

# The grammar of a stretch of a reply, by all that stands before it.
Stretch = Callable[[str], str]


class InStretches:
    """Holds a reply to one grammar after the other: what is written in one may decide what the next allows.

    Args:
        tokenizer (`Any`): llguidance's.
        decode (`Callable[[Sequence[int]], str]`): tokens as text.
        first (`LLMatcher`): of the first stretch.
        then (`Sequence[Stretch]`): the others.
    """

    def __init__(
        self,
        tokenizer: Any,
        decode: Callable[[Sequence[int]], str],
        first: llguidance.LLMatcher,
        then: Sequence[Stretch],
    ) -> None:
        self._tokenizer, self._decode, self.now = tokenizer, decode, first
        self._then, self._written = list(then), list[int]()

    def consume_token(self, token: int) -> bool:
        """One more token."""
        return self.consume_tokens([token])

    def consume_tokens(self, tokens: Sequence[int]) -> bool:
        """More tokens, all of one stretch."""
        done = bool(self.now.consume_tokens(list(tokens)))
        self._written += tokens
        while self._then and self.now.is_stopped() and not self.now.is_error():
            grammar = self._then.pop(0)(self._decode(self._written))
            self.now = llguidance.LLMatcher(self._tokenizer, llguidance.LLMatcher.grammar_from_lark(grammar))
        return done

    def compute_ff_tokens(self) -> list[int]:
        """What the grammar leaves no choice about."""
        return list(self.now.compute_ff_tokens())

    def is_stopped(self) -> bool:
        """Whether the reply is whole."""
        return bool(self.now.is_stopped())

    def is_error(self) -> bool:
        """Whether a grammar cannot be held, or was not."""
        return bool(self.now.is_error())

    def get_error(self) -> str:
        """What is wrong."""
        return str(self.now.get_error())


Matcher = llguidance.LLMatcher | InStretches


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
        self._decode: Callable[[Sequence[int]], str] = partial(tokenizer.decode, skip_special_tokens=True)
        self._known: dict[str, llguidance.LLMatcher] = {}
        self._executor = llguidance.LLExecutor()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="masks")

    def of(self, schema: Mapping[str, Any], among: tuple[str, str] | None = None) -> Matcher:
        """What holds a reply to the schema of a `response_format`.

        Args:
            schema (`Mapping[str, Any]`): the `response_format`.
            among (`tuple[str, str]`, *optional*): a property of the objects that is one of the texts in another one,
                which a schema cannot say.

        Raises:
            RunFailed: it cannot be held.
        """
        inner = without(schema, _NOT_HELD)["json_schema"]["schema"]
        stretches = list(_stretches(inner, *among)) if among else []
        if not stretches:
            return self._matcher(llguidance.LLMatcher.grammar_from_json_schema(inner, overrides=_COMPACT))
        first = self._matcher(llguidance.LLMatcher.grammar_from_lark(stretches[0]("")))
        return InStretches(self._tokenizer, self._decode, first, stretches[1:])

    def _matcher(self, grammar: str) -> llguidance.LLMatcher:
        if grammar not in self._known:
            matcher = llguidance.LLMatcher(self._tokenizer, grammar)
            if matcher.is_error():
                raise RunFailed(
                    f"this reply's JSON schema cannot be held: {shorten(matcher.get_error(), 160)}. `structured` off "
                    "writes without it"
                )
            if len(self._known) > 1000:
                self._known.clear()
            self._known[grammar] = matcher
        return self._known[grammar].deep_copy()

    def masks(self, matchers: Sequence[Matcher | None]) -> Future[torch.Tensor | None]:
        """Which tokens may come next, `[matchers, vocabulary]`, computed while the model does something else."""
        return self._beside.submit(self._masks, list(matchers))

    def _masks(self, matchers: list[Matcher | None]) -> torch.Tensor | None:
        held = [
            (matcher.now if isinstance(matcher, InStretches) else matcher, number)
            for number, matcher in enumerate(matchers)
            if matcher is not None
        ]
        if not held:
            return None
        words: NDArray[np.int32] = np.full((len(matchers), (self._wide + 31) // 32), -1, dtype=np.int32)
        self._executor.unsafe_compute_mask_ptr(held, words.ctypes.data, words.shape[1] * 4, len(matchers))
        bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, : self._vocabulary]
        return torch.from_numpy(bits).bool()

    def close(self) -> None:
        """End the thread of the masks."""
        self._beside.shutdown()


def _stretches(schema: Mapping[str, Any], answer: str, options: str) -> Iterator[Stretch]:
    """The grammars of a reply of one row, or of so many in a list, that end and begin behind the options of each row;
    none where the answer does not follow its options, or a list has no fixed length."""
    (name, rows), *others = schema["properties"].items()
    listed = not others and rows.get("type") == "array" and rows.get("minItems") == rows.get("maxItems")
    row, count = (rows["items"], rows["minItems"]) if listed else (schema, 1)
    kinds = row.get("properties", {})
    names = list(kinds)
    at = names.index(answer) if answer in kinds else 0
    if names[at - 1 : at] != [options] or "enum" in kinds[answer]:
        return
    opens, between, closes = (f"{{{_literal(name)}: [", ", ", "]}") if listed else ("", "", "")
    before, after = ({one: kinds[one] for one in some} for some in (names[:at], names[at + 1 :]))
    yield lambda text: _stretch([(opens, before)])
    for number in range(count):
        last = number == count - 1
        yield partial(_behind_options, answer, options, after, (closes, {}) if last else (between, before))


def _behind_options(
    answer: str, options: str, after: Mapping[str, Any], then: tuple[str, Mapping[str, Any]], text: str
) -> str:
    """The grammar from behind the options of a row to behind those of the next."""
    # No text can hold this but as a key: a quote within a text has a backslash before it.
    _, _, array = text.rpartition(f"{_literal(options)}: ")
    try:
        kind = {"enum": list(dict.fromkeys(json.loads(array)))}
    except ValueError:  # no list that can be read: what is wrong with it is told as of any reply
        kind = {}
    return _stretch(
        [("", {answer: kind if kind.get("enum") else {"type": "string"}} | dict(after)), then], inside=True
    )


def _stretch(rows: Sequence[tuple[str, Mapping[str, Any]]], inside: bool = False) -> str:
    """Properties of rows, each row behind what stands before it, in llguidance's Lark; `inside`: the first goes on."""
    parts: list[str] = []
    rules: list[str] = []
    for before, kinds in rows:
        if rules:
            parts.append(_literal("}" + before))
        for at, (name, kind) in enumerate(kinds.items()):
            opens = ", " if at or (inside and not rules) else "{" if rules else before + "{"
            parts += [_literal(f"{opens}{_literal(name)}: "), f"part{len(rules)}"]
            rules.append(f"part{len(rules)}: %json {json.dumps({**kind, 'x-guidance': _COMPACT})}")
    return "\n".join([f"start: {' '.join(parts)}", *rules])


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
