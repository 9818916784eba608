"""What creating cost (table 5): calls, tokens and dollars of each run, from its journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import paper
from rendering import SETS, TASKS, Line, pipes, place, point

from llm_created.analysis.funnel import cost, funnel
from llm_created.errors import UsageError
from llm_created.runs.folders import RUN_FILE, find
from llm_created.utils.files import read_json


def cost_lines(runs: Iterable[str], with_paper: bool) -> list[Line]:
    """Calls, tokens and dollars of each run, from its journal, and the published ones."""
    made = [cost_line(run) for run in dict.fromkeys(runs)]
    if with_paper:
        made += [
            {
                "source": "paper", "task": task, "strategy": name, "model": "gpt-3.5-turbo", "run": "", "seed": "",
                "rows": paper.TRAIN_ROWS[task], "calls": None, "tokens": paper.tokens(task, name), "estimated": 0,
                "dollars": paper.dollars(task, name), "price": "0.002 a thousand tokens",
            }
            for task in paper.DOLLARS for name in paper.TRAINED_ON[1:]
        ]  # fmt: skip
    return sorted(made, key=lambda one: (place(one["task"], TASKS), place(one["strategy"], SETS), one["source"]))


def cost_line(run: str) -> Line:
    """One run's line; without its journal what it used is not known."""
    about = Path(run, RUN_FILE)
    try:
        with find(run).open() as journal:
            identity, spent, price = journal.get("identity"), journal.spent(), journal.get("price")
            task = journal.get("task")["name"]
            rows, digest, dollars = funnel(journal).kept, journal.folder.name, cost(spent, price)
    except UsageError:
        if not about.exists():
            raise
        value = read_json(str(about))
        task = read_json(str(Path(run, "task.json")))["name"]
        identity, rows, digest = value["identity"], value["rows"], value["run"]
        spent = price = dollars = None
    return {
        "source": "ours", "task": task, "strategy": identity["strategy"],
        "model": identity["model"], "run": digest[:8], "seed": identity["seed"], "rows": rows,
        "calls": spent.calls if spent else None, "estimated": spent.estimated if spent else 0,
        "tokens": spent.prompt_tokens + spent.completion_tokens if spent else None,
        "dollars": dollars, "price": price[2] if price else "",
    }  # fmt: skip


def cost_table(made: Sequence[Line], with_paper: bool) -> list[str]:
    """Table 5 in Markdown."""
    rows = []
    for one in made:
        tokens, dollars = one["tokens"], one["dollars"]
        paid = "" if dollars is None else f"{dollars}" if one["source"] == "paper" else f"{dollars:.4f}"
        rows.append([
            one["task"], ("P " if one["source"] == "paper" else "") + one["strategy"], one["run"], f"{one['rows']:,}",
            "" if one["calls"] is None else f"{one['calls']:,}",
            "" if tokens is None else f"{tokens:,}" + "~" * bool(one["estimated"]),
            f"{tokens / one['rows']:,.0f}" if tokens is not None and one["rows"] else "", paid,
        ])  # fmt: skip
    head = ["task", "strategy", "run", "rows", "calls", "tokens", "per row", "dollars"]
    out = ["## Cost of the created sets (table 5)", "", *pipes(head, rows, left=3), ""]
    out += point("Over the life of the run, rejected rows included. `per row`: tokens for one kept row.")
    writers = sorted({f"{x['model']} ({x['price'] or 'price not known'})" for x in made if x["source"] == "ours"})
    out += point(f"Writers: {', '.join(writers)}.") if writers else []
    if any(one["estimated"] for one in made):
        out += point("`~` some of the tokens are estimated.")
    if any(one["dollars"] is None for one in made):
        out += point("No dollars: the price is not known. No tokens: the journal is not here.")
    if with_paper:
        dear = [x for x in made if x["source"] == "paper" and x["dollars"] > paper.WELL_UNDER]
        named = ", ".join(f"{x['task']} {x['strategy']} {x['dollars']}" for x in dear)
        rate = (1000 * paper.DOLLARS_PER_TOKEN).normalize()
        out += point(
            f"`P` published dollars, and the tokens they stand for at {rate} dollars a thousand. The paper says that "
            f"every set cost well under {paper.WELL_UNDER} dollars; its table has {named}."
        )
    return out
