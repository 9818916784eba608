"""Models of this process: the tokens that each gets alone, schemas held, likelihoods, and all that can break."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from later import later, needs
from quick import slow_but

from llm_created.clients.base import Reply, Request
from llm_created.errors import RunFailed
from llm_created.prompts import schemas
from llm_created.tasks.task import Task

needs("torch", "llguidance", extra="local")
torch = later("torch")
alone, client, engines, grammar, kept, load = (
    later(f"llm_created.clients.local.{name}") for name in ("alone", "client", "engine", "grammar", "kept", "load")
)

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
# One for each way in which they differ.
QUICK = {"llama", "gpt2", "mistral", "gemma3_text", "gpt_oss", "mamba", "bloom"}


def loaded(folder: Path, kind: str = "llama", **sizes: Any) -> load.Loaded:
    return load.load(tiny.writer(folder, kind, **sizes), folder / "cache", "float32")


def engine_of(model: load.Loaded, slots: int) -> engines.Engine:
    reader = (kept.KeysAndValues if model.shares else alone.Alone)(model.model)
    grammars = grammar.Grammars(model.tokenizer, model.model.config.get_text_config().vocab_size, model.ends)
    return engines.Engine(reader, grammars, slots)


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


@pytest.mark.parametrize("kind", slow_but(lambda kind: kind in QUICK, KINDS))
def test_requests_in_flight_together_get_the_tokens_that_each_gets_alone(tmp_path: Path, kind: str) -> None:
    model, asked, chance = loaded(tmp_path, kind, **KINDS[kind]), prompts(12), random.Random(1)
    assert model.shares is (kind not in ALONE)
    engine, scored = engine_of(model, 4), engines.Job(list(asked[3]), 8, 0, choices=[[5, 6, 7], [9], [20, 21]])
    jobs = [
        engines.Job(list(one), chance.choice([1, 4, 24]), 0, temperature=0.0, ends=frozenset(model.ends))
        for one in asked
    ]
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


def test_a_long_prompt_alone(tmp_path: Path) -> None:
    """Steps of it in which nobody gets a token."""
    model, asked = loaded(tmp_path), prompts(1)[0] * 3
    job = engines.Job(list(asked), 5, 0, temperature=0.0, ends=frozenset(model.ends))
    wait_for(engine_of(model, 4), [job])
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert job.error is None and job.written == greedy(plain, asked, 5, model.ends)


def likelihood(model: Any, prompt: Sequence[int], choice: Sequence[int]) -> float:
    with torch.inference_mode():
        beliefs = torch.log_softmax(model(torch.tensor([[*prompt, *choice]])).logits[0].float(), dim=-1)
    return sum(float(beliefs[len(prompt) - 1 + at, token]) for at, token in enumerate(choice))


def wait_for(engine: engines.Engine, jobs: Sequence[engines.Job]) -> None:
    waiting = threading.Semaphore(0)
    for job in jobs:
        job.done = lambda ended: waiting.release()
        engine.submit(job)
    for _ in jobs:
        assert waiting.acquire(timeout=60)
    engine.close()


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of a probe differ from one machine to the next."""
    monkeypatch.setattr(client, "load_once", _load)


@lru_cache(1)
def _load(name: str, cache: Path) -> load.Loaded:
    return load.load(name, cache, "float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.writer(tmp_path_factory.mktemp("llama"))


def ask(folder: str | Path, requests: Sequence[Request], **settings: Any) -> list[Reply]:
    async def all_of_them() -> list[Reply]:
        async with client.LocalClient(str(folder), Path(folder) / "cache", **{"max_tokens": 400} | settings) as local:
            return list(await asyncio.gather(*map(local.complete, requests)))

    return asyncio.run(all_of_them())


def said(text: str, schema: Mapping[str, Any] | None = None, occurrence: int = 0, **more: Any) -> Request:
    return Request([{"role": "user", "content": text}], 0, text, occurrence, schema=schema, **more)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8).map(
    lambda text: " ".join(text.split()) or "x"
)
TASKS = st.builds(
    lambda inputs, labels: Task(name="any", inputs=tuple(inputs), labels=tuple(labels) or None),
    st.lists(WORDS.filter(lambda name: name not in ("answer", "options")), min_size=1, max_size=3, unique=True),
    st.one_of(st.just([]), st.lists(WORDS, min_size=2, max_size=4, unique_by=str.casefold)),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(task=TASKS, count=st.sampled_from([1, 1, 2]), chance=st.randoms(use_true_random=False))
def test_what_ends_by_itself_is_of_the_schema(folder: str, task: Task, count: int, chance: random.Random) -> None:
    """A model of random numbers writes rows of the library's own schemas, their fields in order."""
    label = chance.choice(task.labels) if task.labels and chance.random() < 0.5 else None
    schema = schemas.of_rows(task, count, label)
    among = (task.answer, task.options) if task.variable else None
    replies = ask(folder, [said("a row", schema, number, among=among) for number in range(4)], max_tokens=150)
    assert {reply.finish_reason for reply in replies} <= {"stop", "length"}
    for whole in (json.loads(reply.text) for reply in replies if reply.finish_reason == "stop"):
        rows = [whole] if count == 1 else whole["examples"]
        assert len(rows) == count
        for row in rows:
            assert list(row) == list(task.fields)
            assert all(isinstance(row[name], str) for name in (*task.inputs, task.answer))
            assert label is None or row[task.answer] == label
            assert row[task.options] == list(task.labels) if task.labels else len(row[task.options]) >= 2
            assert row[task.answer] in (task.labels or row[task.options])


@pytest.mark.parametrize("count", [1, 3])
def test_an_answer_is_one_of_the_options_that_were_written(folder: str, count: int) -> None:
    """No schema says so: the grammar of the answer is made of the options before it."""
    task = Task(name='a "q"', inputs=("ü", "in\\put"), answer="the answer", options="choices", num_options=3)
    schema = schemas.of_rows(task, count)
    requests = [said("a row", schema, number, among=("the answer", "choices")) for number in range(12)]
    whole = [
        json.loads(reply.text) for reply in ask(folder, requests, max_tokens=900) if reply.finish_reason == "stop"
    ]
    rows = [row for one in whole for row in (one["examples"] if count > 1 else [one])]
    assert len(rows) >= 4 and len(rows) == count * len(whole)
    for row in rows:
        assert list(row) == list(task.fields) and len(row["choices"]) == 3
        assert row["the answer"] in row["choices"]
    assert len({row["choices"].index(row["the answer"]) for row in rows}) > 1


def test_the_same_request_is_answered_alike_and_another_occurrence_otherwise(folder: str) -> None:
    schema = schemas.of_rows(tiny.FIXED, 1)
    again = [ask(folder, [said("a row", schema, number)], max_tokens=60)[0] for number in (0, 1, 0)]
    assert again[0] == again[2] and again[0].text != again[1].text
    assert ask(folder, [said("a row", schema)], max_tokens=60, seed=7)[0].text != again[0].text
    # At temperature 0, and where the nucleus is one token, draws decide nothing.
    for how in ({"temperature": 0.0}, {"top_p": 1e-6}):
        replies = ask(folder, [said("a row", schema, number) for number in range(3)], max_tokens=60, **how)
        assert len({reply.text for reply in replies}) == 1


def test_max_tokens_is_never_passed(folder: str) -> None:
    """What a schema forces counts, too."""
    for bound in (1, 2, 5, 9, 30):
        requests = [said("a row", schema, max_tokens=bound) for schema in (schemas.of_rows(tiny.FIXED, 1), None)]
        for reply in [*ask(folder, requests, max_tokens=None), *ask(folder, requests[:1], max_tokens=bound)]:
            assert reply.usage.completion_tokens <= bound
            assert reply.finish_reason == "length" or reply.usage.completion_tokens < bound


def test_a_prompt_that_leaves_no_room_is_a_reply_with_a_reason(tmp_path: Path) -> None:
    folder = tiny.writer(tmp_path, "gpt2", context=128)
    long, short, nearly = said("too long " * 40), said("short"), said("x" * 100, choices=("a" * 30, "b"))
    replies = ask(folder, [long, short, nearly], max_tokens=None)
    assert [reply.reason for reply in replies] == ["prompt_too_long", "", "prompt_too_long"]
    # To the last place that there is.
    assert replies[1].usage.prompt_tokens + replies[1].usage.completion_tokens <= 128


def test_choices_are_scored_in_nats_and_add_to_no_other(folder: str) -> None:
    choices = ('{"answer": "True"}', '{"answer": "False"}', '{"answer": "True, and more"}')
    asked = said("Is ice cold?", choices=choices)
    requests = [asked, *(said("a row", schemas.of_rows(tiny.FIXED, 1), number) for number in range(3))]
    beside, alone = ask(folder, requests)[0], ask(folder, [asked])[0]
    scores = json.loads(alone.text)
    assert json.loads(beside.text) == pytest.approx(scores, abs=1e-3) and beside.finish_reason == "scored"
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    given = tokenizer.encode("Is ice cold?")
    plain = [likelihood(model, given, tokenizer.encode(f"Is ice cold?{choice}")[len(given) :]) for choice in choices]
    # What all begin with is in none.
    assert [score - scores[0] for score in scores] == pytest.approx([one - plain[0] for one in plain], abs=1e-3)
    assert scores[0] > plain[0]


@pytest.mark.parametrize(
    "error, line",
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory.*; lower `concurrency`"),
        (AttributeError("no such thing"), "AttributeError: no such thing"),
        (AssertionError(), "AssertionError"),
        (OverflowError("too much"), "OverflowError: too much"),
    ],
)
def test_a_model_that_raises_is_one_line_and_nobody_waits(
    folder: str, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    _load(folder, Path(folder) / "cache")  # which reads a text
    read, calls = kept.KeysAndValues.read, iter(range(100))

    def breaks(self: kept.KeysAndValues, *given: Any) -> Any:
        if next(calls) == 3:
            raise error
        return read(self, *given)

    monkeypatch.setattr(kept.KeysAndValues, "read", breaks)

    async def both() -> list[Any]:
        async with client.LocalClient(folder, Path(folder) / "cache") as local:
            rows = [said("row", None, number) for number in range(3)]
            found = await asyncio.gather(*map(local.complete, rows), return_exceptions=True)
            return [*found, *await asyncio.gather(local.complete(said("later")), return_exceptions=True)]

    for found in asyncio.run(both()):
        assert isinstance(found, RunFailed)
        with pytest.raises(RunFailed, match=line):
            raise found


def test_a_schema_that_cannot_be_held_is_one_line(folder: str) -> None:
    schema = {"json_schema": {"schema": {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}}}
    with pytest.raises(RunFailed, match="schema cannot be held: .*`structured` off writes without it") as told:
        ask(folder, [said("a row", schema)])
    assert "\n" not in str(told.value)
    assert ask(folder, [said("a row", schema)], structured="off", max_tokens=9)[0].text


def test_a_schema_without_a_choice_is_written_at_once(folder: str) -> None:
    schema = {"json_schema": {"schema": {"const": {"answer": "True", "why": "it is"}}}}
    reply = ask(folder, [said("a row", schema)])[0]
    assert json.loads(reply.text) == {"answer": "True", "why": "it is"} and reply.finish_reason == "stop"


def test_a_template_without_a_system_message_gets_it_before_the_users(tmp_path: Path) -> None:
    refuses = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + tiny.TALK
    folder = tiny.writer(tmp_path, template=refuses)
    messages = [{"role": "system", "content": "Write."}, {"role": "user", "content": "A row."}]
    joined = [{"role": "user", "content": "Write.\n\nA row."}]
    replies = ask(folder, [Request(messages, key="k"), Request(joined, key="k")], max_tokens=20)
    assert replies[0] == replies[1] and replies[0].text


def test_more_words_than_logits(tmp_path: Path) -> None:
    """A tokenizer may know tokens that its model does not."""
    from transformers import AutoTokenizer

    folder = tiny.writer(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<|more{number}|>" for number in range(70)])
    tokenizer.save_pretrained(folder)
    reply = ask(folder, [said("a row", schemas.of_rows(tiny.FIXED, 1))])[0]
    assert reply.finish_reason in ("stop", "length") and "more" not in reply.text
