"""What every test gets: caches of its own, no key, and no network beyond loopback."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from later import comes_later, import_all
from pytest_socket import socket_allow_hosts
from server import Server

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1,localhost,::1"
# Nothing listens on the discard port: a subprocess that wants out is refused at once.
DEAD = "http://127.0.0.1:9"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

try:
    importlib.metadata.distribution("llm-created")
except importlib.metadata.PackageNotFoundError:  # a clone that is not installed
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))

# Compiled modules are kept, as in anybody's installation: a hundred processes need not compile the library again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The libraries read these once, when they are imported.
os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    # Workers and what they start share the cores: threads that wait for work in a loop take them from each other.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


# Drawn examples of a property: a few to find what is broken, and all of them beside the slow tests.
QUICK, THOROUGH = 25, 100


def pytest_configure(config: pytest.Config) -> None:
    quick = "not slow" in config.option.markexpr
    # No time limit for an example: the machine may have other work.
    hypothesis.settings.register_profile("here", max_examples=QUICK if quick else THOROUGH, deadline=None)
    hypothesis.settings.load_profile("here")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that import torch come first, so that one worker's share holds them and few others import it, too."""
    heavy = {module for module in {item.module for item in items} if comes_later(module)}
    items.sort(key=lambda item: item.module not in heavy)


@pytest.fixture(scope="module", autouse=True)
def _imported(request: pytest.FixtureRequest) -> None:
    import_all(request.module)


@pytest.fixture(autouse=True)
def _logs_outlive_a_test() -> Iterator[None]:
    """A library that a test is the first to import would go on writing to what captured that test's output."""
    yield
    for handler in logging.getLogger("transformers").handlers:
        if type(handler) is logging.StreamHandler:
            handler.stream = sys.__stderr__  # `setStream` would first flush what may be closed


@pytest.fixture(autouse=True)
def _apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches of this test alone, and neither a key nor a way out; its subprocesses inherit all of it."""
    # A patch of its own: a test that undoes its own must not be given the real caches back.
    with pytest.MonkeyPatch.context() as monkeypatch:
        _set_apart(tmp_path_factory.mktemp("caches"), monkeypatch)
        yield


def _set_apart(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_CREATED_CACHE", str(caches / "llm_created"))
    monkeypatch.setenv("HF_HOME", str(caches / "hf"))
    config = getattr(sys.modules.get("datasets"), "config", None)
    if config is not None:  # it has read HF_HOME already
        monkeypatch.setattr(config, "HF_DATASETS_CACHE", caches / "hf" / "datasets")
    for name in ("HF_DATASETS_CACHE", "HF_HUB_CACHE", "HF_TOKEN", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in PROXIES:
        monkeypatch.setenv(name, DEAD)
    monkeypatch.setenv("NO_PROXY", LOOPBACK)
    monkeypatch.setenv("no_proxy", LOOPBACK)
    socket_allow_hosts(LOOPBACK.split(","), allow_unix_socket=True)


@pytest.fixture(scope="session")
def running_server() -> Iterator[Server]:
    """The loopback model of all tests of a worker."""
    with Server() as running:
        yield running


@pytest.fixture
def server(running_server: Server) -> Server:
    """The loopback model as it starts: it answers everything, and nobody has asked anything."""
    running_server.reset()
    return running_server


@pytest.fixture(scope="session")
def shared() -> Path:
    """The data folder beside the clone, `../shared/data`; the tests that use it skip where it is missing."""
    folder = Path(os.environ.get("LLM_CREATED_SHARED", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing (LLM_CREATED_SHARED names another place)")
    return folder
