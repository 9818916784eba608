"""One table of settings: what each door, card and error says of a setting comes from where it is declared."""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

import pytest

import llm_created
from llm_created import UsageError, load_dataset
from llm_created.cli.main import main, parser
from llm_created.hub import strangers
from llm_created.reports.describe import checks_said
from llm_created.runs.knobs import EMISSION, IDENTITY, STOP, TRANSPORT
from llm_created.runs.settings import KNOBS, Settings

LIBRARY = Path(llm_created.__file__).parent
# They print commands, which are the command line's, or start other programs.
OF_COMMANDS = {
    "clients/server.py",
    "reports/describe.py",
    "reports/terminal.py",
    "analysis/funnel.py",
    "utils/console.py",
}


def action(command: str, name: str) -> argparse.Action | None:
    return next((one for one in parser()[1][command]._actions if one.dest == name), None)


@pytest.mark.parametrize("name", KNOBS)
def test_every_setting_is_said_at_every_door(name: str) -> None:
    one = KNOBS[name]
    assert one.kind in (IDENTITY, EMISSION, TRANSPORT, STOP) and one.help and not one.help.endswith(".")
    for text in (load_dataset.__doc__, Settings.__doc__):
        assert len(re.findall(rf"^ +{name} \(`.*{re.escape(one.help)}\.$", text or "", re.M)) == 1
    flag = action("create", name)
    assert (flag is None) == one.python
    if flag is not None:
        # What is not given is told from what is: only the table knows what holds then.
        assert one.option in flag.option_strings and flag.default is None and flag.help.startswith(one.help)
        assert (str(one.stands_for) in flag.help) or one.stands_for in (None, False, 0)


def test_what_others_list_of_settings_is_the_table() -> None:
    emission = {name for name, one in KNOBS.items() if one.kind == EMISSION}
    assert set(strangers._CHECKS) == emission | {"embedding_model"}
    said = checks_said({name: KNOBS[name].choices[-1] if KNOBS[name].choices else 1 for name in emission})
    assert [card for card, _ in said] == [one.card for one in KNOBS.values() if one.card]
    assert not any("{" in what for _, what in said)


@pytest.mark.parametrize(
    ("given", "keyword", "flag"),
    [
        ({"num_rows": 0}, "`num_rows` must be at least 1, not 0", "-n must be at least 1, not 0"),
        ({"top_p": 0.0}, "`top_p` must be above 0 and at most 1, not 0.0", "--top-p must be above 0"),
        ({"timeout": -1.0}, "`timeout` must be a number above 0, not -1.0", "--timeout must be a number above 0"),
        ({"verify": 101}, "`verify` must be from 0 to 100, or likelihood, not 101", "--verify must be from 0 to 100"),
        ({"chains": 3, "paper": True}, "`paper=True` sets `chains` 1: leave out 3", "--paper sets --chains 1"),
        ({"max_cost": 1.0}, "give `price` IN,OUT", "give --price IN,OUT"),
        ({"near_duplicates": 2.0}, "`near_duplicates` must be above 0 and", "--near-duplicates must be above 0 and"),
        ({"balance": "hold"}, "`balance` evens out fixed labels", "--balance evens out fixed labels"),
    ],
    ids=str,
)
def test_an_error_speaks_as_its_door_does(
    given: dict[str, object], keyword: str, flag: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-of-settings")
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path))
    how = {"model": "none-that-has-a-price", "base_url": "http://127.0.0.1:9/v1"} | given
    with pytest.raises(UsageError) as caught:
        load_dataset("csqa", "random", cache_dir=str(tmp_path), **how)
    assert keyword in str(caught.value) and "--" not in str(caught.value)
    words = [word for name, value in how.items() for word in _words(name, value)]
    assert main(["create", "csqa", "--strategy", "random", "--out", str(tmp_path / "out"), *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert flag in said and "`" not in said


def _words(name: str, value: object) -> list[str]:
    return [KNOBS[name].option] + ([] if value is True else [str(value)])


@pytest.mark.parametrize("wrong", [{"num_rows": "ten"}, {"seed": True}, {"temperature": "hot"}, {"paper": 1}], ids=str)
def test_a_value_of_another_type_is_an_error_that_names_it(wrong: dict[str, object]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(UsageError, match=f"`{name}` must be an? .*, not {value!r}"):
        Settings(model="demo", **wrong).check()  # type: ignore[arg-type]


def test_nothing_below_the_command_line_speaks_of_flags() -> None:
    found = []
    for path in LIBRARY.rglob("*.py"):
        name = path.relative_to(LIBRARY).as_posix()
        if name.startswith("cli/") or name in OF_COMMANDS:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                ours = node.value.replace("pip install --no-deps", "")
                found += [f"{name}:{node.lineno}: {flag}" for flag in re.findall(r"(?<!\S)--[a-z][a-z-]*", ours)]
    assert not found, found


def test_nothing_below_the_command_line_knows_its_arguments() -> None:
    knowing = [
        path.relative_to(LIBRARY).as_posix()
        for path in LIBRARY.rglob("*.py")
        if re.search(r"argparse\.Namespace|\bargs\.\w+", path.read_text("utf-8"))
    ]
    assert all(name.startswith("cli/") for name in knowing), knowing
