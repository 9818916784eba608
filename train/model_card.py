"""The card of a trained model: computed from its `result.json`, from nothing else, and without torch."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from llm_created import __version__
from llm_created.evaluation.scores import Score, is_majority, wilson
from llm_created.reports.markdown import join, merge, render, split, union
from llm_created.runs.settings import DEMO
from llm_created.tasks import builtin as tasks
from llm_created.tasks.task import Row, Task
from llm_created.train.arguments import Arguments

NAME, TASK = "README.md", "task.json"
# What a result says where validation rows were cut from the training rows.
_TENTH = "tenth of train"
_KINDS = {"created": "written by a model", "human": "written by people", "file": "a file"}
# What of a card's head follows from the training: nothing of an older one stays.
_COMPUTED = ("base_model", "datasets", "library_name", "pipeline_tag", "model-index")


@dataclass(frozen=True)
class How:
    """What a person says about a model that no result knows.

    Args:
        license (`str`, *optional*): its licence, in the Hub's spelling; never invented.
        language (`tuple[str, ...]`): codes such as `en`.
        private (`bool`, defaults to `False`): make it a private repository; one that is public is refused.
        replace (`bool`, defaults to `False`): put it in the place of another model.
    """

    license: str | None = None
    language: tuple[str, ...] = ()
    private: bool = False
    replace: bool = False

    @classmethod
    def of(cls, args: Any) -> How:
        """What the arguments say."""
        return cls(args.license, tuple(args.language or ()), args.private, args.replace)


class Trained(NamedTuple):
    """A folder that `finetune` has finished.

    Attributes:
        folder (`Path`): where it is.
        task (`Task`): what it does.
        example (`Row`): a row to show it with.
        result (`dict[str, Any]`): its `result.json`.
    """

    folder: Path
    task: Task
    example: Row
    result: dict[str, Any]


def write(trained: Trained, where: str, old: str, how: How) -> str:
    """The card of a model.

    Args:
        trained (`Trained`): the model.
        where (`str`): what `from_pretrained` is called with.
        old (`str`): the card that is there, or `""`.
        how (`How`): what a person says about the model.
    """
    before, text = split(old, where)
    named = trained.folder.resolve().name if where == "." else where.split("/")[-1]
    parts = {"model": render("model_card.md", facts(trained, where))}
    return join(_head(before, trained, named, how), merge(text, parts, before="model"))


def _head(old: Mapping[str, Any], trained: Trained, named: str, how: How) -> dict[str, Any]:
    task, result = trained.task, trained.result
    new = {name: value for name, value in old.items() if name not in _COMPUTED}
    new |= {"license": how.license} if how.license else {}
    if how.language:
        new["language"] = union(old.get("language"), how.language)
    base = _base(result)
    new |= {"base_model": base} if base else {}
    repos = _repos(result)
    new |= {"datasets": repos} if repos else {}
    new["library_name"] = "transformers"
    # There is no pipeline for options that come with the row.
    new |= {"pipeline_tag": "text-classification"} if task.labels else {}
    new["tags"] = union(old.get("tags"), _tags(result))
    index = list(_index(trained))
    return new | ({"model-index": [{"name": named, "results": index}]} if index else {})


def _sources(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"run": None, "strategy": None, "writer": None} | one for one in result["train"]["sources"]]


def _tags(result: Mapping[str, Any]) -> tuple[str, ...]:
    written = any(one["kind"] == "created" for one in _sources(result))
    return ("synthetic", "llm-created") if written else ("llm-created",)


def _repos(result: Mapping[str, Any]) -> list[str]:
    """The datasets on the Hub that rows came from."""
    return list(dict.fromkeys(one["name"].partition("@")[0] for one in _sources(result) if _on_hub(one)))


def _on_hub(source: Mapping[str, Any]) -> bool:
    """Whether rows came from a dataset on the Hub: what lies here goes into a result by its last name alone."""
    return source["kind"] == "created" and "/" in source["name"]


def _base(result: Mapping[str, Any]) -> str | None:
    """The Hub's name of the base model, where it is from there."""
    model = str(result["model"])
    base: str | None = result.get("base_model", model if "/" in model else None)
    return base


def _index(trained: Trained) -> Iterator[dict[str, Any]]:
    """The entries of `model-index`; a probe is no result of the test set that it is made from."""
    kind = "text-classification" if trained.task.labels else "multiple-choice"
    for test, entry in trained.result["scores"].items():
        if entry.get("probe"):
            continue
        score = Score.from_json(entry)
        metrics = [
            {"type": "accuracy", "name": "accuracy", "value": round(score.accuracy, 4)},
            {"type": "f1", "name": "macro F1", "value": round(score.macro_f1, 4), "args": {"average": "macro"}},
        ]
        yield {"task": {"type": kind, "name": trained.task.name}, "dataset": _dataset(test), "metrics": metrics}


def _dataset(test: str) -> dict[str, Any]:
    """A test set as `model-index` names it: that of a built-in task by the dataset that it is cut from."""
    name, _, part = test.rpartition(":")
    if name not in tasks.names():
        repo, _, config = test.partition("@")
        return {"name": test, "type": repo} | ({"config": config} if config else {})
    human = tasks.load(name).human
    about = {"name": f"{name}, as llm-created cuts it", "type": human.path if human else name, "split": part}
    return about | ({"config": human.config} if human and human.config else {})


def facts(trained: Trained, where: str) -> dict[str, Any]:
    """Everything that a model's card says, as plain data: from its result, and from nothing else."""
    result, task = trained.result, trained.task
    about, sources = result["train"], _sources(result)
    held, accuracy = about["validation_rows"], result["validation_accuracy"]
    low, high = wilson(round(accuracy * held), held)
    return {
        "where": where,
        "library": f"llm-created {__version__}",
        "task": task,
        "model": result["model"],
        "train_set": result["train_set"],
        "code": _code(trained, where),
        "demo": any(one["writer"] == DEMO for one in sources),
        "written": any(one["kind"] == "created" for one in sources),
        "sources": [one | {"kind": _KINDS.get(one["kind"], one["kind"])} for one in sources],
        "train_rows": about["train_rows"],
        "validation": "cut from the training rows" if about["validation"] == _TENTH else about["validation"],
        "validation_rows": held,
        "validation_accuracy": accuracy,
        "validation_low": low,
        "validation_high": high,
        "scores": [
            entry | {"name": name, "flat": is_majority(Score.from_json(entry))}
            for name, entry in result["scores"].items()
        ],
        "params": [(name, str(value)) for name, value in _params(result)],
        "command": command(trained),
        "local": list(dict.fromkeys(_spec(one) for one in sources if one["kind"] != "human" and not _on_hub(one))),
    }


def _params(result: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((name.replace("_", " "), value) for name, value in result["params"].items())
    names = {
        "steps": "updates",
        "warmup_steps": "updates of warm-up",
        "epochs": "epochs trained",
        "best_epoch": "best epoch",
    }
    names |= {"seconds": "seconds", "device": "device", "processes": "processes"}
    yield from ((said, result[name]) for name, said in names.items() if name in result)
    yield from result.get("environment", {}).get("versions", {}).items()


def _spec(source: Mapping[str, Any]) -> str:
    """What a source is asked for by; a run of this machine by its digest, whatever its folder is called."""
    return source["run"][:8] if source["run"] and not _on_hub(source) else source["name"]


def command(trained: Trained) -> str:
    """The command that makes this training. It is put together from the result: what was typed may hold paths."""
    task, result, name = trained.task, trained.result, trained.task.name
    known = name in tasks.names() and tasks.load(name).task == task
    processes = result.get("processes", 1)
    words = ["accelerate", "launch", *(["--num_processes", str(processes)] if processes > 1 else [])]
    # Each source with its rows: first rows are all that there is to choose.
    words += [
        "-m",
        "llm_created.train.finetune",
        "--train",
        *(f"{_spec(one)}:{one['rows']}" for one in _sources(result)),
    ]
    words += ["--task", name if known else TASK, "--model", _base(result) or result["model"]]
    validation = result["train"]["validation"]
    words += [] if validation == _TENTH else ["--validation", validation]
    return shlex.join([*words, *_param_words(result["params"])])


def _param_words(params: Mapping[str, Any]) -> Iterator[str]:
    """The parameters that are not as usual."""
    defaults = {one.name: one.default for one in fields(Arguments)} | {"mixed_precision": "no"}
    for key, value in params.items():
        if key not in ("model", "micro_batch_size") and value != defaults.get(key, value):
            yield from (f"--{key.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value))


def _code(trained: Trained, where: str) -> str:
    """Code that asks the model one question and runs as it stands."""
    row, length = trained.example, trained.result["params"].get("max_length", 256)
    texts = [json.dumps(text, ensure_ascii=False) for text in row.inputs]
    name, rest = json.dumps(where), ", ".join(texts[1:])
    if not trained.task.labels:
        first = f'" ".join([{", ".join(texts)}])' if rest else texts[0]
        options = ", ".join(json.dumps(option, ensure_ascii=False) for option in row.options)
        return _CHOICE.format(name=name, question=first, options=options, length=length)
    call = f"{texts[0]}, truncation=True"
    if rest:
        pair = f'" ".join([{rest}])' if len(texts) > 2 else rest
        call = f'{{"text": {texts[0]}, "text_pair": {pair}}}, truncation="only_second"'
    return _CLASSIFY.format(name=name, call=call, length=length)


_CLASSIFY = """\
from transformers import pipeline

classifier = pipeline("text-classification", model={name})
print(classifier({call}, max_length={length}))
"""
_CHOICE = """\
import torch
from transformers import AutoModelForMultipleChoice, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({name})
model = AutoModelForMultipleChoice.from_pretrained({name})

question = {question}
options = [{options}]
inputs = tokenizer(
    [question] * len(options), options, truncation="only_first", max_length={length}, padding=True, return_tensors="pt"
)
with torch.inference_mode():
    scores = model(**{{key: value[None] for key, value in inputs.items()}}).logits[0]
print(options[int(scores.argmax())])
"""
