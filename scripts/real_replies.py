"""Replies of a real model for the tests: what `real_writer.py` journaled, in the order of the run's turns.

python scripts/real_replies.py FOLDER            # the folder of real_writer.py; writes tests/real_replies/
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "tests" / "real_replies"
MOST = 150  # replies of a run


def main() -> None:
    """The command line."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    folder = Path(sys.argv[1]).resolve()
    os.environ["LLM_CREATED_CACHE"] = str(folder / "cache")
    from llm_created.runs.folders import find

    PLACE.mkdir(exist_ok=True)
    for path in sorted((folder / "figures").glob("*-1-100-all-rows.json")):
        if not (folder / "runs" / path.stem).exists():
            continue
        cell = json.loads(path.read_text("utf-8"))
        with find(str(folder / "runs" / path.stem)).open() as journal:
            texts = [journal.text_of(turn.position) for turn in journal.turns()][:MOST]
        about = {name: cell[name] for name in ("task", "method", "seed")}
        name = path.name.removesuffix("-1-100-all-rows.json")
        lines = [json.dumps(about), *(json.dumps(text, ensure_ascii=False) for text in texts)]
        (PLACE / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        print(f"{name}: {len(texts)} replies")


if __name__ == "__main__":
    main()
