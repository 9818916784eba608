"""How fast a model of this process writes, as ratios in one run: against `generate` in static batches, and the limit.

python scripts/bench_local.py                    # 200 rows of sst2, 32 in flight, the model in the box
python scripts/bench_local.py --rows 64 --model local:FOLDER

Both write the same requests with the same schema. The limit is what bare decode steps of the full batch allow: no
prompts, no schema, nothing that joins or leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psutil
import torch
from transformers import AutoModelForCausalLM, LogitsProcessor

from llm_created.clients.base import Reply, Request
from llm_created.clients.local.client import LocalClient
from llm_created.clients.local.grammar import Grammars
from llm_created.clients.local.kept import KeysAndValues, Segment
from llm_created.creation import define
from llm_created.methods.choose import strategy
from llm_created.methods.pool import Pool
from llm_created.runs.folders import cache_folder
from llm_created.runs.settings import Settings
from llm_created.tasks import builtin as tasks
from llm_created.utils.text import digest

BATCH = 32
# Both write so many tokens at most: a reply that runs away says nothing about speed.
LONGEST = 160


def requests(rows: int) -> list[Request]:
    """The first calls of `create sst2 --method simprompt`."""
    made = define.identity(Settings(model="local"), tasks.load("sst2"), "simprompt")
    plan, found = strategy(made, Pool()), []
    for _ in range(rows):
        turn = plan.next()
        assert turn is not None
        plan.start(turn)
        messages, schema = plan.ask(turn)
        found.append(Request(messages, 0, digest([turn.position]), turn.position, schema=schema))
    return found


@dataclass
class Holding(LogitsProcessor):
    """The same holding to a schema, in the loop of `generate`."""

    grammars: Grammars
    matchers: list[Any]
    end: int
    fed: int = 0
    ended: set[int] = field(default_factory=set)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Mask what may not come next."""
        if self.fed:
            for number, token in enumerate(input_ids[:, -1].tolist()):
                if number not in self.ended:
                    self.matchers[number].consume_token(token)
        self.fed += 1
        self.ended |= {number for number, one in enumerate(self.matchers) if one.is_stopped()}
        left = [None if number in self.ended else one for number, one in enumerate(self.matchers)]
        allowed = self.grammars.masks(left).result()
        assert allowed is not None or len(self.ended) == len(self.matchers)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        for number in self.ended:
            scores[number] = -torch.inf
            scores[number, self.end] = 0
        return scores


class Static:
    """`generate` in batches of 32, in the order of the requests, with the same schema."""

    def __init__(self, client: LocalClient, kind: str) -> None:
        self._tokenizer, self._ends = client.loaded.tokenizer, client.loaded.ends
        self._tokenizer.padding_side = "left"
        self._tokenizer.pad_token = self._tokenizer.pad_token or self._tokenizer.eos_token
        self._model = AutoModelForCausalLM.from_pretrained(client.loaded.folder, dtype=getattr(torch, kind)).eval()
        self._grammars = Grammars(self._tokenizer, self._model.config.vocab_size, self._ends)

    def speed(self, asked: list[Request], longest: int = LONGEST) -> float:
        """Tokens a second."""
        started = time.perf_counter()
        written = sum(self._batch(asked[at : at + BATCH], longest) for at in range(0, len(asked), BATCH))
        return written / (time.perf_counter() - started)

    def _batch(self, some: list[Request], longest: int) -> int:
        chat = self._tokenizer.apply_chat_template
        texts = [chat(one.messages, tokenize=False, add_generation_prompt=True) for one in some]
        given = self._tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        holding = Holding(self._grammars, [self._grammars.of(one.schema or {}) for one in some], self._ends[0])
        with torch.inference_mode():
            out = self._model.generate(
                **given, max_new_tokens=longest, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                logits_processor=[holding], pad_token_id=self._ends[0],
            )  # fmt: skip
        lines = out[:, given.input_ids.shape[1] :].tolist()
        return sum(token not in self._ends for line in lines for token in line)


async def ours(client: LocalClient, asked: list[Request]) -> tuple[float, list[Reply]]:
    """Tokens a second, with 32 in flight."""
    room = asyncio.Semaphore(BATCH)

    async def one(request: Request) -> Reply:
        async with room:
            return await client.complete(request)

    started = time.perf_counter()
    replies = await asyncio.gather(*map(one, asked))
    seconds = time.perf_counter() - started
    return sum(reply.usage.completion_tokens for reply in replies) / seconds, list(replies)


def bare(client: LocalClient, length: int) -> float:
    """Tokens a second of decode steps alone, the batch full, each with so many tokens before it."""
    store = KeysAndValues(client.loaded.model)
    with torch.inference_mode():
        for slot in range(BATCH):
            store.read([Segment(slot, 0, [slot + 5] * length)], [0])
        times = []
        for step in range(12):
            started = time.perf_counter()
            store.read([Segment(slot, length + step, [slot + 9]) for slot in range(BATCH)], range(BATCH))
            times.append(time.perf_counter() - started)
    return BATCH / sorted(times)[len(times) // 2]


class Memory(threading.Thread):
    """The most that this process holds while it is watched, beyond what it held before, in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._held = psutil.Process().memory_info
        self._before = self._most = self._held().rss
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        """Look every tenth of a second."""
        while not self._ended.wait(0.1):
            self._most = max(self._most, self._held().rss)

    def grown(self) -> float:
        """End watching."""
        self._ended.set()
        return (self._most - self._before) / 2**20


def measured(model: str, rows: int, say: Callable[[str], None]) -> None:
    """Print the table."""
    name, asked = model.partition(":")[2], requests(rows)

    async def run() -> tuple[LocalClient, float, list[Reply], float, float, float]:
        async with LocalClient(name, cache_folder() / "models", max_tokens=LONGEST, concurrency=BATCH) as client:
            # The first requests pay for kernels that are chosen once.
            await ours(client, requests(4))
            before, memory = client.seconds, Memory()
            speed, replies = await ours(client, asked)
            return client, speed, replies, client.seconds - before, memory.grown(), client.waited

    client, speed, replies, seconds, grown, waited = asyncio.run(run())
    lengths = [reply.usage.prompt_tokens + reply.usage.completion_tokens for reply in replies]
    say(f"{len(asked)} requests of sst2, {BATCH} in flight, {client.about}, {torch.get_num_threads()} threads")
    say(f"replies of {sum(reply.usage.completion_tokens for reply in replies) / len(replies):.0f} tokens on average")
    say(f"waiting for masks: {waited / seconds:.1%} of all steps; memory beside the weights: {grown:.0f} MB")
    say("")
    say("| | tokens a second | ratio |")
    say("|---|--:|--:|")
    limit = bare(client, min(sum(lengths) // len(lengths), 1000))
    say(f"| bare decode steps of a full batch: the limit | {limit:.0f} | 1 |")
    say(f"| this library | {speed:.0f} | {speed / limit:.2f} of the limit |")
    # Which format is the faster one for it is told by the first batch, cut short.
    tried = {kind: Static(client, kind) for kind in ("bfloat16", "float32")}
    best = max(tried, key=lambda kind: tried[kind].speed(asked[:BATCH], 12))
    static = tried[best].speed(asked)
    say(f"| `generate`, static batches of {BATCH}, the same schema, {best} | {static:.0f} | {static / limit:.2f} |")
    say(f"| this library against `generate` | | {speed / static:.2f} x |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local", help="as in `create --model`")
    parser.add_argument("--rows", type=int, default=200, help="requests (default 200)")
    told = parser.parse_args()
    measured(told.model, told.rows, partial(print, flush=True))
