"""What became of everything that was asked for, computed from a journal."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..clients.prices import Price
from ..runs.journal import JUDGES, KEPT, SURPLUS, UNJUDGED, Journal, Spent
from ..tasks.task import Task

# Stretches of a reply, or whole replies, in which no JSON object was found.
_NOT_PARSED = {
    "not_json", "cut_off", "empty_reply", "refusal", "content_filter", "bad_request", "prompt_too_long",
}  # fmt: skip
# Rows that are well formed and not kept: the frontier check, and the emission checks.
_NOT_EMITTED = {"filter", "leaked", "near_duplicate", *JUDGES, SURPLUS}


class Example(NamedTuple):
    """One piece that was rejected: where, and what was wrong with it."""

    position: int
    detail: str


@dataclass
class Funnel:
    """Counts of pieces on their way from being asked for to being kept.

    Attributes:
        turns (`int`): replies that were read.
        asked (`int`): rows asked for.
        parsed (`int`): JSON objects found.
        valid (`int`): well-formed rows.
        unique (`int`): rows that were no duplicates.
        kept (`int`): rows that passed the emission checks, up to the number wanted.
        spare (`int`): rows beyond the number wanted, there for a larger one.
        reasons (`Counter[str]`): rejected pieces by reason.
        examples (`dict[str, Example]`): the first piece of each reason.
        depths (`Counter[int]`): kept rows by depth.
        answers (`Counter[int]`): kept rows by the index of their answer.
    """

    turns: int = 0
    asked: int = 0
    parsed: int = 0
    valid: int = 0
    unique: int = 0
    kept: int = 0
    spare: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Example] = field(default_factory=dict)
    depths: Counter[int] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)


def funnel(journal: Journal) -> Funnel:
    """The funnel of a run, over all turns that were read."""
    count = Funnel()
    target, order = journal.get("target", 0), journal.order()
    for position, _, depth, pieces, asked, _ in journal.turns():
        count.turns += 1
        count.asked += asked
        for code, row_id, detail in pieces:
            passed = code in (KEPT, UNJUDGED)
            # Of a list, what came is in no piece, and a reason that none came is no piece that was parsed.
            count.parsed += code not in _NOT_PARSED and asked > 0
            count.valid += passed or code == "duplicate" or code in _NOT_EMITTED
            count.unique += passed or code in _NOT_EMITTED
            if not passed:
                count.reasons[code] += 1
                count.examples.setdefault(code, Example(position, detail))
            elif code == KEPT and order.get(row_id, count.kept) < target:
                count.kept += 1
                count.depths[depth] += 1
                count.answers[int(detail)] += 1
            else:
                count.spare += 1
    return count


def balance(task: Task, count: Funnel) -> dict[str, int]:
    """Kept rows by label, or by the answer's position where the options vary."""
    if task.labels is not None:
        return {label: count.answers[at] for at, label in enumerate(task.labels)}
    last = max(max(count.answers, default=0) + 1, task.num_options or 0)
    return {f"position {at + 1}": count.answers[at] for at in range(last)}


def held_back(count: Funnel) -> str:
    """What balance cost, in one line."""
    surplus = count.reasons[SURPLUS]
    if not surplus:
        return "balance held back no row"
    share = surplus / count.unique
    return f"balance held back {surplus:,} of {count.unique:,} rows: about {share:.1%} of the calls went into them"


def leaks_said(journal: Journal, count: Funnel) -> str:
    """What a check against evaluation sets found, in one line; `""` where there was none."""
    checks = journal.get("emission") or {}
    if not checks.get("check_against"):
        return ""
    sets = ", ".join(checks["check_against"])
    if checks.get("leaks") == "report":
        return f"{len(journal.get('leaks', [])):,} of {count.kept:,} rows repeat one of {sets}, and stay"
    return f"{count.reasons['leaked']:,} rows repeated one of {sets}, and were left out"


def cost(spent: Spent, price: list[Any] | None) -> float | None:
    """Dollars over the life of a run, `None` where its model's price is not known."""
    return None if price is None else Price(*price).of(spent.prompt_tokens, spent.completion_tokens)


def compute_said(journal: Journal) -> str:
    """What a model of this process took, in a few words; `""` where there was none."""
    found = journal.get("compute")
    return f"{found['seconds']:,.0f} s of compute ({found['format']} on {found['device']})" if found else ""


def lost_said(spent: Spent, price: list[Any] | None) -> str:
    """What of the cost went into replies that may have been written and never came, in one line; `""` for nothing."""
    if not spent.lost:
        return ""
    lost = cost(Spent(0, spent.lost_prompt_tokens, spent.lost_completion_tokens), price)
    dollars = f"${lost:,.4f} ({spent.lost:,} tokens)" if lost else f"{spent.lost:,} tokens"
    return f"of it {dollars} for replies that never came, counted as what was reserved for them"


def bounds_said(journal: Journal) -> str:
    """The bound on replies that caps stand on, where the user gave none, in one line; else `""`."""
    bounds = sorted(set((journal.get("bounds") or {}).values()))
    if not bounds:
        return ""
    most = " or ".join(f"{bound:,}" for bound in bounds)
    return f"a reply may have up to {most} tokens, learnt from those that came (--max-tokens N sets it)"


def spent_on_rows(journal: Journal) -> Spent:
    """What the run's rows cost: all that it used, but what only other outputs of it needed."""
    if len({one.key for one in journal.readings()}) < 2:
        return journal.spent()
    votes, calls, sent, got, guessed = journal.spent_on_votes(), 0, 0, 0, 0
    for one in journal.turn_costs():
        calls, sent, got = calls + 1, sent + one.prompt_tokens, got + one.completion_tokens
        guessed += one.estimated * (one.prompt_tokens + one.completion_tokens)
    return Spent(calls + votes.calls, sent + votes.prompt_tokens, got + votes.completion_tokens, guessed)


def outputs_said(journal: Journal) -> str:
    """What of the cost these rows needed, in one line, where the run has other outputs; else `""`."""
    whole, own = journal.spent(), spent_on_rows(journal)
    if own == whole:
        return ""
    tokens = own.prompt_tokens + own.completion_tokens
    return f"of it {own.calls:,} calls and {tokens:,} tokens for these rows: the run has other outputs, too"


def servers_said(journal: Journal) -> str:
    """That its replies are of several servers behind one model's name, in one line; else `""`."""
    servers = journal.get("servers", [])
    if len(servers) < 2:
        return ""
    return f"its replies are of {len(servers)} servers behind this model's name: {', '.join(servers)}"


def times(journal: Journal) -> dict[str, Any]:
    """When the run was asked, how long at least one request was on its way, and how long a reply took.

    Raises:
        RunFailed: the journal cannot be read.
    """
    took = array("d")
    busy, until = 0.0, 0.0
    for submitted, answered in journal.waits():
        # A run that was resumed a day later did not take a day.
        busy += max(answered - max(submitted, until), 0)
        until = max(until, answered)
        took.append(answered - submitted)
    waits = sorted(took)
    created = datetime.fromtimestamp(journal.get("created", 0), UTC)
    middle = round(waits[len(waits) // 2], 3) if waits else None
    return {"created": created.isoformat(timespec="minutes"), "busy": round(busy, 3), "median_reply": middle}
