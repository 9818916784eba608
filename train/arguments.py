"""What a training is started with, and how a command of this folder begins and ends."""

from __future__ import annotations

import argparse
import ctypes
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from llm_created.errors import LLMCreatedError, UsageError
from llm_created.utils import console

# They decide where and how it runs, not what comes out.
_NOT_SETTINGS = (
    "train", "task", "human_data", "num_rows", "fraction", "validation", "model_name", "output_dir", "results", "on",
    "overwrite", "checkpoint_every", "stop_after_epoch", "micro_batch_size", "eval_batch_size", "mixed_precision",
    "gradient_checkpointing", "trust_remote_code", "push_to_hub", "private", "replace", "license", "language",
)  # fmt: skip
# Of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def flag(text: str, default: Any = None) -> Any:
    """A field of the arguments with its help."""
    return field(default=default, metadata={"help": text})


@dataclass
class Arguments:
    """One training; `finetune --help` says what each field is.

    The defaults are RoBERTa's own fine-tuning recipe (https://arxiv.org/abs/1907.11692, appendix C) with the length,
    batch and epochs of the original script; its warm-up of 100 updates is a share of all updates here, because on the
    small datasets it never ended.
    """

    train: list[str] = field(
        metadata={"help": "rows: a run, folder, file, Hub dataset, or `human`; `:500` at the end takes the first 500"}
    )
    model: str = flag("folder or Hub name of an encoder", "roberta-large")
    task: str | None = flag("built-in name, builder file, task.json; default: what the rows come with")
    human_data: str | None = flag("folder of human data in place of the Hub")
    num_rows: int | None = flag("first rows of the one source")
    fraction: float = flag("share of each source, from its beginning", 1.0)
    validation: str = flag("`tenth` of the training rows, `human`, or a source", "tenth")
    model_name: str | None = flag("what the model is called in results; default: --model, a folder by its name")
    output_dir: str | None = flag("default: models/TASK-TRAINSET-MODEL-CREATIONSEED-SEED")
    results: str | None = flag("folder of results, where the result is filed too")
    on: list[str] | None = field(
        default=None, metadata={"help": "test sets to score at the end, as `llm_created.train.score --on`"}
    )
    overwrite: bool = flag("start over where the output folder holds another training", False)
    epochs: int = flag("passes over the training rows", 10)
    batch_size: int = flag("rows of one update, over all processes", 16)
    micro_batch_size: int | None = flag("rows a process computes at once; default: its whole share of the batch")
    eval_batch_size: int = flag("rows of a batch in validation", 32)
    learning_rate: float = flag("peak of the schedule", 1e-5)
    warmup_ratio: float = flag("share of all updates over which the rate rises; then it falls to 0, linearly", 0.06)
    weight_decay: float = flag("of matrices; never of biases and norms", 0.01)
    max_grad_norm: float = flag("gradients are clipped to this norm", 1.0)
    max_length: int = flag("tokens of a sequence; the end of the context is cut", 256)
    patience: int = flag("epochs without a better validation accuracy before it stops; 0: never", 3)
    seed: int = flag("of the head, the order of rows, and dropout", 0)
    mixed_precision: Literal["no", "fp16", "bf16"] | None = flag("default: that of `accelerate launch`, else no")
    gradient_checkpointing: bool = flag("compute activations twice, to save memory", False)
    checkpoint_every: int = flag("updates between checkpoints; 0: one an epoch", 0)
    stop_after_epoch: int | None = flag("stop there, resumable: the schedule stays that of --epochs")
    trust_remote_code: bool = flag("run code that comes with the model", False)

    def check(self) -> None:
        """Say which value cannot be used.

        Raises:
            UsageError: names the flag, its value and what is wanted.
        """
        least = {"epochs": 1, "batch_size": 1, "eval_batch_size": 1, "max_length": 8, "patience": 0, "weight_decay": 0}
        least |= {"checkpoint_every": 0, "micro_batch_size": 1, "stop_after_epoch": 1, "warmup_ratio": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and not value >= bound:
                raise UsageError(f"--{name.replace('_', '-')} must be at least {bound}, not {value}")
        if self.warmup_ratio >= 1:
            raise UsageError(f"--warmup-ratio is a share of all updates, below 1, not {self.warmup_ratio:g}")
        for name in ("learning_rate", "max_grad_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"--{name.replace('_', '-')} must be above 0, not {getattr(self, name)}")

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the trained weights, beside the rows."""
        values = {name: value for name, value in asdict(self).items() if name not in _NOT_SETTINGS}
        return values | {"model": self.named, "mixed_precision": precision(self.mixed_precision)}

    @property
    def named(self) -> str:
        """The model's name in results: never a path of this machine."""
        path = Path(self.model).expanduser()
        return self.model_name or (path.resolve().name if path.exists() else self.model)

    @property
    def on_hub(self) -> str | None:
        """The model's name on the Hub; `None` for one that lies here."""
        return None if Path(self.model).expanduser().exists() else self.model


@dataclass
class Finetune(Arguments):
    """One training and where its model goes: `sweep`, which trains many, has no use for these."""

    push_to_hub: str | None = flag("push the finished model to OWNER/NAME; the token is read from HF_TOKEN")
    private: bool = flag("a private repository; refused if it is public", False)
    replace: bool = flag("put it in the place of another model there", False)
    license: str | None = flag("of the model, as the Hub spells it; none is invented")
    language: list[str] | None = field(default=None, metadata={"help": "of the model, e.g. en"})

    def check(self) -> None:
        """Say which value cannot be used, before anything is trained."""
        super().check()
        for name in ("private", "replace"):
            if getattr(self, name) and not self.push_to_hub:
                raise UsageError(f"--{name} goes with --push-to-hub")
        if self.push_to_hub:
            from llm_created.hub.repository import ready

            ready(self.push_to_hub)


def precision(given: str | None) -> str:
    """The precision that was asked for here, or of `accelerate launch`."""
    return given or os.environ.get("ACCELERATE_MIXED_PRECISION", "no")


def start(mixed_precision: str | None) -> Any:
    """The `Accelerator` of this process.

    Raises:
        UsageError: the precision needs a GPU, and there is none that has it.
    """
    import torch
    from accelerate import Accelerator
    from accelerate.utils import GradientAccumulationPlugin
    from transformers.utils import logging as transformers_logging

    wanted = precision(mixed_precision)
    if wanted == "fp16" and not torch.cuda.is_available():
        raise UsageError("--mixed-precision fp16 needs a GPU, and there is none: give bf16 or no")
    if wanted == "bf16" and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        raise UsageError(f"--mixed-precision bf16: {torch.cuda.get_device_name()} does not have it: give fp16 or no")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if not torch.cuda.is_available():
        _keep_freed_memory()
    # Without cpu=True, processes that are started together on a machine without a GPU do not find each other. And
    # accumulation is ours: a plugin of 1 keeps `accelerate launch` from dividing the loss again.
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision=wanted,
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
    )
    log = logging.getLogger("llm_created.train")
    log.setLevel(logging.INFO if accelerator.is_main_process else logging.ERROR)
    return accelerator


def _keep_freed_memory() -> None:
    """Have the C library keep the memory that is freed: on a CPU every update asks for the same large blocks again.

    glibc gives large blocks back to the kernel, which fills them with zeros once more, page by page: with MiniLM and
    short rows a sixth of all time.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_M_MMAP_MAX, 0)
            mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Says what a value is where none is given, unless the help does."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says = action.default in (None, False, argparse.SUPPRESS) or "default" in (action.help or "")
        return action.help if says else f"{action.help} (default %(default)s)"


@console.until_nobody_reads()
def command(kind: type, act: Callable[[Any], Any], about: str, argv: Sequence[str] | None = None) -> int:
    """Run one command of this folder: its arguments are the fields of `kind`; what goes wrong is one line.

    Args:
        kind (`type`): a dataclass.
        act (`Callable[[Any], Any]`): what is done with one.
        about (`str`): for `--help`.
        argv (`Sequence[str]`, *optional*): defaults to the process's.

    Returns:
        `int`: the exit code: 0 done, 1 failed, 2 wrong call.
    """
    from transformers import HfArgumentParser

    main = os.environ.get("RANK", "0") == "0"
    console.show_logs()

    class Parser(console.Parser, HfArgumentParser):
        def _print_message(self, message: str, file: Any = None) -> None:
            if main:
                super()._print_message(message, file)

    parser = Parser(kind, description=about, formatter_class=_Help, allow_abbrev=False)
    # Not parse_args_into_dataclasses: what it does not know is an error with a traceback there.
    values = vars(parser.parse_args(argv))
    try:
        act(kind(**values))
    except LLMCreatedError as error:
        # Every process of a launch finds the same error: one of them says it.
        if main:
            console.say(f"error: {parser.spoken(str(error))}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        # The group's threads live as long as something holds it, and one that wants the interpreter while that is
        # being taken down aborts the process (pytorch/pytorch#179291): everything is written, so leave at once.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0
