"""Fields that are no inputs: written with a row, kept as columns, and seen by nobody who judges or learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from law import Writer, run

from llm_created import Identity, Reason, Row, Task, UsageError
from llm_created.checks.judge import Judge
from llm_created.cli.main import main
from llm_created.creation import define
from llm_created.data.columns import Columns
from llm_created.data.examples import read_labelled
from llm_created.data.sources import load
from llm_created.prompts.examples import instruction, read
from llm_created.prompts.schemas import of_rows

EXAMPLE = {"text": "The film was a joy.", "tone": "warm", "explanation": "It says joy.", "difficulty": 2}
TASK = Task.from_example(EXAMPLE, labels=("warm", "cold"), aside=("explanation", "difficulty"))


def test_they_are_fields_of_a_row_and_of_nothing_else() -> None:
    assert TASK.inputs == ("text",) and TASK.answer == "tone"
    assert TASK.fields == ("options", "tone", "text", "explanation", "difficulty")
    row = TASK.read(EXAMPLE)
    assert isinstance(row, Row)
    assert row.inputs == ("The film was a joy.",) and row.aside == ("It says joy.", "2")
    other = TASK.read(EXAMPLE | {"explanation": "Another one."})
    assert isinstance(other, Row) and (other.key, other.id) == (row.key, row.id)
    record = TASK.record(row)
    assert list(record) == list(TASK.features) and record["explanation"] == "It says joy."
    assert TASK.features["difficulty"].dtype == "string"
    assert Task.from_json(json.loads(json.dumps(TASK.to_json()))) == TASK


def test_a_task_without_them_is_what_it_was() -> None:
    plain = Task("tone", ("text",), "tone", labels=("warm", "cold"))
    assert "aside" not in plain.to_json()
    one, two = (Identity(task, EXAMPLE, "m", "Write.") for task in (TASK, plain))
    assert one.digest != two.digest and one.as_json["example"]["difficulty"] == "2"


def test_a_model_is_asked_for_them_and_a_row_without_is_none() -> None:
    assert '"tone", "text", "explanation", "difficulty" in this order' in instruction(TASK, 5)
    schema = of_rows(TASK, 1)["json_schema"]["schema"]
    assert schema["required"][-2:] == ["explanation", "difficulty"]
    lacking = json.dumps({"text": "A dull film.", "tone": "cold", "explanation": "dull"})
    assert read(TASK, lacking) == [Reason("missing_field", "difficulty")]
    # People's rows need none: they are there to train on and to score on.
    row = TASK.read(json.loads(lacking))
    assert isinstance(row, Row) and row.aside == ("dull", "")


@pytest.mark.parametrize("kind", ["verify", "think", "self_correct"])
def test_no_judge_sees_them(kind: str) -> None:
    row = TASK.seed_row(EXAMPLE)
    asked = Judge(TASK, kind, 1, "drop", shots=[row]).ask(row, 0)
    assert "It says joy." not in json.dumps(asked.messages)


def test_the_law_holds_with_them(tmp_path: Path) -> None:
    class Explains(Writer):
        """The same rows at every place, with explanations of their own."""

        def _piece(self, drawn: Any) -> str:
            number = drawn.randrange(150)
            told = {"text": f"Film number {number} it was.", "tone": ("warm", "cold")[number % 2]}
            return json.dumps(told | {"explanation": f"because {drawn.random()}", "difficulty": number % 3})

    def who(strategy: str) -> Identity:
        return Identity(TASK, EXAMPLE, "m", instruction(TASK, 5), strategy)

    for strategy in ("tree", "pool"):
        one = run(tmp_path / f"{strategy}-1", who(strategy), Explains(), 100, concurrency=1)
        many = run(tmp_path / f"{strategy}-2", who(strategy), Explains(wait=0.01), 100, concurrency=50)
        assert one == many and len({json.loads(line)["text"] for line in one}) == 100


def test_columns_of_a_file_and_of_the_rows_that_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [EXAMPLE, EXAMPLE | {"text": "Two hours I want back.", "tone": "cold"}]
    Path("mine.jsonl").write_text("\n".join(map(json.dumps, [*rows, EXAMPLE | {"text": "c", "explanation": ""}])))
    found = read_labelled("mine.jsonl", Columns(answer="tone", aside=("explanation", "difficulty")))
    assert found.task.inputs == ("text",) and "empty_field 'explanation': row 3" in found.said[1]
    line = ["create", "--example", "mine.jsonl", "--label", "tone", "--model", "demo", "-n", "20", "--out", "out"]
    assert main(line) == 0
    assert "'explanation' is an input, and may give the answer away" in capsys.readouterr().err
    assert main([*line[:-1], "kept", "--aside", "explanation,difficulty"]) == 0
    assert "give the answer away" not in capsys.readouterr().err
    made = load("kept")
    assert len(made.rows) == 20 and all(row.aside[0] and len(row.inputs) == 1 for row in made.rows)


def test_what_is_no_key_is_said() -> None:
    with pytest.raises(UsageError, match="`aside` 'why' is not a key of the example"):
        Task.from_example(EXAMPLE, labels=("warm", "cold"), aside=("why",))
    with pytest.raises(UsageError, match="`aside` 'explanation' of the formatting example is empty"):
        Task.from_example(EXAMPLE | {"explanation": ""}, labels=("warm", "cold"), aside=("explanation",))
    with pytest.raises(UsageError, match="fields must be named and differ"):
        Task("tone", ("text",), "tone", labels=("warm", "cold"), aside=("text",))
    assert define.leaking(Task("t", ("text", "Rationale"), labels=("a", "b"))) and not define.leaking(TASK)
