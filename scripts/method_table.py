"""What the methods gave for the same number of calls: the table in README.md, from runs of the demo writer.

python scripts/method_table.py            # print it
python scripts/method_table.py --write    # put it into README.md
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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
MARKED = re.compile(r"(<!-- methods: [^\n]* -->\n).*?(<!-- /methods -->)", re.S)


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
    readme = ROOT / "README.md"
    old = readme.read_text("utf-8")
    readme.write_text(MARKED.sub(lambda found: f"{found[1]}\n{text.strip()}\n\n{found[2]}", old), "utf-8")


if __name__ == "__main__":
    main()
