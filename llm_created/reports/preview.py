"""What a run would ask, what came of it so far, and what the whole would cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..clients.base import Reply, Request, Usage
from ..clients.prices import Price
from ..creation.calls import key_of
from ..methods.base import Strategy, Turn, turns_to_come
from ..methods.choose import strategy
from ..methods.pool import Pool
from ..prompts.examples import Message
from ..runs.identity import METHODS, Identity
from ..runs.journal import KEPT, SURPLUS, UNJUDGED, Journal
from ..utils.console import fit, harmless, wrap

_SET_UP = {
    "alike": "labels that are alike",
    "values": "values of an attribute",
    "filter": "values that fit other labels, too",
}


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
    return [*lines, "", *wrap(_whole_run(identity, num_rows, asked, became, votes, price), width)]


def _whole_run(
    identity: Identity,
    num_rows: int,
    asked: Sequence[tuple[Turn, Sequence[Message], Reply]],
    became: Mapping[int, Sequence[Sequence[Any]]],
    votes: int,
    price: Price | None,
) -> str:
    """What the whole run would take, by the first call for rows."""
    last, reply = (asked[-1][0], asked[-1][2]) if asked else (None, None)
    kept = _new_rows(became.get(last.position, ())) if last and last.rows else 0
    if not kept or reply is None:
        return "The last reply gave no row, so nothing can be said about the whole run."
    turns = -(-num_rows // kept)
    calls = turns_to_come(strategy(identity, Pool()), 0, turns)
    checked = num_rows * votes
    whole = f"{num_rows} rows at {kept} {'row' if kept == 1 else 'rows'} a call: about {calls + checked:,} calls"
    whole += f" ({checked:,} of them to check labels)" if checked else ""
    lists = [reply.usage for turn, _, reply in asked if not turn.rows]
    used = _times(reply.usage, turns + checked), _times(_mean(lists), calls - turns)
    return f"{whole} and {_cost(used, price)}"


def _new_rows(pieces: Sequence[Sequence[Any]]) -> int:
    return sum(code in (KEPT, UNJUDGED, SURPLUS) for code, _, _ in pieces)


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
        return f"{tokens}, {price.source}"
    return f"{tokens}, ${price.of(asked, got):,.4f} by {price.source}"


def _rule(name: str, width: int) -> str:
    return f"── {name} ".ljust(min(width, 80), "─")


def _wrapped(text: str, width: int) -> list[str]:
    return [part for line in harmless(text.strip()).split("\n") for part in (wrap(line, width) or [""])]
