"""The law: one run identity defines one sequence of rows, and every stop takes a prefix of it.

A writer in this process answers as a function of (lane, occurrence, request), after random waits; what is tested is
that nothing but the identity shows in the rows.
"""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import ClassVar

import pytest
from law import NoModel, Writer, identity, run, run_told
from quick import slow_but

from llm_created import Identity, Journal, Reason, Reply, Request, Row, RunFailed, StoppedShort, Task, Usage
from llm_created.clients.prices import Price
from llm_created.creation.budget import Budget
from llm_created.creation.loop import create
from llm_created.creation.progress import Tally
from llm_created.errors import RequestFailed, UsageError
from llm_created.methods.roots import Roots
from llm_created.runs.identity import SELF_REFERENCE, STRATEGIES

SEVERAL = [
    {"question": f"Where is thing {at} sold?", "options": ["bakery", "bank", f"zoo {at}"], "answer": "bakery"}
    for at in range(5)
]


# Methods grow, fail and arrive in any order in test_methods.py as well.
@pytest.mark.parametrize("strategy", slow_but(lambda name: name in SELF_REFERENCE, STRATEGIES))
def test_concurrency_and_order_of_arrival_do_not_show(strategy: str, tmp_path: Path) -> None:
    who = identity(strategy)
    one = run(tmp_path / "one", who, Writer(), 300, concurrency=1)
    many = run(tmp_path / "many", who, Writer(wait=0.02), 300, concurrency=64)
    failing = run(tmp_path / "failing", who, Writer(wait=0.005, fail=0.02), 300, concurrency=16)
    assert len(one) == 300
    assert one == many
    # A request that failed twice ends the run, resumable: what there is is a prefix.
    assert failing == one[: len(failing)]


def test_every_strategy_has_its_own_rows_and_the_seed_counts_where_it_draws(tmp_path: Path) -> None:
    rows = {name: run(tmp_path / name, identity(name), Writer(), 60) for name in SELF_REFERENCE}
    assert len({tuple(lines) for lines in rows.values()}) == len(SELF_REFERENCE)
    for name in ("random", "tree"):
        assert run(tmp_path / f"{name}-7", identity(name, seed=7), Writer(), 60) != rows[name]
    assert run(tmp_path / "chains", identity("random", chains=3), Writer(), 60) != rows["random"]


@pytest.mark.parametrize("strategy", slow_but(lambda name: name in ("random", "tree"), STRATEGIES))
def test_growing_keeps_the_rows_and_buys_the_difference(strategy: str, tmp_path: Path) -> None:
    who = identity(strategy)
    first, second, whole = Writer(wait=0.01), Writer(wait=0.01), Writer()
    small = run(tmp_path / "grown", who, first, 300, concurrency=8)
    grown = run(tmp_path / "grown", who, second, 900, concurrency=64)
    assert grown[:300] == small
    assert grown == run(tmp_path / "whole", who, whole, 900, concurrency=3)
    assert not set(first.calls) & set(second.calls)
    assert len(grown) == 900
    # A smaller number later is the shorter prefix, and costs nothing.
    third = Writer()
    assert run(tmp_path / "grown", who, third, 150, similarity=NoModel("none")) == small[:150]
    assert run(tmp_path / "grown", who, third, 900, similarity=NoModel("none")) == grown
    assert third.calls == []


@pytest.mark.parametrize("strategy", SELF_REFERENCE)
def test_with_every_answer_good_no_call_is_made_in_vain(strategy: str, tmp_path: Path) -> None:
    writer = Writer(wait=0.01, good=True)
    assert len(run(tmp_path, identity(strategy, chains=64), writer, 1000, concurrency=64)) == 1000
    assert len(writer.calls) == 200
    assert writer.peak > 32


def test_with_a_measured_yield_as_many_calls_as_it_justifies(tmp_path: Path) -> None:
    alone = Writer()
    run(tmp_path / "alone", identity("naive"), alone, 500, concurrency=1)
    many = Writer(wait=0.01)
    run(tmp_path / "many", identity("naive"), many, 500, concurrency=64)
    # One at a time nothing is asked ahead; 64 at a time the last few are asked by the yield measured so far.
    assert len(alone.calls) <= len(many.calls) <= len(alone.calls) + 3


def test_a_chain_runs_at_most_two_rounds_ahead_of_the_merge(tmp_path: Path) -> None:
    class Stuck(Writer):
        ahead = 0
        release = asyncio.Event()

        async def complete(self, request: Request) -> Reply:
            if request.lane == 0:
                for _ in range(200):  # long enough for the others to run as far as they may
                    await asyncio.sleep(0)
                    await asyncio.sleep(0.0005)
                return await super().complete(request)
            done = len([call for call in self.calls if call[0] == request.lane])
            slow = len([call for call in self.calls if call[0] == 0])
            self.ahead = max(self.ahead, done - slow)
            return await super().complete(request)

    writer = Stuck(good=True)
    run(tmp_path, identity("random", chains=4), writer, 60, concurrency=16)
    assert writer.ahead == 1  # chain 0 is in round r: the others have at most r + 1 behind them when they ask


@pytest.mark.parametrize("strategy", SELF_REFERENCE)
def test_a_stricter_frontier_check_buys_only_what_it_must(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A call of `pool` goes back to as many rows as it shows that were accepted: beside a person's few, to one.
    who = identity(strategy, more_examples=SEVERAL[:4] if strategy == "pool" else ())
    first = Writer()
    before = run(tmp_path / "run", who, first, 400)
    read = Task.read

    def stricter(self: Task, piece: object) -> Row | Reason:
        row = read(self, piece)
        if isinstance(row, Row) and row.id.startswith("0"):
            return Reason("unlucky")
        return row

    monkeypatch.setattr(Task, "read", stricter)
    told: list[int] = []
    second = Writer(wait=0.005)
    after = run(tmp_path / "run", who, second, 400, before_buying=lambda calls, messages: told.append(calls))
    assert len(after) == 400
    assert not [line for line in after if json.loads(line)["id"].startswith("0")]
    assert not set(first.calls) & set(second.calls), "nothing is bought twice"
    assert len(second.calls) < len(first.calls) / 2
    assert len(told) == 1, "how much will be bought is said before it is"
    # Calls of `pool` that are journaled stand behind the first that is not: what is said is the most it can be.
    most = len(first.calls) if strategy == "pool" else 3 * len(second.calls) + 3
    assert 0.3 * len(second.calls) <= told[0] <= most
    # A fresh run under the stricter check has the same rows.
    assert after == run(tmp_path / "fresh", who, Writer(), 400, concurrency=5)
    if strategy == "naive":
        survivors = [line for line in before if not json.loads(line)["id"].startswith("0")]
        assert after[: len(survivors)] == survivors


def test_removing_one_row_leaves_the_others_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a level of the tree the order is drawn by hash: one row less moves no other."""
    who = identity("tree")
    before = [json.loads(line) for line in run(tmp_path / "a", who, Writer(), 400)]
    level = [row["parent_id"] for row in before if row["depth"] == 3]
    parents = list(dict.fromkeys(level))
    gone = parents[2]
    read = Task.read
    monkeypatch.setattr(
        Task,
        "read",
        lambda self, piece: Reason("gone") if getattr(row := read(self, piece), "id", "") == gone else row,
    )
    after = [json.loads(line) for line in run(tmp_path / "b", who, Writer(), 400)]
    left = list(dict.fromkeys(row["parent_id"] for row in after if row["depth"] == 3))
    assert left == [parent for parent in parents if parent != gone][: len(left)]


@pytest.mark.parametrize("strategy", slow_but(lambda name: name in ("random", "tree", "attrprompt"), STRATEGIES))
def test_emission_checks_change_nothing_that_is_asked(strategy: str, tmp_path: Path) -> None:
    who = identity(strategy)
    plain = run(tmp_path / "plain", who, Writer(), 500)

    def odd(row: Row) -> Reason | None:
        return Reason("filter", "odd") if int(row.id, 16) % 2 else None

    kept = [line for line in plain if not int(json.loads(line)["id"], 16) % 2]
    free = Writer()
    assert run(tmp_path / "plain", who, free, len(kept) - 20, checks=[odd]) == kept[:-20]
    assert free.calls == [], "adding a check to a finished run buys nothing"
    more = run(tmp_path / "plain", who, Writer(), 500, checks=[odd])
    assert more[: len(kept)] == kept


@pytest.mark.parametrize("strategy", SELF_REFERENCE)
def test_a_cap_stops_at_a_prefix_and_a_larger_one_goes_on(strategy: str, tmp_path: Path) -> None:
    who = identity(strategy)
    whole = run(tmp_path / "whole", who, Writer(), 300)
    spent = 0
    lines: list[str] = []
    for cap in (4_000, 9_000, 60_000):
        writer = Writer(wait=0.01)
        with Journal(tmp_path / "capped", who.as_json) as journal:
            before = journal.spent()
        budget = Budget(max_tokens_total=cap, spent=before)
        lines, error = run_told(tmp_path / "capped", who, writer, 300, concurrency=32, budget=budget)
        spent += 300 * len(writer.calls)
        assert spent <= cap
        assert lines == whole[: len(lines)]
        if cap < 60_000:
            assert isinstance(error, StoppedShort) and "`max_tokens_total`" in str(error)
            assert spent > cap - 3_000, "it stops near the cap, not long before"
    assert lines == whole


def test_caps_in_dollars_and_calls(tmp_path: Path) -> None:
    who = identity("naive")
    writer = Writer()
    price = Price(1.0, 2.0)  # a call of 100 + 200 tokens costs 0.0005 dollars
    lines, error = run_told(tmp_path / "a", who, writer, 900, budget=Budget(max_cost=0.01, price=price))
    assert isinstance(error, StoppedShort) and "`max_cost` 0.01" in str(error)
    assert 15 <= len(writer.calls) <= 20
    writer = Writer()
    lines, error = run_told(tmp_path / "b", who, writer, 900, budget=Budget(max_calls=7))
    assert isinstance(error, StoppedShort) and "`max_calls` 7" in str(error)
    assert len(writer.calls) == 7
    assert lines == run(tmp_path / "a", who, Writer(), len(lines))


def test_a_failed_request_blocks_the_merge_and_is_never_baked_in(tmp_path: Path) -> None:
    class Down(Writer):
        async def complete(self, request: Request) -> Reply:
            if request.occurrence == 5:
                raise RequestFailed("cannot get an answer from http://there: Connection refused")
            return await super().complete(request)

    who = identity("naive")
    lines, error = run_told(tmp_path / "run", who, Down(), 300, concurrency=8)
    assert isinstance(error, RunFailed) and "Connection refused" in str(error) and "same command" in str(error)
    assert lines == run(tmp_path / "whole", who, Writer(), 300)[: len(lines)]
    assert 0 < len(lines) < 30
    again = Writer()
    assert len(run(tmp_path / "run", who, again, 300)) == 300
    assert len([call for call in again.calls if call[2] == 5]) == 1


def test_patience_ends_a_run_that_gives_nothing(tmp_path: Path) -> None:
    class Useless(Writer):
        def _piece(self, drawn: random.Random) -> str:
            return "I am sorry, but I prefer to talk about the weather."

    writer = Useless(wait=0.005)
    lines, error = run_told(tmp_path, identity("tree"), writer, 100, patience=6, concurrency=32)
    assert lines == []
    assert isinstance(error, StoppedShort)
    assert "6 turns" in str(error) and "not_json" in str(error) and "the weather" in str(error)


def test_a_level_that_gives_nothing_is_asked_again(tmp_path: Path) -> None:
    class Moody(Writer):
        def _piece(self, drawn: random.Random) -> str:
            return super()._piece(drawn)

        async def complete(self, request: Request) -> Reply:
            reply = await super().complete(request)
            return reply if request.occurrence == 2 else Reply("", Usage(1, 1), "refusal")

    writer = Moody(good=True)
    lines = run(tmp_path, identity("tree"), writer, 12, patience=20)
    assert len(lines) == 12
    assert [call[2] for call in writer.calls[:3]] == [0, 1, 2]


def test_a_barren_chain_goes_back_to_the_seed_example(tmp_path: Path) -> None:
    class Dry(Writer):
        """Good on the seed example, nothing on any other."""

        async def complete(self, request: Request) -> Reply:
            reply = await super().complete(request)
            return reply if "bakery" in request.messages[1]["content"] else Reply("", Usage(1, 1), "refusal")

    writer = Dry(good=True)
    assert len(run(tmp_path, identity("random", chains=2), writer, 40, patience=20)) == 40
    lanes = [call for call in writer.calls if call[0] == 0]
    assert [occurrence for _, _, occurrence in lanes[:5]] == [0, 0, 1, 2, 1]


def test_the_seed_example_is_never_a_row(tmp_path: Path) -> None:
    class Parrot(Writer):
        async def complete(self, request: Request) -> Reply:
            reply = await super().complete(request)
            return reply._replace(text=f"{request.messages[1]['content']}\n{reply.text}")

    tally = Tally()
    lines = run(tmp_path, identity("tree"), Parrot(good=True), 100, tally=tally)
    assert len({json.loads(line)["id"] for line in lines}) == 100
    assert identity("tree").seed_row.id not in {json.loads(line)["id"] for line in lines}
    assert tally.reasons["duplicate"] > 10


def test_rows_carry_their_parent_and_depth(tmp_path: Path) -> None:
    seed = identity("tree").seed_row
    rows = {row["id"]: row for row in map(json.loads, run(tmp_path, identity("tree"), Writer(), 200))}
    for row in rows.values():
        depth = 0 if row["parent_id"] == seed.id else rows[row["parent_id"]]["depth"]
        assert row["depth"] == depth + 1


def test_what_is_paid_for_is_kept_when_the_consumer_leaves(tmp_path: Path) -> None:
    who = identity("naive")
    writer = Writer(wait=0.01)

    async def leave_early() -> None:
        with Journal(tmp_path, who.as_json) as journal:
            rows = create(who, writer, journal, 1000, concurrency=16)
            async for _ in rows:
                break
            await rows.aclose()
            assert journal.num_replies() == len(writer.calls)

    asyncio.run(leave_early())
    assert len(writer.calls) <= 8 * 16, "1000 rows are 220 calls"


def test_stop_takes_in_what_is_in_flight(tmp_path: Path) -> None:
    who = identity("naive")
    writer = Writer(wait=0.02)

    async def stopped() -> tuple[int, str]:
        stop, count = asyncio.Event(), 0
        with Journal(tmp_path, who.as_json) as journal:
            try:
                async for _ in create(who, writer, journal, 5000, concurrency=16, stop=stop):
                    count += 1
                    if count == 50:
                        stop.set()
            except StoppedShort as error:
                assert journal.num_replies() == len(writer.calls)
                return count, str(error)
        raise AssertionError("it must stop")

    count, said = asyncio.run(stopped())
    assert 50 <= count < 400 and "interrupted" in said
    assert run(tmp_path, who, Writer(), count) == run(tmp_path / "whole", who, Writer(), count)


def test_identity_is_what_decides_and_nothing_else() -> None:
    base = identity("random")
    assert base.digest == identity("random").digest
    for name, other in (("chains", 9), ("num_examples", 4), ("temperature", 0.5), ("top_p", 0.5), ("seed", 1)):
        assert identity("random", **{name: other}).digest != base.digest, name
    # Chains and the embedding model count only where they are used.
    assert identity("tree", chains=3).digest == identity("tree").digest
    assert identity("random", embedding_model="x").digest == base.digest
    assert identity("similar", embedding_model="x").digest != identity("similar").digest
    assert identity("diverse").digest == identity("contrastive").digest


def test_requests_that_fail_now_and_then_never_end_a_run(tmp_path: Path) -> None:
    """Each gets its second chance, also the tenth in a row of blockages; only one that fails twice ends the run."""

    refused: set[str] = set()

    class Moody(Writer):
        async def complete(self, request: Request) -> Reply:
            if request.occurrence % 7 == 3 and request.id not in refused:
                refused.add(request.id)
                raise RequestFailed("not now")
            return await super().complete(request)

    who = identity("naive")
    rows = run(tmp_path / "moody", who, Moody(), 300, concurrency=2)
    assert rows == run(tmp_path / "calm", who, Writer(), 300)


@pytest.mark.parametrize("strategy", SELF_REFERENCE)
def test_several_examples_are_roots_and_the_law_holds(strategy: str, tmp_path: Path) -> None:
    who = identity(strategy, more_examples=SEVERAL, chains=3)
    seeds = {row.id for row in who.seed_rows}

    class Parrot(Writer):
        """Gives back what it is shown, and new rows beside it."""

        shown: ClassVar[list[str]] = []

        async def complete(self, request: Request) -> Reply:
            reply = await super().complete(request)
            self.shown.append(request.messages[1]["content"])
            other = json.dumps(SEVERAL[request.occurrence % 5])
            return reply._replace(text=f"{other}\n{reply.text}")

    one = run(tmp_path / "one", who, Parrot(), 120, concurrency=1)
    assert one == run(tmp_path / "many", who, Parrot(wait=0.01), 120, concurrency=50)
    first = Writer(wait=0.01)
    grown = run(tmp_path / "grown", who, first, 60, concurrency=8)
    assert run(tmp_path / "grown", who, second := Writer(), 150, concurrency=32)[:60] == grown
    assert not set(first.calls) & set(second.calls)
    rows = [json.loads(line) for line in one]
    assert not seeds & {row["id"] for row in rows}
    assert {row["parent_id"] for row in rows if row["depth"] == 1} == seeds or strategy == "pool"
    begun = "".join(Parrot.shown[:12])
    assert all(example["question"] in begun for example in SEVERAL), "all of them are shown first"
    Parrot.shown.clear()


def test_examples_are_part_of_a_run_in_their_order_and_one_alone_changes_nothing() -> None:
    one, several = identity("tree"), identity("tree", more_examples=SEVERAL)
    assert one.digest == identity("tree", more_examples=[]).digest and "more_examples" not in one.as_json
    others = {identity("tree", more_examples=more).digest for more in (SEVERAL[:4], SEVERAL[::-1])}
    assert len(others | {one.digest, several.digest}) == 4
    assert identity("targen", more_examples=SEVERAL).digest == identity("targen").digest
    with pytest.raises(UsageError, match="two formatting examples have the same inputs"):
        _ = identity("tree", more_examples=[SEVERAL[0], SEVERAL[0]]).digest
    many = [SEVERAL[0] | {"question": str(at)} for at in range(1000)]
    with pytest.raises(UsageError, match=r"1,001 formatting examples are too many, 1,000 are the most"):
        _ = identity("tree", more_examples=many).digest


def test_roots_are_even_over_the_labels_at_every_point() -> None:
    told = [{"text": f"t{at}", "label": label} for at, label in enumerate("aaaaabbc")]
    task = Task("tone", ("text",), "label", labels=("a", "b", "c"))
    roots = Roots(Identity(task, told[0], "m", "Write.", "naive", more_examples=told[1:]))
    assert [row.options[row.answer] for row in roots.once()] == list("abcabaaa")
    assert [roots.at(at).inputs[0] for at in range(9)] == ["t0", "t5", "t7", "t1", "t6", "t7", "t2", "t5", "t7"]
