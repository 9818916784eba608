"""`llm-created compare`: runs side by side, at a budget that all of them have."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ...analysis.ledger import Ledger, figures
from ...errors import RunFailed, UsageError
from ...evaluation.run_scores import score_lines
from ...models.embedded import Embeddings
from ...reports.comparison import RESULTS, amount, as_markdown, as_text, equal_budget, lines_of, same_task, told
from ...runs.folders import Found, find
from ...runs.identity import DEFAULT_EMBEDDING_MODEL
from ...tasks.task import Row
from ...utils.console import out


def compare(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created compare RUN RUN ...`: what each gave for the same calls, tokens, dollars or rows."""
    found_runs = _found(args.runs)
    with ExitStack() as stack:
        journals = [stack.enter_context(one.open()) for one in found_runs]
        runs = [Ledger.of(journal) for journal in journals]
        budget = equal_budget(runs, args.at, args.budget)
        fewest = _fewest(runs, args.at, budget)
        notes: list[str] = []
        embeddings = _embeddings(args.embedding_model, notes) if fewest else None
        results = _root(args.results, notes) if same_task(runs) else None
        how: dict[str, Any] = {"at": args.at, "num_rows": fewest, "embeddings": embeddings, "results": results}
        found = [figures(journal, budget, **how) for journal in journals]
    lines = list(lines_of(found, same_task(runs), amount(args.at, budget), fewest))
    for line in (as_markdown if args.format == "markdown" else as_text)(lines, [*told(runs, found, fewest), *notes]):
        out(line)
    return 0


def _found(names: Sequence[str]) -> list[Found]:
    runs = [find(run) for run in names]
    if len({(one.folder.resolve(), one.which._replace(folder="")) for one in runs}) < max(len(runs), 2):
        raise UsageError(f"compare takes two different runs or more, not {', '.join(names)}")
    return runs


def _fewest(runs: Sequence[Ledger], at: str, budget: float) -> int:
    """The rows that every run has at a budget."""
    fewest = int(min(run.cut(at, budget).total("rows") for run in runs))
    return min(fewest, int(budget)) if at == "rows" else fewest


def _embeddings(model: str | None, notes: list[str]) -> Embeddings | None:
    """What embeds the rows; where nobody asked for it by name, a note that says what is missing."""
    missing = "needs sentence-transformers: pip install 'llm-created[embed]'"
    if importlib.util.find_spec("sentence_transformers") is None:
        if model:
            raise UsageError(f"--embedding-model {missing}")
        notes.append(f"similarity (APS) is left out: it {missing}")
        return None
    if model is None and not _is_here(DEFAULT_EMBEDDING_MODEL):
        # Nobody asked for a download, and without a network it takes a minute to fail.
        notes.append(f"similarity (APS) is left out: --embedding-model {DEFAULT_EMBEDDING_MODEL} loads a model for it")
        return None
    made = Embeddings(model or DEFAULT_EMBEDDING_MODEL)
    try:
        # The model is loaded with the first text, and whether it can be is to be known before the work.
        made.texts([Row(("a text",), (), 0, "", 0)])
    except RunFailed as error:
        if model:
            raise
        notes.append(f"similarity (APS) is left out: {error}; --embedding-model names another")
        return None
    return made


def _is_here(model: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model, "modules.json"), str)


def _root(root: str | None, notes: list[str]) -> str | None:
    """The folder of results that was named; else `results`, if it is there and can be read."""
    if root is not None or not Path(RESULTS).is_dir():
        return root
    try:
        score_lines(RESULTS, "")
    except UsageError as error:
        notes.append(f"scores are left out: {error}; --results names another folder")
        return None
    return RESULTS
