"""A model with its tokenizer, loaded or refused in one line, and what it makes of encoded rows."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from llm_created.errors import RunFailed, UsageError
from llm_created.tasks.task import Task
from llm_created.train.features import Features, batches_by_length
from llm_created.utils.text import shorten

# What loading raises when a name, a folder or a network is at fault; a broken file is SafetensorError.
_LOADING = (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, TypeError)
_log = logging.getLogger("llm_created.train")


def load_tokenizer(name: str, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a model.

    Args:
        name (`str`): a folder, or a model on the Hub.
        trust_remote_code (`bool`, defaults to `False`): run code that comes with it.

    Raises:
        UsageError: it has none, none that can pad, or one that needs code of its own.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)
    except _LOADING as error:
        raise _cannot_load("tokenizer", name, error) from None
    # transformers makes an empty one where there are no files: it knows its special tokens and nothing else.
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise UsageError(f"--model {name!r} has no tokenizer: put its tokenizer.json and tokenizer_config.json there")
    if tokenizer.pad_token_id is None:
        raise UsageError(f"--model {name!r}: its tokenizer has no padding token, which batches need; take an encoder")
    return tokenizer


def load_model(name: str, task: Task, tokenizer: Any, trust_remote_code: bool = False, trained: bool = False) -> Any:
    """A model with the head that the task needs: multiple choice where options vary, else classification.

    Args:
        name (`str`): a folder, or a model on the Hub.
        task (`Task`): its labels name the classes.
        tokenizer (`PreTrainedTokenizerBase`): the model's.
        trust_remote_code (`bool`, defaults to `False`): run code that comes with it.
        trained (`bool`, defaults to `False`): whether its head must have been trained already.

    Returns:
        `PreTrainedModel`: in float32.

    Raises:
        UsageError: there is no such model, or it does not fit the task or the tokenizer.
        RunFailed: a file of its weights is damaged.
    """
    from transformers import AutoConfig, AutoModelForMultipleChoice, AutoModelForSequenceClassification

    labels: dict[str, Any] = {}
    if task.labels is not None and not trained:
        labels["id2label"] = dict(enumerate(task.labels))
        labels["label2id"] = {label: index for index, label in enumerate(task.labels)}
    kind = AutoModelForMultipleChoice if task.variable else AutoModelForSequenceClassification
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code, **labels)
        if config.pad_token_id is None:
            config.pad_token_id = tokenizer.pad_token_id
        model, found = kind.from_pretrained(
            name, config=config, trust_remote_code=trust_remote_code, dtype=torch.float32,
            output_loading_info=True, ignore_mismatched_sizes=not trained,
        )  # fmt: skip
    except SafetensorError as error:
        raise damaged(_damaged_file(name), error) from None
    except _LOADING as error:
        raise _cannot_load("model", name, error) from None
    if trained:
        _check_head(name, task, model, found["missing_keys"])
    rooms = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rooms:
        raise UsageError(
            f"{name!r}: its tokenizer has {len(tokenizer)} tokens, the model {rooms}: another's tokenizer?"
        )
    return model


def _check_head(name: str, task: Task, model: Any, missing_keys: Sequence[str]) -> None:
    """Say so if a model's head was not trained for the task."""
    if missing_keys:
        missing = ", ".join(sorted(missing_keys)[:2])
        what = "multiple choice" if task.variable else "classification"
        raise UsageError(f"{name!r} was never trained for {what} ({missing} missing): train it with finetune first")
    if task.labels is not None and model.config.num_labels != len(task.labels):
        raise UsageError(f"{name!r} tells {model.config.num_labels} classes apart, its task has {len(task.labels)}")


def _cannot_load(what: str, name: str, error: BaseException) -> UsageError:
    text = str(error)
    if "trust_remote_code" in text or "custom code" in text:
        return UsageError(f"{name!r} runs code of its own, which is refused: read it, then give --trust-remote-code")
    if "Unrecognized configuration class" in text:
        kind = "multiple choice" if "MultipleChoice" in text else "classification"
        return UsageError(f"{name!r} has no head for {kind} in transformers: take an encoder such as roberta-large")
    return UsageError(f"cannot load the {what} of {name!r}: {shorten(text, 200)}")


def _damaged_file(name: str) -> str:
    """Which file of a model's folder cannot be read."""
    for path in sorted(Path(name).glob("*.safetensors")):
        try:
            with safe_open(path, "pt"):
                continue
        except (SafetensorError, OSError):
            return str(path)
    return name


def damaged(path: str | os.PathLike[str], error: BaseException) -> RunFailed:
    """The error for a file of weights that cannot be read."""
    return RunFailed(
        f"{str(path)!r} is truncated or damaged ({shorten(str(error), 100)}): delete it, or copy it again"
    )


def checkpoint_gradients(model: Any, name: str) -> None:
    """Keep few activations and compute the others twice (https://arxiv.org/abs/1604.06174).

    Raises:
        UsageError: this model cannot.
    """
    if not model.supports_gradient_checkpointing:
        raise UsageError(f"--gradient-checkpointing: {name!r} does not have it: leave it out")
    # The new name and the old one.
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def fitting_length(model: Any, max_length: int) -> int:
    """The maximum length, or less where the model has fewer positions: said once."""
    room = max_length
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            # RoBERTa counts its positions from behind the padding token's.
            room = min(room, module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1))
    if room < max_length:
        _log.warning("--max-length %d: this model has room for %d tokens, which is what is used", max_length, room)
    return room


def logits(model: Any, inputs: dict[str, torch.Tensor], counts: Sequence[int], variable: bool) -> torch.Tensor:
    """What the model says to a batch.

    Args:
        model (`torch.nn.Module`): with a multiple-choice or a classification head.
        inputs (`dict[str, torch.Tensor]`): of shape `(sequences, length)`.
        counts (`Sequence[int]`): sequences of each row.
        variable (`bool`): whether each sequence is one option.

    Returns:
        `torch.Tensor` of shape `(rows, options)`, float32: `-inf` where a row has fewer options than the widest.
    """
    if not variable:
        return model(**inputs).logits.float()
    # Every option alone, so that rows with any number of options share a batch without padding options.
    flat = model(**{name: tensor.unsqueeze(1) for name, tensor in inputs.items()}).logits.float().view(-1)
    widest = max(counts)
    if min(counts) == widest:
        return flat.view(-1, widest)
    there = torch.arange(widest, device=flat.device) < torch.tensor(counts, device=flat.device)[:, None]
    return torch.full(there.shape, -torch.inf, device=flat.device).masked_scatter(there, flat)


def inputs_for(model: Any, inputs: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """The inputs that this model takes, on its device: token types only where it knows two of them."""
    typed = getattr(model.config, "type_vocab_size", 0) > 1
    return {
        name: tensor.to(device, non_blocking=True)
        for name, tensor in inputs.items()
        if typed or name != "token_type_ids"
    }


@torch.inference_mode()
def predict(
    model: Any, features: Features, variable: bool, pad: int, accelerator: Any, batch_size: int = 32,
    flag: str = "--batch-size",
) -> list[int]:  # fmt: skip
    """The most likely option or label of each row; the same under any number of processes.

    Args:
        model (`PreTrainedModel`): not wrapped for training.
        features (`Features`): the encoded rows.
        variable (`bool`): whether rows bring their own options.
        pad (`int`): id of the padding token.
        accelerator (`Accelerator`): its processes share the batches.
        batch_size (`int`, defaults to 32): rows of a batch.
        flag (`str`, defaults to `"--batch-size"`): what it is called where it was set.
    """
    from accelerate.utils import gather_object

    before = model.training
    model.eval()
    found: list[tuple[int, int]] = []
    # Whole batches are dealt out: what a row shares its batch with does not depend on the number of processes.
    made = batches_by_length(features.lengths(), batch_size)
    for rows in made[accelerator.process_index :: accelerator.num_processes]:
        inputs, counts = features.batch(rows, pad)
        with oom_told(inputs, flag, batch_size), accelerator.autocast():
            best = logits(model, inputs_for(model, inputs, accelerator.device), counts, variable).argmax(-1)
        found += zip(rows, best.tolist(), strict=True)
    model.train(before)
    by_row = dict(gather_object(found))
    return [by_row[row] for row in range(len(features))]


@contextmanager
def oom_told(inputs: dict[str, torch.Tensor], flag: str, now: int) -> Iterator[None]:
    """What does not fit into memory, as one line that says how large it was and what to lower.

    Args:
        inputs (`dict[str, torch.Tensor]`): the batch.
        flag (`str`): what decides how many rows it has.
        now (`int`): the flag's value.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        memory = isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error)
        if not memory:
            raise
        sequences, length = inputs["input_ids"].shape
        more = "" if flag == "--batch-size" else "; --gradient-checkpointing helps in training"
        # From None: the traceback would keep the tensors of the failed step alive.
        raise RunFailed(
            f"out of memory at a batch of {sequences} sequences of {length} tokens: lower {flag} (now {now} rows), "
            f"which leaves the result as it is, or --max-length{more}"
        ) from None
