"""How fast a model of this process writes, as ratios in one run: against `generate` in static batches, and the limit.

python scripts/bench_local.py                    # 200 rows of sst2, 32 in flight, the model in the box
python scripts/bench_local.py --rows 64 --model local:FOLDER

Both write the same requests with the same schema. The limit is what bare decode steps of the full batch allow: no
prompts, no schema, nothing that joins or leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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
    start: int
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
            scores[number, END] = 0
        return scores


END = 0


def static(client: LocalClient, asked: list[Request], kind: torch.dtype, source: str) -> float:
    """Tokens a second by `generate`, in batches of 32 in the order of the requests."""
    global END
    tokenizer = client.loaded.tokenizer
    model = AutoModelForCausalLM.from_pretrained(source, dtype=kind).eval()
    grammars = Grammars(tokenizer, model.config.vocab_size, client.loaded.ends)
    END = client.loaded.ends[0]
    tokenizer.padding_side, tokenizer.pad_token = "left", tokenizer.pad_token or tokenizer.eos_token
    written, started = 0, time.perf_counter()
    for at in range(0, len(asked), BATCH):
        some = asked[at : at + BATCH]
        texts = [
            tokenizer.apply_chat_template(one.messages, tokenize=False, add_generation_prompt=True) for one in some
        ]
        given = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        holding = Holding(grammars, [grammars.of(one.schema or {}) for one in some], given.input_ids.shape[1])
        with torch.inference_mode():
            out = model.generate(
                **given, max_new_tokens=LONGEST, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                logits_processor=[holding], pad_token_id=END,
            )  # fmt: skip
        written += sum(
            len([token for token in line if token != END]) for line in out[:, given.input_ids.shape[1] :].tolist()
        )
    grammars.close()
    return written / (time.perf_counter() - started)


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
    store = KeysAndValues(client.loaded.model, BATCH)
    with torch.inference_mode():
        for slot in range(BATCH):
            store.read([Segment(slot, 0, [slot + 5] * length)], [0])
        times = []
        for step in range(12):
            started = time.perf_counter()
            store.read([Segment(slot, length + step, [slot + 9]) for slot in range(BATCH)], range(BATCH))
            times.append(time.perf_counter() - started)
    return BATCH / sorted(times)[len(times) // 2]


def memory() -> float:
    """The most that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def measured(model: str, rows: int, say: Callable[[str], None]) -> None:
    """Print the table."""
    name, asked = model.partition(":")[2], requests(rows)

    async def run() -> tuple[LocalClient, float, list[Reply], float, float, float]:
        async with LocalClient(name, cache_folder() / "models", max_tokens=LONGEST, concurrency=BATCH) as client:
            # The first requests pay for kernels that are chosen once.
            await ours(client, requests(4))
            before, base = client.seconds, memory()
            speed, replies = await ours(client, asked)
            return client, speed, replies, client.seconds - before, memory() - base, client.waited

    client, speed, replies, seconds, grown, waited = asyncio.run(run())
    loaded = client.loaded
    lengths = [reply.usage.prompt_tokens + reply.usage.completion_tokens for reply in replies]
    limit = bare(client, min(sum(lengths) // len(lengths), 1000))
    statics = {kind: static(client, asked, getattr(torch, kind), loaded.folder) for kind in ("bfloat16", "float32")}
    best = max(statics, key=lambda kind: statics[kind])
    say(f"{len(asked)} requests of sst2, {BATCH} in flight, {client.about}, {torch.get_num_threads()} threads")
    say("")
    say("| | tokens a second | ratio |")
    say("|---|--:|--:|")
    say(f"| this library | {speed:.0f} | {speed / statics[best]:.2f} x `generate` |")
    say(f"| `generate`, static batches of {BATCH}, the same schema, {best} | {statics[best]:.0f} | 1 |")
    other = next(kind for kind in statics if kind != best)
    say(f"| the same in {other} | {statics[other]:.0f} | {statics[other] / statics[best]:.2f} |")
    say(f"| bare decode steps of a full batch: the limit | {limit:.0f} | {speed / limit:.0%} of it reached |")
    say("")
    say(f"waiting for masks: {waited / seconds:.1%} of all steps; memory beside the weights: {grown:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local", help="as in `create --model`")
    parser.add_argument("--rows", type=int, default=200, help="requests (default 200)")
    told = parser.parse_args()
    measured(told.model, told.rows, print)
