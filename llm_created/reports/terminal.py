"""A run in words, for a terminal of any width and for a pipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from ..analysis.agreement import NO_MAJORITY, JudgedTable, judged_tables
from ..analysis.funnel import Funnel, balance, bounds_said, cost, funnel, held_back, leaks_said, lost_said
from ..clients.base import Reply, Request, Usage
from ..clients.prices import Price
from ..creation.calls import key_of
from ..methods.base import Strategy, Turn, turns_to_come
from ..methods.choose import strategy
from ..methods.pool import Pool
from ..prompts.examples import Message
from ..runs.identity import METHODS, Identity
from ..runs.journal import KEPT, SURPLUS, UNJUDGED, Journal
from ..runs.kept import kept_rows
from ..tasks.task import Row, Task
from ..utils.console import columns, fit, harmless, left, wrap
from .table import bars, table

# Cells that differ, in a terminal.
_CELLS = 12
_STAGES = ("asked", "parsed", "valid", "unique", "kept")
_SET_UP = {
    "alike": "labels that are alike",
    "values": "values of an attribute",
    "filter": "values that fit other labels, too",
}


def run(journal: Journal, task: Task, *, width: int = 80, sample: int = 3) -> list[str]:
    """Everything about a run: its settings, a sample, the funnel, reasons, balance, tokens and cost."""
    identity = journal.get("identity")
    name = journal.get("name")
    count = funnel(journal)
    head = f"run {journal.folder.name[:8]}" + (f" ({name})" if name else "")
    about = (
        f"{task.name} · {identity['strategy']} · {identity['model']} · {count.kept}/{journal.get('target', 0)} rows"
    )
    lines = [fit(f"{head} · {about}", width), ""]
    lines += rows_lines(task, islice(kept_rows(journal, task), sample), width)
    lines += funnel_lines(count, width)
    for found in judged_tables(journal, task):
        said, *table = judged_lines(found, width)
        lines += ["", *wrap(said, width, then="  "), *table]
    if count.kept:
        lines += ["", *_balance_lines(task, count)]
        lines += [held_back(count)] if (journal.get("emission") or {}).get("balance") else []
        lines += wrap(leaks_said(journal, count), width, then="  ")
        depths = ", ".join(f"{depth}: {n}" for depth, n in sorted(count.depths.items()))
        if identity["strategy"] not in METHODS:
            lines += wrap(f"rows by depth  {depths}", width, then=" " * 15)
    return [*lines, *cost_lines(journal, count.kept, width)]


def rows_lines(task: Task, rows: Iterable[Row], width: int) -> list[str]:
    """Rows as a person reads them: one field a line, the right option marked."""
    lines: list[str] = []
    for row in rows:
        for field, text in zip(task.inputs, row.inputs, strict=True):
            lines += _field(field, text, width)
        if task.variable:
            marked = (f"[{option}]" if at == row.answer else option for at, option in enumerate(row.options))
            lines += _field(task.options, " | ".join(marked), width)
        else:
            lines += _field(task.answer, row.options[row.answer], width)
        lines.append("")
    return lines


def _field(name: str, text: str, width: int) -> list[str]:
    indent = " " * 11
    lines = wrap(" ".join(harmless(text).split()), max(width - len(indent), 20))
    shown = [*lines[:3], "…"] if len(lines) > 4 else lines or [""]
    return [f"{left(fit(name, 10), 10)} {shown[0]}", *(indent + line for line in shown[1:])]


def funnel_lines(count: Funnel, width: int) -> list[str]:
    """`asked 215 → parsed 210 → ... → kept 200`, and below it each reason with an example."""
    stages = " → ".join(f"{stage} {getattr(count, stage)}" for stage in _STAGES)
    spare = f" (+{count.spare} spare)" if count.spare else ""
    lines = [stages + spare if len(stages + spare) <= width else stages]
    for code, number in count.reasons.most_common():
        example = count.examples[code]
        said = f", e.g. turn {example.position}: {example.detail}" if example.detail else ""
        lines.append("  " + fit(f"{number} {code}{said}", width - 2))
    return lines


def _balance_lines(task: Task, count: Funnel) -> list[str]:
    return ["answers" if task.labels else "answer positions", *bars(balance(task, count), count.kept)]


def cost_lines(journal: Journal, kept: int, width: int = 80) -> list[str]:
    """Calls, tokens, dollars, and what one kept row cost, over the life of the run."""
    spent, price = journal.spent(), journal.get("price")
    tokens = spent.prompt_tokens + spent.completion_tokens
    marked = f" ({spent.estimated:,} of them estimated)" if spent.estimated else ""
    line = f"{spent.calls:,} calls · {spent.prompt_tokens:,} + {spent.completion_tokens:,} tokens{marked}"
    if kept:
        line += f" · {tokens / kept:,.0f} tokens per kept row"
    dollars = cost(spent, price)
    if dollars is None:
        line += " · price not known (--price IN,OUT)"
    elif Price(*price).free:
        line += " · free"
    else:
        line += f" · ${dollars:,.4f}" + (f", ${dollars / kept:,.6f} per kept row" if kept else "") + f" by {price[2]}"
    more = [one for one in (lost_said(spent, price), bounds_said(journal)) if one]
    return ["", *(part for one in (line, *more) for part in wrap(one, width, then="  "))]


def preview(
    journal: Journal,
    identity: Identity,
    num_rows: int,
    price: Price | None,
    width: int = 80,
    votes: int = 0,
) -> list[str]:
    """The calls up to the first row: each kind of prompt as sent, its reply, what each piece became, and what the
    whole run would cost.

    Args:
        journal (`Journal`): the run's journal, open; it holds the replies.
        identity (`Identity`): the run.
        num_rows (`int`): how many rows the whole run has.
        price (`Price`, *optional*): the model's.
        width (`int`, defaults to 80): of the lines.
        votes (`int`, defaults to 0): calls about the label of each row.
    """
    plan = strategy(identity, Pool())
    asked = list(_asked(journal, plan))
    became = {turn.position: turn.pieces for turn in journal.turns()}
    lines: list[str] = []
    told: set[str] = set()
    for turn, messages, reply in asked:
        kind = _kind(turn)
        if kind not in told:
            told.add(kind)
            lines += [_rule(f"call {turn.position + 1}: {kind}", width)] if identity.method in METHODS else []
            lines += _call_lines(messages, reply, became.get(turn.position, ()), turn.rows > 0, width)
    last = asked[-1][0] if asked else None
    new = (KEPT, UNJUDGED, SURPLUS)
    kept = sum(code in new for code, _, _ in became.get(last.position, ())) if last and last.rows else 0
    if not kept:
        return [*lines, "", "The last reply gave no row, so nothing can be said about the whole run."]
    turns = -(-num_rows // kept)
    calls = turns_to_come(strategy(identity, Pool()), 0, turns)
    checked = num_rows * votes
    whole = f"{num_rows} rows at {kept} {'row' if kept == 1 else 'rows'} a call: about {calls + checked:,} calls"
    whole += f" ({checked:,} of them to check labels)" if checked else ""
    lists = [reply.usage for turn, _, reply in asked if not turn.rows]
    used = _times(asked[-1][2].usage, turns + checked), _times(_mean(lists), calls - turns)
    return [*lines, "", *wrap(f"{whole} and {_cost(used, price)}", width)]


def _call_lines(
    messages: Sequence[Message], reply: Reply, pieces: Sequence[Sequence[Any]], for_rows: bool, width: int
) -> Iterator[str]:
    for message in messages:
        yield from (_rule(message["role"], width), *_wrapped(message["content"], width))
    yield from (_rule("reply", width), *_wrapped(reply.text[:4000], width))
    if for_rows or pieces:
        yield _rule("what became of it", width)
    for code, row_id, detail in pieces:
        yield fit(f"{code}  {row_id}" if code == KEPT else f"{code}: {detail}", width)


def _asked(journal: Journal, plan: Strategy) -> Iterator[tuple[Turn, list[Message], Reply]]:
    """The turns of a plan up to the first that asks for rows, as far as the journal has their replies."""
    occurrences: Counter[tuple[int, str]] = Counter()
    while (turn := plan.next()) is not None:
        messages, _ = plan.ask(turn)
        key = key_of(messages)
        reply = journal.reply(Request(messages, turn.lane, key, occurrences[turn.lane, key]))
        if reply is None:
            return
        occurrences[turn.lane, key] += 1
        yield turn, messages, reply
        if turn.rows:
            return
        plan.start(turn)
        if not reply.reason:
            plan.read(turn, reply.text)
        plan.arrived(turn, [], {})


def _kind(turn: Turn) -> str:
    """What a call is for."""
    if turn.rows:
        return "a row"
    if "set-up" in turn.drawn:
        return _SET_UP[turn.drawn["set-up"]]
    return "seeds in a context" if "context" in turn.drawn else "contexts"


def _mean(found: Sequence[Usage]) -> Usage:
    n = max(len(found), 1)
    return Usage(sum(one.prompt_tokens for one in found) // n, sum(one.completion_tokens for one in found) // n)


def _times(usage: Usage, calls: int) -> Usage:
    return Usage(calls * usage.prompt_tokens, calls * usage.completion_tokens)


def _cost(used: Sequence[Usage], price: Price | None) -> str:
    """Tokens and dollars."""
    asked, got = sum(one.prompt_tokens for one in used), sum(one.completion_tokens for one in used)
    tokens = f"{asked + got:,} tokens"
    if price is None:
        return f"{tokens}; the price is not known (--price IN,OUT)"
    if price.free:
        return f"{tokens}, free"
    return f"{tokens}, ${price.of(asked, got):,.4f} by {price.source}"


def _rule(name: str, width: int) -> str:
    return f"── {name} ".ljust(min(width, 80), "─")


def _wrapped(text: str, width: int) -> list[str]:
    return [part for line in harmless(text.strip()).split("\n") for part in (wrap(line, width) or [""])]


def judged_lines(found: JudgedTable, width: int = 80) -> Iterator[str]:
    """The agreement in one line, and the table for a terminal: whole where it fits, else the cells that differ."""
    yield from wrap(found.said(), width, then="  ")
    lines: list[list[object]] = [["given \\ judged", *found.judged]]
    lines += ([name, *counts] for name, counts in zip(found.given, found.counts, strict=True))
    n = len(found.judged)
    shown = [f"  {line}" for line in table(lines, "<" + ">" * n, least=[0, *[6] * n], most=[24, *[14] * n])]
    yield from shown if max(map(columns, shown)) <= width else _differing(found, width)


def _differing(found: JudgedTable, width: int) -> Iterator[str]:
    cells = found.differing()
    most = max((width - 30) // 2, 8)
    for given, judged, count in cells[:_CELLS]:
        other = judged if judged == NO_MAJORITY else f"judged {fit(judged, most)}"
        yield f"  given {fit(given, most)}, {other}: {count:,}"
    rest = cells[_CELLS:]
    if rest:
        yield f"  and {sum(count for *_, count in rest):,} rows in {len(rest):,} other pairs"
