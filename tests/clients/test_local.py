"""Models of this process: the same tokens as alone, schemas held, likelihoods, and every way in which one can break."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from llm_created.clients.base import Reply, Request  # noqa: E402
from llm_created.clients.local import client as local  # noqa: E402
from llm_created.clients.local.engine import Engine, Job  # noqa: E402
from llm_created.clients.local.load import Loaded, load  # noqa: E402
from llm_created.errors import RunFailed  # noqa: E402

# By what is particular to each: sliding windows are shorter than what is read.
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "gpt2": {},
    "phi": {},
    "mistral": {"sliding_window": 16},
    "gemma2": {"sliding_window": 16, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 2.0},
    "gemma3_text": {"sliding_window": 16, "query_pre_attn_scalar": 8},
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    # Of these each sequence goes alone: a state, one token at a time; a state beside attention; places by bias.
    "mamba": {"state_size": 4},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "bloom": {"n_head": 4, "n_layer": 2},
}
ALONE = {"mamba", "lfm2", "bloom"}


def loaded(folder: Path, kind: str = "llama", **sizes: Any) -> Loaded:
    return load(tiny.writer(folder, kind, **sizes), folder / "cache", "float32")


def engine_of(model: Loaded, slots: int) -> Engine:
    from llm_created.clients.local.alone import Alone
    from llm_created.clients.local.grammar import Grammars
    from llm_created.clients.local.kept import KeysAndValues

    reader = (KeysAndValues if model.shares else Alone)(model.model, slots + 1)
    grammars = Grammars(model.tokenizer, model.model.config.get_text_config().vocab_size, model.ends)
    return Engine(reader, grammars, slots)


def greedy(model: Any, prompt: Sequence[int], room: int, ends: Sequence[int]) -> list[int]:
    """What transformers writes, alone."""
    given = torch.tensor([list(prompt)])
    written = model.generate(
        given, attention_mask=torch.ones_like(given), max_new_tokens=room, do_sample=False, pad_token_id=ends[0]
    )
    return [token for token in written[0, len(prompt) :].tolist() if token not in ends]


def prompts(count: int) -> list[list[int]]:
    """Of many lengths, some longer than a chunk; most begin alike, some further than others."""
    chance = random.Random(0)
    begin = [chance.randrange(10, 250) for _ in range(40)]
    own = ([chance.randrange(10, 250) for _ in range(chance.choice([1, 3, 20, 60]))] for _ in range(count - 1))
    shared = [begin, begin[:30], []]
    return [[chance.randrange(10, 250) for _ in range(300)], *(shared[at % 3] + one for at, one in enumerate(own))]


@pytest.mark.parametrize("kind", KINDS)
def test_requests_in_flight_together_get_the_tokens_that_each_gets_alone(tmp_path: Path, kind: str) -> None:
    model, asked, chance = loaded(tmp_path, kind, **KINDS[kind]), prompts(12), random.Random(1)
    assert model.shares is (kind not in ALONE)
    engine, scored = engine_of(model, 4), Job(list(asked[3]), 8, 0, choices=[[5, 6, 7], [9], [20, 21]])
    jobs = [Job(list(one), chance.choice([1, 4, 24]), 0, temperature=0.0, ends=frozenset(model.ends)) for one in asked]
    rooms = [job.room for job in jobs]
    wait_for(engine, [*jobs[:7], scored, *jobs[7:]])
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert [job.error for job in jobs] == [None] * len(jobs)
    expected = [greedy(plain, one, room, model.ends) for one, room in zip(asked, rooms, strict=True)]
    assert [job.written for job in jobs] == expected
    assert len({token for one in expected for token in one}) > 5  # it says more than one thing
    likely = [likelihood(plain, asked[3], choice) for choice in scored.choices]
    assert scored.scores == pytest.approx(likely, abs=1e-3)


def likelihood(model: Any, prompt: Sequence[int], choice: Sequence[int]) -> float:
    with torch.inference_mode():
        beliefs = torch.log_softmax(model(torch.tensor([[*prompt, *choice]])).logits[0].float(), dim=-1)
    return sum(float(beliefs[len(prompt) - 1 + at, token]) for at, token in enumerate(choice))


def wait_for(engine: Engine, jobs: Sequence[Job]) -> None:
    import threading

    waiting = threading.Semaphore(0)
    for job in jobs:
        job.done = lambda ended: waiting.release()
        engine.submit(job)
    for _ in jobs:
        assert waiting.acquire(timeout=60)
    engine.close()
