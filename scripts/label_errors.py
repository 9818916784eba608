"""How many wrong labels `check --label-errors` finds: a tenth of human labels is flipped, and looked for.

    python scripts/label_errors.py                                     # sst2 and creak, hashed words: a minute
    python scripts/label_errors.py --features embeddings --rows 1000   # slower

Precision is the share of the doubted rows that were flipped, recall the share of the flipped rows that are doubted;
human labels that were wrong before count against precision. Beside them, precision among the doubted rows that the
model is surest of, as many as a tenth of those flipped.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from llm_created.checks.label_errors import doubts
from llm_created.evaluation.scores import wilson
from llm_created.models.choose import usual
from llm_created.tasks.task import Row, Task
from llm_created.utils.console import out
from llm_created.utils.text import digest

ROOT = Path(__file__).resolve().parent.parent
SHARE = 0.1
TASKS = {
    "sst2": Task("sst2", ("sentence",), "label", labels=("0", "1")),
    "creak": Task("creak", ("question",), "label", labels=("True", "False")),
}


def rows_of(name: str, data: Path, number: int) -> list[Row]:
    """Human rows of training data, drawn by a hash; no two the same."""
    if name == "sst2":
        with (data / "glue/sst2/train.tsv").open(encoding="utf-8", newline="") as lines:
            records = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    else:
        text = (data / "human/yesno_close/creak/train.jsonl").read_text("utf-8")
        records = [{key: json.loads(line)[key] for key in ("question", "label")} for line in text.splitlines()]
    found = (TASKS[name].read(record) for record in records)
    distinct = {row.key: row for row in found if isinstance(row, Row)}
    return sorted(distinct.values(), key=lambda row: digest(["label errors", row.id]))[:number]


def measure(name: str, rows: list[Row], features: str) -> str:
    """Flip, look, and say what was found, as a line of a table."""
    wrong = {number for number, row in enumerate(rows) if int(digest(["flip", row.id], 4), 16) < SHARE * 2**32}
    given = {at: row._replace(answer=1 - row.answer) if at in wrong else row for at, row in enumerate(rows)}
    seen, about = usual(None, features)
    found = [one.number for one in doubts(TASKS[name], given, seen)]
    hits = [number in wrong for number in found]
    first = hits[: max(len(wrong) // 10, 1)]
    low, high = wilson(sum(hits), len(hits)) if hits else (0.0, 1.0)
    return (
        f"| {name} | {about} | {len(rows):,} | {len(wrong):,} | {len(found):,} | "
        f"{100 * sum(hits) / max(len(hits), 1):.0f} ({100 * low:.0f}-{100 * high:.0f}) | "
        f"{100 * sum(hits) / len(wrong):.0f} | {100 * sum(first) / max(len(first), 1):.0f} (of {len(first)}) |"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="human rows")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--features", default="tfidf", choices=("tfidf", "embeddings"))
    parser.add_argument("--rows", type=int, default=4000, help="of each task (default 4000)")
    told = parser.parse_args()
    out("| task | features | rows | flipped | doubted | precision (95 %) | recall | precision of the surest |")
    out("|---|---|--:|--:|--:|--:|--:|--:|")
    for name in told.tasks:
        out(measure(name, rows_of(name, told.data, told.rows), told.features))


if __name__ == "__main__":
    main()
