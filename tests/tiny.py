"""A random encoder of 30,000 parameters, its tokenizer, and rows that it can learn: for tests of training."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

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


TALK = (
    "{% for said in messages %}<|{{ said['role'] }}|>{{ said['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def writer(
    folder: Path, kind: str = "llama", *, context: int = 2048, template: str | None = TALK, **sizes: Any
) -> str:
    """Save a random causal LM with a tokenizer of bytes and a chat template: held to a schema, it writes rows.

    Args:
        folder (`Path`): where.
        kind (`str`, defaults to `"llama"`): its `model_type`.
        context (`int`, defaults to 2048): tokens that it takes.
        template (`str`, *optional*): the chat template.
        sizes (`Any`): more of its configuration.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = _of_bytes(template)
    tokenizer.save_pretrained(folder)
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    known = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": context,
        "bos_token_id": end, "eos_token_id": end, "pad_token_id": end,
    }  # fmt: skip
    if kind == "gpt2":
        known = {"vocab_size": len(tokenizer), "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": context,
                 "bos_token_id": end, "eos_token_id": end}  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **known | sizes))
    # As drawn, a model believes next to nothing about what comes next: the greedy token would be a matter of rounding.
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight *= 8
    model.save_pretrained(folder)
    return str(folder)


def box(folder: Path, package: str) -> Any:
    """Save a package that carries such a model as a GGUF file, as llama.cpp writes one; the model."""
    from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants
    from transformers import AutoModelForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 64, "tie_word_embeddings": True}
    model = AutoModelForCausalLM.from_pretrained(writer(folder / "unpacked", **sizes))
    vocabulary, config = _of_bytes(TALK).backend_tokenizer, model.config
    (folder / package).mkdir()
    (folder / package / "__init__.py").touch()
    file = GGUFWriter(folder / package / "tiny.gguf", "llama")
    file.add_name("tiny")
    file.add_context_length(config.max_position_embeddings)
    file.add_embedding_length(config.hidden_size)
    file.add_block_count(config.num_hidden_layers)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(config.num_attention_heads)
    file.add_head_count_kv(config.num_key_value_heads)
    file.add_rope_dimension_count(config.head_dim)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_vocab_size(config.vocab_size)
    told = json.loads(vocabulary.to_str())
    special = {token["id"] for token in told["added_tokens"]}
    tokens = sorted(vocabulary.get_vocab().items(), key=lambda pair: pair[1])
    file.add_tokenizer_model("gpt2")
    file.add_token_list([token for token, _ in tokens])
    file.add_token_types([TokenType.CONTROL if number in special else TokenType.NORMAL for _, number in tokens])
    file.add_token_merges([" ".join(pair) for pair in told["model"]["merges"]])
    for name in ("bos", "eos", "pad"):
        getattr(file, f"add_{name}_token_id")(config.eos_token_id)
    file.add_chat_template(TALK)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        array = weight.numpy()
        if "q_proj" in name or "k_proj" in name:  # llama.cpp turns neighbours, transformers halves
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        if array.ndim == 1:
            file.add_tensor(_in_gguf(name), array)
        else:
            kind = GGMLQuantizationType.Q8_0
            file.add_tensor(_in_gguf(name), quants.quantize(array, kind), raw_dtype=kind)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return model


_GGUF = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "model.layers": "blk",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.o_proj": "attn_output",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def _in_gguf(name: str) -> str:
    for ours, theirs in _GGUF.items():
        name = name.replace(ours, theirs)
    return name


def _of_bytes(template: str | None) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        ['{"sentence": "a quiet film", "answer": "positive"}, {"question": "is it?"}'] * 3, trainer
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", chat_template=template)
