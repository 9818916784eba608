"""Models, and runs of methods that show no example, on a Hub on loopback, by way of the unmodified libraries."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
import yaml
from hostile import HOSTILE, rendered
from hub import READ, WRITE, Hub, complaints
from huggingface_hub import ModelCard
from later import later, needs
from person import Done, one_line, outside, somebody
from tiny import FIXED, OPEN, VARIED, encoder, rows_file, task_file

from llm_created import Row, Task, UsageError
from llm_created.cli import main as cli
from llm_created.clients.base import Request
from llm_created.clients.demo.client import DemoClient
from llm_created.data import sources
from llm_created.evaluation import results
from llm_created.evaluation.scores import score
from llm_created.tasks.builtin import load as built_in
from llm_created.train import finetune, grid, model_card, publish
from llm_created.train.arguments import Arguments, Finetune
from llm_created.train.model_card import How, Trained

needs("torch", "accelerate", extra="train")
torch, transformers, accelerate = later("torch"), later("transformers"), later("accelerate.state")
features, model = (later(f"llm_created.train.{name}") for name in ("features", "model"))

GOLDEN = Path(__file__).parents[1] / "golden" / "model_card.md"
TASKS = {"fixed": FIXED, "open": OPEN, "varied": VARIED}
# Somebody who has nothing yet but the names of the models, and the texts.
ELSEWHERE = """
import contextlib, io, json, os, sys
import torch
from huggingface_hub import hf_hub_download
from transformers import AutoModelForMultipleChoice, AutoModelForSequenceClassification, AutoTokenizer, pipeline
from transformers.utils import logging

logging.disable_progress_bar()
found = {}
for name, rows in json.load(sys.stdin).items():
    repo, labels, piped = f"me/{name}", [], []
    tokenizer = AutoTokenizer.from_pretrained(repo)
    kind = AutoModelForMultipleChoice if name == "varied" else AutoModelForSequenceClassification
    model = kind.from_pretrained(repo)
    classifier = None if name == "varied" else pipeline("text-classification", model=repo)
    for inputs, options in rows:
        texts = [inputs[:1] * len(options), options] if name == "varied" else [[text] for text in inputs]
        encoded = tokenizer(*texts, padding=True, return_tensors="pt")
        encoded = {key: value[None] for key, value in encoded.items()} if name == "varied" else encoded
        with torch.inference_mode():
            best = int(model(**encoded).logits[0].argmax())
        labels.append(options[best] if name == "varied" else model.config.id2label[best])
        if classifier:
            pair = {"text": inputs[0], "text_pair": inputs[1]} if len(inputs) > 1 else inputs[0]
            answer = classifier(pair)
            piped.append((answer[0] if isinstance(answer, list) else answer)["label"])
    card = open(hf_hub_download(repo, "README.md")).read()
    code, printed = card.split("```python\\n")[1].split("```")[0], io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    found[name] = {"labels": labels, "piped": piped, "printed": printed.getvalue()}
print(json.dumps(found))
"""


class World(NamedTuple):
    """A Hub, a person at the command line, and the three models that were trained."""

    hub: Hub
    folder: Path
    env: dict[str, str]
    person: Callable[..., Done]

    def push(self, name: str, repo: str, *more: str, **env: str) -> Done:
        return self.person("push-model", str(self.folder / name), repo, *more, **env)

    def flags(self, name: str) -> dict[str, Any]:
        files = {"train": [str(self.folder / f"{name}.jsonl")], "on": [str(self.folder / f"{name}-test.jsonl")]}
        given = {"task": str(self.folder / f"{TASKS[name].name}.json"), "model": str(self.folder / "small encoder")}
        given |= {"output_dir": str(self.folder / name), "epochs": 8, "batch_size": 8, "learning_rate": 5e-3}
        return files | given


def prepare(folder: Path) -> None:
    encoder(folder / "small encoder")
    for name, task in TASKS.items():
        task_file(folder, task)
        rows_file(folder / f"{name}.jsonl", task, 300)
        rows_file(folder / f"{name}-test.jsonl", task, 30, seed=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("models")
    with Hub() as hub, pytest.MonkeyPatch.context() as here:
        here.setenv("LLM_CREATED_CACHE", str(folder / "cache"))
        env = outside(hub) | {"HF_HOME": str(folder / "hf"), "OMP_NUM_THREADS": "1"}
        prepare(folder)
        with somebody(env, "HF_TOKEN") as person:
            world, threads = World(hub, folder, env, person), torch.get_num_threads()
            torch.set_num_threads(1)
            for name in TASKS:
                accelerate.AcceleratorState._reset_state(True)
                finetune.finetune(Arguments(**world.flags(name)))
            torch.set_num_threads(threads)
            yield world


@pytest.fixture
def world(base: World) -> World:
    base.hub.reset()
    return base


def rows_of(name: str, world: World) -> list[tuple[list[str], list[str]]]:
    loaded = sources.load(str(world.folder / f"{name}-test.jsonl"), TASKS[name])
    return [(list(row.inputs), list(row.options)) for row in loaded.rows]


def answer_here(world: World, name: str) -> str:
    """What the model answers to the formatting example, by the code that scores it."""
    trained, folder = publish.load(str(world.folder / name)), str(world.folder / name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    loaded = model.load_model(folder, trained.task, tokenizer, trained=True).eval()
    encoded = features.tokenise([trained.example], trained.task.variable, tokenizer, 64)
    inputs, counts = encoded.batch([0], tokenizer.pad_token_id)
    with torch.inference_mode():
        return trained.example.options[int(model.logits(loaded, inputs, counts, trained.task.variable).argmax())]


@pytest.mark.slow
def test_elsewhere_it_predicts_the_same_and_the_cards_code_runs(world: World) -> None:
    for name in TASKS:
        done = world.push(name, f"me/{name}")
        assert done.code == 0, done.err
        assert re.fullmatch(rf"\S+/me/{name}/commit/[0-9a-f]{{40}}\n", done.out)
    env = world.env | {"HF_HOME": str(world.folder / "nothing yet")}
    rows = {name: rows_of(name, world) for name in TASKS}
    told = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], env=env, input=json.dumps(rows), capture_output=True, text=True, timeout=120
    )
    assert told.returncode == 0, told.stderr
    for name, found in json.loads(told.stdout).items():
        lines = results.read_predictions(world.folder / name / f"result.{name}-test.jsonl.jsonl")
        expected = [options[line["prediction"]] for (_, options), line in zip(rows[name], lines, strict=True)]
        assert found["labels"] == expected and len(set(expected)) > 1
        assert found["piped"] == ([] if name == "varied" else expected)
        answer = answer_here(world, name)
        assert found["printed"].strip() == answer if name == "varied" else f"'label': '{answer}'" in found["printed"]


@pytest.mark.slow
def test_one_commit_and_nothing_of_this_machine(world: World) -> None:
    done = world.push("fixed", "me/x", "--license", "mit", "--language", "en", "--private")
    assert done.code == 0, done.err
    private, titles = world.hub.repos()["models/me/x"]
    assert private and titles == ["initial commit", "mood: small encoder trained on fixed, seed 0"]
    files = world.hub.files("models/me/x")
    expected = {".gitattributes", "README.md", "config.json", "model.safetensors", "result.json", "task.json"}
    expected |= {"tokenizer.json", "tokenizer_config.json", "train_keys.txt", "result.fixed-test.jsonl.jsonl"}
    assert set(files) == expected
    everything = b"\n".join(files.values())
    for secret in (WRITE, str(world.folder), world.folder.name, world.hub.url, str(Path(__file__).parent)):
        assert secret.encode() not in everything
    # What was typed may hold a path: the command is put together anew.
    command = json.loads(files["result.json"])["environment"]["command"]
    assert command.startswith(
        "accelerate launch -m llm_created.train.finetune --train fixed.jsonl:300 --task task.json"
    )
    text = files["README.md"].decode()
    assert command in text and not list(complaints(text, "model"))
    data = ModelCard(text).data
    assert (data.license, data.language, data.library_name) == ("mit", ["en"], "transformers")
    assert (data.pipeline_tag, data.tags) == ("text-classification", ["llm-created"])
    # A file's rows and a folder's weights are on no Hub: nothing is claimed.
    assert data.base_model is None and data.datasets is None
    # Pushed again as it is: no commit.
    assert world.push("fixed", "me/x", "--license", "mit", "--language", "en").code == 0
    assert len(world.hub.repos()["models/me/x"][1]) == 2


def test_model_index_is_the_result(world: World) -> None:
    result = json.loads((world.folder / "varied" / "result.json").read_text())
    card = ModelCard((world.folder / "varied" / "README.md").read_text())
    entry = result["scores"]["varied-test.jsonl"]
    assert card.data.eval_results is not None and card.data.pipeline_tag is None
    assert [
        (one.metric_type, one.metric_value, one.dataset_name, one.task_type) for one in card.data.eval_results
    ] == [
        ("accuracy", round(entry["accuracy"], 4), "varied-test.jsonl", "multiple-choice"),
        ("f1", round(entry["macro_f1"], 4), "varied-test.jsonl", "multiple-choice"),
    ]


def test_what_a_person_wrote_stays(world: World) -> None:
    assert world.push("fixed", "me/x", "--license", "mit").code == 0
    mine = world.hub.files("models/me/x")["README.md"].decode() + "\n## Mine\n\nMy words.\n"
    world.hub.reset(keep=True, intrude=[{"README.md": mine.encode().decode("latin-1"), "notes.md": "theirs"}])
    done = world.push("fixed", "me/x", "--language", "en")
    assert done.code == 0 and "somebody else has committed to me/x meanwhile" in done.err
    files = world.hub.files("models/me/x")
    text = files["README.md"].decode()
    assert text.endswith("## Mine\n\nMy words.\n") and text.count("# small encoder on mood") == 1
    assert ModelCard(text).data.license == "mit" and ModelCard(text).data.language == ["en"]
    assert files["notes.md"] == b"theirs"


def test_another_model_needs_replace_and_leaves_nothing_behind(world: World) -> None:
    assert world.push("fixed", "me/x").code == 0
    before = world.hub.files("models/me/x")
    one_line(world.push("varied", "me/x"), 2, "me/x holds another model than this training's: add --replace")
    assert world.hub.files("models/me/x") == before
    assert world.push("varied", "me/x", "--replace").code == 0
    after = world.hub.files("models/me/x")
    assert "result.fixed-test.jsonl.jsonl" not in after and "result.varied-test.jsonl.jsonl" in after
    assert ModelCard(after["README.md"].decode()).data.pipeline_tag is None
    # What somebody else's library pushed has no result to tell it by.
    done = world.person(code="from huggingface_hub import HfApi; HfApi().create_repo('me/theirs')")
    assert done.code == 0, done.err
    world.hub.reset(keep=True, intrude=[{"config.json": "{}"}])
    one_line(world.push("fixed", "me/theirs"), 2, "me/theirs holds another model")
    assert set(world.hub.files("models/me/theirs")) == {".gitattributes", "config.json"}


def test_private_means_private(world: World) -> None:
    assert world.push("fixed", "me/open").code == 0
    one_line(world.push("fixed", "me/open", "--private"), 2, "me/open is public, so --private cannot hold")
    assert len(world.hub.repos()["models/me/open"][1]) == 2


def test_what_cannot_be_pushed(world: World, tmp_path: Path) -> None:
    one_line(world.push("fixed", "me/x", HF_TOKEN=READ), 1, "this token may not write there")
    one_line(world.push("fixed", "me/x", HF_TOKEN=""), 2, "there is no token for the Hub")
    one_line(world.push("fixed", "not a name"), 2, "'not a name' is not a name that the Hub allows")
    one_line(world.push("fixed", "alone"), 2, "give the repository as OWNER/NAME")
    one_line(world.push("fixed", "me/x", "--license", "no such"), 2, "the Hub does not accept this: .*license")
    one_line(world.push("nowhere", "me/x"), 2, "there is no folder .*nowhere")
    one_line(world.push("small encoder", "me/x"), 2, "has no result.json: give a folder that finetune has finished")
    # Weights that were cut short when they were copied.
    half = tmp_path / "half"
    half.mkdir()
    for path in (world.folder / "fixed").iterdir():
        whole = path.read_bytes()
        (half / path.name).write_bytes(whole[:-9] if path.suffix == ".safetensors" else whole)
    one_line(world.person("push-model", str(half), "me/x"), 1, "model.safetensors' is truncated or damaged")
    (half / "result.json").write_text('{"scores": {}}')
    one_line(world.person("push-model", str(half), "me/x"), 2, "is no result of finetune: 'identity' is missing in it")
    whole = json.loads((world.folder / "fixed" / "result.json").read_text())
    (half / "result.json").write_text(json.dumps(whole | {"train": {}}))
    one_line(world.person("push-model", str(half), "me/x"), 2, "'sources' is missing in it")
    # None of this took torch.
    assert world.person(code="import sys; assert 'torch' not in sys.modules").code == 0


@pytest.mark.slow
def test_errors_in_between_are_asked_again_and_half_a_model_is_never_there(world: World) -> None:
    world.hub.reset(fail_first=1)
    done = world.push("fixed", "me/x")
    assert done.code == 0, done.err
    assert len(world.hub.repos()["models/me/x"][1]) == 2
    world.hub.reset(fail={"commit": 503})
    one_line(world.push("fixed", "me/x"), 1, "me/x: the Hub answers 503")
    assert set(world.hub.files("models/me/x")) == {".gitattributes"}


def test_without_the_extra_it_says_what_to_install(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(UsageError, match=r'pip install "llm-created\[train\]"'):
        publish.load(str(world.folder / "fixed"))


@pytest.mark.slow
def test_finetune_pushes_at_its_end(world: World) -> None:
    words = [sys.executable, "-m", "llm_created.train.finetune", "--push-to-hub", "me/tuned", "--license", "mit"]
    for key, value in world.flags("fixed").items():
        words += [f"--{key.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    done = subprocess.run(words, env=world.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "is finished already" in done.stderr and re.search(r"pushed: \S+/me/tuned/commit/\w{40}", done.stderr)
    files = world.hub.files("models/me/tuned")
    assert files["model.safetensors"] == (world.folder / "fixed" / "model.safetensors").read_bytes()
    assert "\nlicense: mit\n" in files["README.md"].decode()


def test_a_push_that_cannot_be_is_said_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "start", lambda *args: pytest.fail("it began"))
    for more, words in (
        ({"push_to_hub": "no name"}, "is not a name that the Hub allows"),
        ({"push_to_hub": "me/x"}, "HF_HUB_OFFLINE is set"),
        ({"private": True}, "--private goes with --push-to-hub"),
        ({"replace": True}, "--replace goes with --push-to-hub"),
    ):
        with pytest.raises(UsageError, match=words):
            finetune.finetune(Finetune(["rows.jsonl"], **more))
    # Where it goes is no part of what was trained, and a sweep would push every cell.
    assert Finetune(["a"], push_to_hub="me/x", license="mit").settings == Arguments(["a"]).settings
    assert not hasattr(grid.Sweep(["a"]), "push_to_hub")


def test_the_card_is_beside_every_model_and_keeps_what_is_around_it(world: World, tmp_path: Path) -> None:
    trained = publish.load(str(world.folder / "open"))
    text = (world.folder / "open" / "README.md").read_text()
    head, _, body = text.partition("\n---\n")
    new_head, _, new_body = model_card.write(trained, ".", "", How()).partition("\n---\n")
    assert body == new_body and 'model="."' in body
    # A score that came later writes the card again, and merges its head in another order.
    assert yaml.safe_load(head.removeprefix("---")) == yaml.safe_load(new_head.removeprefix("---"))
    copied = Trained(tmp_path, *trained[1:])
    (tmp_path / "README.md").write_text("---\nlicense: mit\nbase_model: old\n---\n\nMine before.\n")
    publish.beside(copied, How())
    publish.beside(copied, How())
    again = (tmp_path / "README.md").read_text()
    assert "Mine before.\n\n<!-- llm-created: model -->" in again and again.count("<!-- end of model -->") == 1
    assert "license: mit" in again and "base_model" not in again
    assert not list(tmp_path.glob(".*"))


# The card, from results made by hand


def result(**changed: Any) -> dict[str, Any]:
    """A result that holds every kind of source and of score."""
    right, wrong, even = [0, 1, 2, 3, 4] * 20, [0] * 100, [0, 1] * 50
    source = {"kind": "created", "run": None, "strategy": None, "writer": None}
    entry = {"distribution": "in", "probe": None, "leaked": 0, "same_question": 0, "train_rows": 2700}
    made = {
        "task": "csqa", "family": "mcqa_5", "train_set": "tree+human", "model": "roberta-large", "seed": 0,
        "base_model": "roberta-large", "kind": "encoder", "creation_seed": "42", "identity": "0123456789abcdef",
        "train": {
            "sources": [
                source | {"name": "out", "rows": 2000, "run": "a0b1c2d3e4f50617", "strategy": "tree", "writer": "gpt"},
                source | {"name": "me/csqa-created@tree", "rows": 500},
                source | {"name": "human:train", "kind": "human", "rows": 500},
            ],
            "rows": 3000, "validation": "tenth of train", "validation_rows": 300, "train_rows": 2700, "fraction": 1.0,
        },
        "params": {"model": "roberta-large", "epochs": 10, "learning_rate": 2e-05, "max_length": 256, "seed": 0},
        "steps": 507, "warmup_steps": 102, "epochs": 3, "best_epoch": 2, "validation_accuracy": 0.61, "seconds": 321.5,
        "device": "cuda", "processes": 2,
        "environment": {"command": "finetune.py --train /home/me/out", "versions": {"torch": "2.13.0"}},
        "scores": {
            "csqa:test": score([0, 1, 2, 3, 0] * 20, right).to_json() | entry,
            "riddle_sense:validation": score(wrong, right).to_json() | entry | {"distribution": "out", "leaked": 3},
            "mine.jsonl": score(even, right).to_json() | entry | {"leaked": None},
            "csqa:test#no-question": score(right[::-1], right).to_json() | entry | {"probe": "no-question"},
        },
    }  # fmt: skip
    return made | changed


def by_hand(**changed: Any) -> Trained:
    source = built_in("csqa")
    return Trained(Path("models"), source.task, source.task.seed_row(source.example), result(**changed))


def test_the_card_is_the_golden_one() -> None:
    text = model_card.write(by_hand(), "me/roberta-csqa-tree", "", How("apache-2.0", ("en",)))
    text = re.sub(r"llm-created \d+\.\d+\.\d+", "llm-created VERSION", text)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")
    data = ModelCard(text).data
    assert (data.base_model, data.datasets) == ("roberta-large", ["me/csqa-created"])
    assert data.tags == ["synthetic", "llm-created"]
    # A probe is no result of the test set it was made from.
    assert data.eval_results is not None and len(data.eval_results) == 6


def test_the_command_is_one_that_finetune_takes() -> None:
    words = re.findall(r"[^\s]+", model_card.command(by_hand()))
    at = words.index("llm_created.train.finetune") + 1
    from transformers import HfArgumentParser

    args = HfArgumentParser(Finetune).parse_args_into_dataclasses(words[at:])[0]
    assert args.train == ["a0b1c2d3:2000", "me/csqa-created@tree:500", "human:train:500"]
    assert (args.task, args.model, args.learning_rate) == ("csqa", "roberta-large", 2e-5)
    assert words[:4] == ["accelerate", "launch", "--num_processes", "2"]


def test_demo_rows_are_named_as_what_they_are() -> None:
    train = by_hand().result["train"]
    demo = train | {"sources": [train["sources"][0] | {"writer": "demo"}]}
    assert "Trained on rows of the built-in demo writer" in model_card.write(by_hand(train=demo), ".", "", How())
    assert "demo writer" not in model_card.write(by_hand(), ".", "", How())


def test_what_was_trained_on_demo_rows_is_never_pushed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither afterwards, nor by a training that is told to: that ends before it begins."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", WRITE)
    shutil.copytree(world.folder / "fixed", tmp_path / "demo")
    told = json.loads((tmp_path / "demo" / "result.json").read_text("utf-8"))
    told["train"]["sources"].append(told["train"]["sources"][0] | {"name": "more", "writer": "demo"})
    (tmp_path / "demo" / "result.json").write_text(json.dumps(told), "utf-8")
    done = world.person("push-model", str(tmp_path / "demo"), "me/demo")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith("error: this model was trained on rows of the demo writer (more): they are no data")
    rows = tmp_path / "rows"
    line = ["create", "creak", "--model", "demo", "-n", "40", "--out", str(rows), "--format", "jsonl"]
    assert world.person(*line).code == 0
    for train, task in ((rows, None), (rows / "train.jsonl", "creak")):
        args = Finetune(
            train=[str(train)], task=task, model=str(world.folder / "small encoder"),
            output_dir=str(tmp_path / "model"), push_to_hub="me/demo",
        )  # fmt: skip
        with pytest.raises(UsageError, match="trained on rows of the demo writer"):
            finetune.finetune(args)
    assert not (tmp_path / "model").exists() and "models/me/demo" not in world.hub.repos()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("labels", [None, ("yes", "no")])
def test_texts_of_rows_stay_text(text: str, labels: tuple[str, ...] | None) -> None:
    task = Task(name=text[:20], inputs=("question", "context", "hint"), labels=labels)
    row = Row((text, 'a "quoted" \\ text', "{braces}"), labels or (text, "other"), 0, "0" * 16, 0)
    scores = {text: result()["scores"]["csqa:test"]}
    made = Trained(Path("x"), task, row, result(model=text, train_set=text, scores=scores))
    page = model_card.write(made, "me/x", "", How())
    shown = rendered(page.split("\n---\n", 1)[1])
    allowed = {"h1", "h2", "p", "pre", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "em", "strong"}
    assert {tag for tag, _ in shown.tags} <= allowed
    assert len([tag for tag, _ in shown.tags if tag == "h1"]) == 1
    assert ModelCard(page).data.eval_results is not None
    # The code is Python whose strings are the texts.
    import ast

    code = next(one for one in shown.pre if "transformers" in one)
    strings = {node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)}
    assert {*row.inputs, *(row.options if labels is None else ())} <= strings


def test_command_line_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["push-model", "--help"])
    said = capsys.readouterr().out
    assert all(flag in said for flag in ("--private", "--license", "--language", "--replace"))


# Runs of methods that show no example


class Writer:
    """A model on loopback that knows what every method asks: the demo writer behind the protocol."""

    def __init__(self) -> None:
        self.calls = 0
        outer, model = self, DemoClient(faults=0.0)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.calls += 1
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                _, lane, occurrence, key = self.headers["X-Client-Request-Id"].split("/")[:4]
                request = Request(body["messages"], int(lane), key, int(occurrence))
                reply = asyncio.run(model.complete(request))
                message = {"role": "assistant", "content": reply.text}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
                whole = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
                data = json.dumps(whole | {"usage": usage}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    made = Writer()
    yield made
    made.server.shutdown()
    made.server.server_close()


def create(world: World, writer: Writer, out: Path, *line: str, **env: str) -> Done:
    """The command as somebody runs it: the maker of the runs, unless `env` names other caches."""
    bought = ("--base-url", writer.url) if "OPENAI_API_KEY" not in env else ()
    mine = {"HF_HOME": world.env["HF_HOME"], "LLM_CREATED_CACHE": str(out.parent / "mine"), "OPENAI_API_KEY": "any"}
    return world.person("create", *line, "--out", str(out), *bought, **(mine | env))


def rows_in(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return list(pq.read_table(folder / "train.parquet").to_pylist())


def judges_in(done: Done) -> list[str]:
    """The judges that the end of a run speaks of; how many rows they saw beyond those needed differs with the time."""
    return re.findall(r"^(\S+) agrees with [1-9]\d* of", done.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("line", "checks"),
    [
        pytest.param(
            "rte --method targen --contexts 4 --verify 3",
            {"verify": 3, "verify_rule": "drop", "self_correct": "relabel"},
            marks=pytest.mark.slow,
        ),
        pytest.param("rte --method targen --contexts 4 --self-correct off", {}, marks=pytest.mark.slow),
        pytest.param("copa --method targen --contexts 4", {"self_correct": "relabel"}, marks=pytest.mark.slow),
        pytest.param(
            "agnews --method attrprompt --verify 1 --verify-rule keep",
            {"verify": 1, "verify_rule": "keep"},
            marks=pytest.mark.slow,
        ),
        ("rte --strategy random --balance --self-correct", {"self_correct": "relabel", "balance": "ask"}),
    ],
)
def test_a_published_run_is_made_again_with_its_votes_and_grows(
    line: str, checks: dict[str, Any], world: World, writer: Writer, tmp_path: Path
) -> None:
    words, repo = [*line.split(), "--model", "m"], ("--push-to-hub", "me/made", "--with-journal")
    writer.calls = 0
    done = create(world, writer, tmp_path / "first", *words, "-n", "30", *repo)
    assert done.code == 0, done.err
    first, calls, judges = rows_in(tmp_path / "first"), writer.calls, judges_in(done)
    files = world.hub.files("datasets/me/made")
    config = next(path.split("/")[0] for path in files if path.endswith("run.json"))
    about = json.loads(files[f"{config}/run.json"])
    assert about["emission"] == checks and ("guide" in about["identity"]) == ("--method" in words)
    assert len(judges) == len({"verify", "self_correct"} & checks.keys())
    # Somebody who has nothing yet and no key.
    nobody = {"HF_HOME": str(tmp_path / "hf"), "LLM_CREATED_CACHE": str(tmp_path / "runs")}
    again = ("--from", "me/made", "-n")
    done = create(world, writer, tmp_path / "anew", *again, "30", **nobody, OPENAI_API_KEY="")
    assert done.code == 0, done.err
    assert "30 rows made again without a request: they are all 30 published ones" in done.err
    assert (rows_in(tmp_path / "anew"), writer.calls, judges_in(done)) == (first, calls, judges)
    # What lies beyond is bought, verdicts too, and is what its maker would get.
    if judges:
        refused = create(world, writer, tmp_path / "anew", *again, "60", **nobody)
        one_line(refused, 2, r"its rows passed \d+ votes? each \(--.*\): about \d+ calls. Add --yes to agree")
        assert writer.calls == calls
    done = create(world, writer, tmp_path / "anew", *again, "60", "--yes", **nobody)
    assert done.code == 0, done.err
    grown = rows_in(tmp_path / "anew")
    assert 0 < writer.calls - calls < 1.5 * calls
    assert create(world, writer, tmp_path / "first", *words, "-n", "60").code == 0
    assert rows_in(tmp_path / "first") == grown and grown[:30] == first


def test_a_published_file_decides_nothing_but_checks(world: World, writer: Writer, tmp_path: Path) -> None:
    line = ("sst2", "--method", "simprompt", "--model", "m", "-n", "5", "--push-to-hub", "me/made", "--with-journal")
    assert create(world, writer, tmp_path / "first", *line).code == 0
    run = json.loads(world.hub.files("datasets/me/made")["simprompt/run.json"])

    def changed(checks: Any) -> Done:
        text = json.dumps(json.dumps(run | {"emission": checks}))
        code = (
            "from huggingface_hub import HfApi; HfApi().upload_file(path_in_repo='simprompt/run.json', "
            f"path_or_fileobj={text}.encode(), repo_id='me/made', repo_type='dataset')"
        )
        assert world.person(code=code).code == 0
        nobody = {"LLM_CREATED_CACHE": str(tmp_path / "runs")}
        return create(world, writer, tmp_path / "anew", "--from", "me/made", "-n", "8", **nobody)

    one_line(
        changed({"verify": "many"}),
        1,
        "emission.verify must be a whole number from 1 to 100, or likelihood, not 'many'",
    )
    one_line(changed(["verify"]), 1, "emission must be an object, or null, not")
    # A key of whoever grows the run must not go where the file says.
    there = Writer()
    one_line(changed({"base_url": there.url}), 1, "emission holds 'base_url', which this version")
    one_line(changed({"api_key_env": "HF_TOKEN"}), 1, "emission holds 'api_key_env', which this version")
    done = changed({"filter": "os:system"})
    there.server.shutdown()
    there.server.server_close()
    assert done.code == 0 and there.calls == 0, done.err
    assert "the published rows passed --filter os:system" in done.err


def test_the_task_of_several_methods_keeps_its_example_and_its_words(
    world: World, writer: Writer, tmp_path: Path
) -> None:
    for number, more in enumerate((["--method", "targen", "--contexts", "3"], ["--strategy", "naive"])):
        line = ("sst2", *more, "--model", "m", "-n", "6", "--push-to-hub", "me/made")
        done = create(world, writer, tmp_path / str(number), *line)
        assert done.code == 0, done.err
        code = f"from llm_created.data import sources; print(len(sources.load('me/made@{more[1]}').rows))"
        assert world.person(code=code).out == "6\n"
    files = world.hub.files("datasets/me/made")
    task, source = json.loads(files["task.json"]), built_in("sst2")
    assert source.guide and task["guide"]["description"] == source.guide.description
    assert task["example"] == source.task.example(source.task.seed_row(source.example))
    text = files["README.md"].decode()
    assert "For naive it was shown **one formatting example**" in text and "for targen it was **told the task" in text
    assert "gupta2024_targen" in text and not list(complaints(text, "dataset"))
