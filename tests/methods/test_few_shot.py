"""The strategy `pool`: which examples a call shows, and that nothing but what was committed long before decides it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from law import TASK, Writer, identity, run

from llm_created import Identity, Reason, Reply, Request, Row, Task, UsageError
from llm_created.methods.choose import strategy
from llm_created.methods.few_shot import block_of, start_of
from llm_created.methods.pool import Pool
from llm_created.prompts.examples import instruction, objects

SEVERAL = [
    {"question": f"Where is thing {at} sold?", "options": ["bakery", "bank", f"zoo {at}"], "answer": "bakery"}
    for at in range(9)
]


class Watched(Writer):
    """Notes which questions each call shows."""

    def __init__(self) -> None:
        super().__init__(good=True)
        self.shown: list[list[str]] = []

    async def complete(self, request: Request) -> Reply:
        content = request.messages[1]["content"]
        self.shown.append([str(one["question"]) for one in objects(content) if not isinstance(one, Reason)])
        return await super().complete(request)


def test_blocks_are_short_at_first() -> None:
    assert [start_of(block) for block in range(9)] == [0, 4, 8, 16, 32, 64, 128, 192, 256]
    for position in range(300):
        block = block_of(position)
        assert start_of(block) <= position < start_of(block + 1)


def test_a_call_shows_a_persons_examples_and_accepted_rows(tmp_path: Path) -> None:
    who, writer = identity("pool", more_examples=SEVERAL), Watched()
    rows = [json.loads(line) for line in run(tmp_path, who, writer, 300, concurrency=1)]
    own = {row.inputs[0] for row in who.seed_rows}
    assert all(len(shown) == len(set(shown)) == 4 for shown in writer.shown)
    assert all(set(shown) <= own for shown in writer.shown[:8]), "nothing is there to be shown yet"
    at = {row["question"]: number // 5 for number, row in enumerate(rows)}
    for position, shown in enumerate(writer.shown[8:], 8):
        accepted = [question for question in shown if question not in own]
        assert len(accepted) == 1
        assert at[accepted[0]] < start_of(block_of(position) - 1), "only what was committed before the block before"
    assert len({question for shown in writer.shown for question in shown} & own) == len(own)


def test_one_example_is_shown_in_each_call_with_accepted_rows(tmp_path: Path) -> None:
    who, writer = identity("pool", shown=3), Watched()
    rows = [json.loads(line) for line in run(tmp_path, who, writer, 150, concurrency=1)]
    assert all(who.seed_row.inputs[0] in shown for shown in writer.shown)
    assert [len(shown) for shown in writer.shown] == [1] * 8 + [3] * 22
    by_id = {row["id"]: row for row in rows}
    for row in rows:
        parent = by_id.get(row["parent_id"])
        assert row["depth"] == (1 if parent is None else parent["depth"] + 1)
    assert max(row["depth"] for row in rows) > 1


def test_a_row_less_moves_few_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = Watched(), Watched()
    first = [json.loads(line) for line in run(tmp_path / "a", identity("pool"), before, 300, concurrency=1)]
    read = Task.read

    def stricter(self: Task, piece: object) -> Row | Reason:
        row = read(self, piece)
        return Reason("gone") if getattr(row, "id", "") == first[7]["id"] else row

    monkeypatch.setattr(Task, "read", stricter)
    run(tmp_path / "b", identity("pool"), after, 300, concurrency=1)
    same = sum(one == two for one, two in zip(before.shown, after.shown, strict=False))
    assert same > 0.7 * len(before.shown)


def test_labels_stand_in_prompts_evenly() -> None:
    told = [{"text": f"text {at}", "label": "ab"[at > 36]} for at in range(40)]
    task = Task("tone", ("text",), "label", labels=("a", "b"))
    who = Identity(task, told[0], "m", instruction(task, 5, several=True), "pool", more_examples=told[1:])
    plan, labels, texts = strategy(who, Pool()), [0, 0], set()
    for position in range(8):
        turn = plan.next()
        assert turn is not None and turn.example is not None
        for row in (turn.example, *turn.beside):
            labels[row.answer] += 1
            texts.add(row.inputs)
        plan.start(turn)
        plan.committed(turn, [])
        assert turn.position == position
    assert sum(labels) == 32 and abs(labels[0] - labels[1]) <= 2 and len(texts) > 12


def test_shown_is_of_pool_alone() -> None:
    assert identity("tree", shown=9).digest == identity("tree").digest
    assert identity("pool", shown=9).digest != identity("pool").digest
    with pytest.raises(UsageError, match="`shown` must be from 2 to 32, not 1"):
        identity("pool", shown=1)
    assert "examples provided" in instruction(TASK, 5, several=True)
    assert "example provided" not in instruction(TASK, 5, several=True, balance=True)
