"""A random encoder of 30,000 parameters, its tokenizer, and rows that it can learn: for tests of training."""

from __future__ import annotations

import json
import random
from pathlib import Path

from llm_created.tasks.task import Task

WORDS = [f"w{number}" for number in range(60)]
FIXED = Task(name="mood", inputs=("question",), labels=("True", "False"))
OPEN = Task(name="mood-open", inputs=("question", "context"), labels=("True", "False"))
VARIED = Task(name="same-word", inputs=("question",))


def encoder(folder: Path, kind: str = "bert", dropout: float = 0.0, positions: int = 64) -> str:
    """Save a random encoder with its tokenizer; `"roberta"` has no token types and counts positions from 2."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoModel, BertConfig, PreTrainedTokenizerFast, RobertaConfig

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] if kind == "bert" else ["<s>", "<pad>", "</s>", "<unk>"]
    cls, sep = ("[CLS]", "[SEP]") if kind == "bert" else ("<s>", "</s>")
    pad, unknown = ("[PAD]", "[UNK]") if kind == "bert" else ("<pad>", "<unk>")
    ids = {word: number for number, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1" if kind == "bert" else f"{cls} $A {sep} {sep} $B {sep}",
        special_tokens=[(cls, ids[cls]), (sep, ids[sep])],
    )
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if kind == "bert" else [])]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=unknown, pad_token=pad, cls_token=cls, sep_token=sep,
        model_input_names=names,
    ).save_pretrained(folder)  # fmt: skip
    sizes = {
        "vocab_size": len(ids), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout,
        "max_position_embeddings": positions, "pad_token_id": ids[pad],
    }  # fmt: skip
    config = BertConfig(**sizes) if kind == "bert" else RobertaConfig(type_vocab_size=1, **sizes)
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    return str(folder)


def task_file(folder: Path, task: Task) -> str:
    """Save a `task.json`."""
    example = dict.fromkeys(task.inputs, "w1 w2") | {task.answer: "w1" if task.variable else "True"}
    if task.variable:
        example[task.options] = ["w1", "w3"]
    path = folder / f"{task.name}.json"
    path.write_text(json.dumps(task.to_json() | {"example": example}))
    return str(path)


def rows_file(path: Path, task: Task, count: int, seed: int = 0, options: tuple[int, int] = (2, 5)) -> str:
    """Save rows. Fixed labels: is w0 in the question? Options that vary: the word that the question begins with."""
    chance = random.Random(seed)
    with path.open("w") as lines:
        for number in range(count):
            words = chance.sample(WORDS[1:], chance.randint(3, 9))
            if task.variable:
                others = [word for word in WORDS if word not in words]
                wrong = chance.sample(others, chance.randint(*options) - 1)
                row = {"question": " ".join(words), "options": [words[0], *wrong], "answer": words[0]}
            else:
                answer = number % 2 == 0
                row = {"question": " ".join(["w0", *words] if answer else words), "answer": str(answer)}
                row |= {"context": " ".join(chance.sample(WORDS[1:], 30))} if len(task.inputs) > 1 else {}
            lines.write(json.dumps(row) + "\n")
    return str(path)
