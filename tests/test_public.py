"""What `import llm_created` gives: these names and no more, each with an example that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub import Hub
from person import outside
from server import Server

import llm_created

PUBLIC = [
    *("Budget", "Builder", "Client", "Guide", "Human", "Identity", "Journal", "LLMCreatedError", "OpenAIClient"),
    *("Reason", "Reply", "Request", "RequestFailed", "Row", "Run", "RunFailed", "ScriptedClient", "Settings"),
    *("StoppedShort", "Task", "Usage", "UsageError"),
    *("create", "evaluate", "label_rows", "load_dataset", "load_model", "push", "register"),
]
# Each example by itself, as somebody tries it who has just opened the documentation.
EXAMPLES = """
import doctest, json, os, sys
import llm_created

found = {}
for name in llm_created.__all__:
    value = getattr(llm_created, name)
    test = doctest.DocTestParser().get_doctest(value.__doc__ or "", {"__name__": "__main__"}, name, None, 0)
    os.makedirs(name)
    os.chdir(name)
    told = []
    failed = doctest.DocTestRunner(verbose=False).run(test, out=told.append, clear_globs=False)
    os.chdir("..")
    found[name] = [len(test.examples), failed.failed, "".join(told)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int, str]]:
    """Of each public name how many examples it has, how many of them failed, and what was said."""
    folder = tmp_path_factory.mktemp("examples")
    with Hub() as hub, Server() as server:
        env = outside(hub) | {"HF_HOME": str(folder / "hf"), "LLM_CREATED_CACHE": str(folder / "runs")}
        env |= {"OPENAI_API_KEY": "sk-of-this-test", "OPENAI_BASE_URL": server.url}
        done = subprocess.run(
            [sys.executable, "-c", EXAMPLES], cwd=folder, env=env, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_these_are_the_public_names() -> None:
    assert llm_created.__all__ == PUBLIC
    assert all(hasattr(llm_created, name) for name in PUBLIC)
    assert set(PUBLIC) <= set(dir(llm_created))
    with pytest.raises(AttributeError, match="Pool"):
        _ = llm_created.Pool


@pytest.mark.parametrize("name", PUBLIC)
def test_its_example_runs(name: str, examples: dict[str, tuple[int, int, str]]) -> None:
    number, failed, said = examples[name]
    assert number > 0, f"{name} has no example"
    assert not failed, said


def test_type_checkers_see_what_python_gives() -> None:
    text = Path(str(llm_created.__file__)).read_text("utf-8").partition("if TYPE_CHECKING:")[2]
    seen = {name for line in text.splitlines() if " import " in line for name in line.split(" import ")[1].split(", ")}
    assert set(PUBLIC) <= seen


def test_importing_it_loads_nothing_but_itself() -> None:
    code = "import sys; before = set(sys.modules); import llm_created; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True)
    loaded = {name for name in done.stdout.split() if name.startswith("llm_created")}
    assert loaded == {"llm_created", "llm_created.utils", "llm_created.utils.version"}, done.stderr
