"""What the methods gave for the same number of calls: the table in docs/choose.md, from runs of the demo writer.

python scripts/method_table.py            # print it
python scripts/method_table.py --write    # put it into docs/choose.md
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

from blocks import put

TASK, CALLS = "agnews", 200
# Enough rows for so many calls.
RUNS = {
    "tree": ["--strategy", "tree", "-n", "1000"],
    "tree-balanced": ["--strategy", "tree", "--balance", "-n", "1000"],
    "pool": ["--strategy", "pool", "-n", "1000"],
    "targen": ["--method", "targen", "-n", "120"],
    "attrprompt": ["--method", "attrprompt", "-n", "220"],
    "simprompt": ["--method", "simprompt", "-n", "220"],
}


def table(folder: Path) -> str:
    """The comparison of the runs, as `llm-created compare` prints it."""
    from llm_created.cli import main as cli

    os.environ["LLM_CREATED_CACHE"] = str(folder / "cache")
    for name, flags in RUNS.items():
        where = ["--out", str(folder / name), "--name", name]
        line = ["create", TASK, *flags, "--model", "demo", *where]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = cli.main(line)
        if code:
            raise SystemExit(f"`llm-created {' '.join(line)}` ended with {code}")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        cli.main(["compare", *RUNS, "--at", "calls", "--budget", str(CALLS), "--format", "markdown"])
    return shown.getvalue()


def main() -> None:
    """Print the table, or put it in its place."""
    with tempfile.TemporaryDirectory() as folder:
        text = table(Path(folder))
    if "--write" not in sys.argv[1:]:
        print(text)
        return
    put("docs/choose.md", "methods", text)


if __name__ == "__main__":
    main()
