"""Rows as tokens: encoded once and cached, padded to the longest of a batch, in batches of like length."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import tokenizers
import torch
from safetensors import SafetensorError

from llm_created.errors import RunFailed
from llm_created.runs.folders import cache_folder
from llm_created.tasks.task import Row
from llm_created.utils.files import whole

# Part of the cache's name: another way to encode is another file.
_ENCODING = 1
# Batches that are sorted by length together, as in the Trainer: more would make the batches of every epoch alike.
_POOL = 50
_log = logging.getLogger("llm_created.train")


@dataclass(frozen=True)
class Features:
    """The encoded rows, flat: one sequence a row, or one for each of its options.

    Attributes:
        ids (`torch.Tensor` of shape `(tokens,)`): token ids of all sequences, int32.
        types (`torch.Tensor` of shape `(tokens,)`): 1 in the second text of a pair, uint8; empty if the tokenizer
            knows no token types.
        starts (`torch.Tensor` of shape `(sequences + 1,)`): where each sequence begins in `ids`, int64.
        first (`torch.Tensor` of shape `(rows + 1,)`): the first sequence of each row, int64.
    """

    ids: torch.Tensor
    types: torch.Tensor
    starts: torch.Tensor
    first: torch.Tensor

    def __len__(self) -> int:
        return len(self.first) - 1

    def lengths(self) -> list[int]:
        """For each row the length of its longest sequence, in tokens."""
        each = self.starts.diff()
        counts = self.first.diff()
        rows = torch.repeat_interleave(torch.arange(len(self)), counts)
        longest = torch.zeros(len(self), dtype=torch.int64).scatter_reduce(0, rows, each, "amax")
        return [int(length) for length in longest]

    def batch(self, rows: Sequence[int], pad: int, multiple: int = 1) -> tuple[dict[str, torch.Tensor], list[int]]:
        """The sequences of some rows, padded to the longest of them.

        Args:
            rows (`Sequence[int]`): which rows.
            pad (`int`): id of the padding token.
            multiple (`int`, defaults to 1): round the length up to a multiple of this.

        Returns:
            `tuple[dict[str, torch.Tensor], list[int]]`: a model's inputs of shape `(sequences, length)`, and how many
            sequences each row has.
        """
        counts = [int(self.first[row + 1] - self.first[row]) for row in rows]
        which = torch.cat([torch.arange(int(self.first[row]), int(self.first[row + 1])) for row in rows])
        starts = self.starts[which]
        lengths = self.starts[which + 1] - starts
        longest = -(-int(lengths.max()) // multiple) * multiple
        steps = torch.arange(longest)
        mask = steps < lengths[:, None]
        places = (starts[:, None] + steps).clamp_(max=len(self.ids) - 1)
        inputs = {"input_ids": self.ids[places].long().masked_fill_(~mask, pad), "attention_mask": mask.long()}
        if len(self.types):
            inputs["token_type_ids"] = self.types[places].long().masked_fill_(~mask, 0)
        return inputs, counts


def tokenise(rows: Sequence[Row], variable: bool, tokenizer: Any, max_length: int = 256) -> Features:
    """Encode rows, or take them from the cache.

    With options that vary, a sequence is a question, and the context after it, paired with one option; with fixed
    labels it is the question, paired with the context where there is one. What is too long loses the end of its
    context, and the question stays whole unless it does not fit by itself.

    Args:
        rows (`Sequence[Row]`): any rows, with any number of options each.
        variable (`bool`): whether rows bring their own options.
        tokenizer (`PreTrainedTokenizerBase`): the model's.
        max_length (`int`, defaults to 256): tokens of a sequence, special ones included.
    """
    started = time.perf_counter()
    path = cache_folder() / "tokenised" / f"{_fingerprint(rows, variable, tokenizer, max_length)}.safetensors"
    if path.exists():
        try:
            found = Features(**safetensors.torch.load_file(path))
            _log.info("%s rows: tokens from the cache (%s)", f"{len(rows):,}", path.name)
            return found
        except (SafetensorError, OSError, TypeError):
            _log.warning("the cached tokens in %s cannot be read: made anew", path)
    made = encode(rows, variable, tokenizer, max_length)
    _keep(made, path)
    _log.info("%s rows: tokenised in %.1f s", f"{len(rows):,}", time.perf_counter() - started)
    return made


def _keep(made: Features, path: Path) -> None:
    try:
        with whole(path) as part:
            safetensors.torch.save_file(vars(made), part)
    except (RunFailed, SafetensorError) as error:
        # A cache that cannot be written costs a second and no result.
        _log.warning("tokens are not cached: %s", error)


def _fingerprint(rows: Sequence[Row], variable: bool, tokenizer: Any, max_length: int) -> str:
    """What decides the tokens: texts, tokenizer, maximum length, and this code."""
    import transformers

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        state = json.loads(backend.to_str())
        # Left behind by the last call, and set by the next.
        state.pop("truncation", None)
        state.pop("padding", None)
    else:
        state = [type(tokenizer).__name__, sorted(tokenizer.get_vocab().items()), str(tokenizer.special_tokens_map)]
    made_by = [_ENCODING, transformers.__version__, tokenizers.__version__, variable, max_length]
    made_by += [tokenizer.model_input_names, state]
    hashed = hashlib.blake2b(json.dumps(made_by, sort_keys=True).encode(), digest_size=16)
    for row in rows:
        texts = [row.inputs, row.options if variable else ()]
        hashed.update(json.dumps(texts, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return hashed.hexdigest()


def encode(rows: Sequence[Row], variable: bool, tokenizer: Any, max_length: int) -> Features:
    """What `tokenise` keeps, without a cache."""
    texts = [text for row in rows for text in _texts(row, variable)]
    ways = _pairs(texts, tokenizer, max_length) if variable else _singles(texts, tokenizer, max_length)
    ids: list[list[int]] = [[]] * len(texts)
    types: list[list[int]] = [[]] * len(texts)
    typed = "token_type_ids" in tokenizer.model_input_names
    # By the way they are cut, so that the tokenizer works on many at once.
    for way in sorted({way for way, _, _ in ways}):
        places = [place for place, (its, _, _) in enumerate(ways) if its == way]
        _, first, second = (list(column) for column in zip(*(ways[place] for place in places), strict=True))
        cut = {"truncation": True} if way == "single" else {"text_pair": second, "truncation": way}
        encoded = tokenizer(
            first, **cut, max_length=max_length, return_token_type_ids=typed, return_attention_mask=False
        )
        for at, place in enumerate(places):
            ids[place] = encoded["input_ids"][at]
            types[place] = encoded["token_type_ids"][at] if typed else []
    counts = torch.tensor([len(_texts(row, variable)) for row in rows])
    lengths = torch.tensor(list(map(len, ids)))
    return Features(_flat(ids, torch.int32), _flat(types, torch.uint8), _from_zero(lengths), _from_zero(counts))


def _texts(row: Row, variable: bool) -> list[tuple[str, str, str]]:
    """What the model reads of a row: once, or once for each option."""
    return [(row.inputs[0], " ".join(row.inputs[1:]), option) for option in (row.options if variable else ("",))]


def _flat(sequences: Sequence[Sequence[int]], dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor([one for sequence in sequences for one in sequence], dtype=dtype)


def _from_zero(counts: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])


def _sizes(texts: Sequence[str], tokenizer: Any) -> dict[str, int]:
    """How many tokens each text has by itself."""
    different = list(dict.fromkeys(texts))
    encoded = tokenizer(different, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    return {text: len(ids) for text, ids in zip(different, encoded, strict=True)}


def _pairs(texts: Sequence[tuple[str, str, str]], tokenizer: Any, max_length: int) -> list[tuple[str, str, str]]:
    """For each (question, context, option) the way to cut it, and its two texts."""
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True)
    sizes = _sizes([text for question, _, option in texts for text in (question, option)], tokenizer)
    ways = []
    for question, context, option in texts:
        # The context stands behind the question: what is cut off the first text's end is context first.
        if max(sizes[question], 1) + sizes[option] <= room:
            ways.append(("only_first", f"{question} {context}".strip(), option))
        else:
            ways.append(("longest_first", question, option))
    return ways


def _singles(texts: Sequence[tuple[str, str, str]], tokenizer: Any, max_length: int) -> list[tuple[str, str, str]]:
    """For each (question, context) the way to cut it, and its one or two texts."""
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True)
    sizes = _sizes([question for question, _, _ in texts], tokenizer)
    return [
        ("only_second", question, context) if context and sizes[question] < room else ("single", question, "")
        for question, context, _ in texts
    ]


def batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch: rows of like length together, in an order that seed and epoch alone decide.

    Args:
        lengths (`Sequence[int]`): of each row, in tokens.
        batch_size (`int`): rows of a batch, over all processes; one batch may have fewer.
        seed (`int`): of the training.
        epoch (`int`): counted from 0.
    """
    chance = random.Random(f"{seed} {epoch}")
    order = list(range(len(lengths)))
    chance.shuffle(order)
    made: list[list[int]] = []
    for start in range(0, len(order), batch_size * _POOL):
        pool = sorted(order[start : start + batch_size * _POOL], key=lengths.__getitem__)
        made += [pool[at : at + batch_size] for at in range(0, len(pool), batch_size)]
    chance.shuffle(made)
    return made


def shares(batch: Sequence[int], processes: int, process: int, micro: int) -> Iterator[tuple[list[int], bool]]:
    """One process's part of a batch in micro-batches; every process has equally many.

    Yields:
        `tuple[list[int], bool]`: rows, and whether they count: a process that has run out computes one row that does
        not, because the others wait for its gradients.
    """
    mine = list(batch[process::processes])
    for start in range(0, -(-len(batch) // processes), micro):
        rows = mine[start : start + micro]
        yield (rows, True) if rows else (list(batch[:1]), False)


def batches_by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches to score: the longest rows first, so that what does not fit into memory shows at once."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
