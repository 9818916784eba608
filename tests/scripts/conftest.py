"""What the tests of the pages share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pages
import pytest
from server import Server


@pytest.fixture
def reader(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a reader's files, a key, and a server that stands where OpenAI would."""
    bin_folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    # Both channels of a command come in their order.
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-readme-0123456789")
    pages.furnish(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    return tmp_path
