"""Lists that models wrote: every way of writing one reads back the same, and anything gives values or a reason."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_created.prompts.lists import MAX_VALUE, read_list
from llm_created.tasks.task import Reason
from llm_created.utils.text import clean, fold

SPORTS = ["Golf", "Ice hockey", "3D archery", "Formula 1: cars on a track"]

# Three or more values, different however they are spelled; a name may have digits, brackets, an explanation.
WORD = st.from_regex(r"[a-zé0-9][a-z'&()+/é0-9]{0,8}", fullmatch=True)
NAME = st.tuples(st.from_regex(r"[B-GJ-NP-RT-Z][a-zà-ö]{1,9}", fullmatch=True), st.lists(WORD, max_size=4))
EXPLAINED = st.tuples(
    NAME.map(lambda parts: " ".join([parts[0], *parts[1]])), st.sampled_from(["", ": a b c", " - d e"])
)
VALUES = st.lists(EXPLAINED.map("".join), min_size=3, max_size=12, unique_by=fold)


def lines(mark: Callable[[int], str], around: str = "{}") -> Callable[[list[str]], str]:
    return lambda values: "\n".join(mark(at) + around.format(value) for at, value in enumerate(values, 1))


def in_bold(values: list[str]) -> str:
    """`**Golf**: a game`, the way chat models like it."""
    return "\n".join("- **" + value.replace(": ", "**: ", 1) + ("" if ": " in value else "**") for value in values)


STYLES: dict[str, Callable[[list[str]], str]] = {
    "1.": lines(lambda at: f"{at}. "),
    "1.x": lines(lambda at: f"{at}.", around=" {}"),
    "1)": lines(lambda at: f"{at}) "),
    "(1)": lines(lambda at: f"({at}) "),
    "[1]": lines(lambda at: f"[{at}] "),
    "1:": lines(lambda at: f"{at}: "),
    "1 -": lines(lambda at: f"{at} - "),
    "a gap": lines(lambda at: f"{2 * at + at % 3}. "),
    "all ones": lines(lambda at: "1. "),
    "right-aligned": lines(lambda at: f"{at:>3}. "),
    "heading": lines(lambda at: f"### {at}. "),
    "bold number": lines(lambda at: f"**{at}. ", around="{}**"),
    "-": lines(lambda at: "- "),
    "-x": lines(lambda at: "-", around=" {}"),
    "*": lines(lambda at: "* "),
    "+": lines(lambda at: "+ "),
    "•": lines(lambda at: "• "),
    "indented": lines(lambda at: "   - "),
    "ticked": lines(lambda at: "- [x] "),
    "bare": lines(lambda at: ""),
    "padded": lambda values: "\n\n" + "  \n\n".join(values) + " \n \n",
    "windows": lambda values: "\r\n".join(f"{at}. {value}  " for at, value in enumerate(values)),
    '"x"': lines(lambda at: "", around='"{}"'),
    "1. “x”": lines(lambda at: f"{at}. ", around="“{}”"),
    "- 'x',": lines(lambda at: "- ", around="`{}`,"),
    "bold": in_bold,
    "JSON": lambda values: json.dumps(values),
    "pretty JSON": lambda values: json.dumps(values, indent=2, ensure_ascii=False),
    "wrapped": lambda values: json.dumps({"values": values, "count": len(values)}),
    "as asked": lambda values: json.dumps({"items": values}),
    "as asked, pretty": lambda values: json.dumps({"items": values}, indent=1, ensure_ascii=False),
    "as asked, in a fence": lambda values: "Sure:\n```json\n" + json.dumps({"items": values}) + "\n```\nEnjoy!",
    "as asked, in a sentence": lambda values: f"I'm sorry for the wait, it is {json.dumps({'items': values})}. Enjoy!",
    "numbered object": lambda values: json.dumps([{"id": at, "name": value} for at, value in enumerate(values)]),
    "fence": lambda values: "```\n" + "\n".join(values) + "\n```",
    "JSON in a fence": lambda values: "Of course:\n```json\n" + json.dumps(values) + "\n```\nLet me know!",
    "a sentence around": lambda values: "Here are they:\n\n" + "\n".join(values) + "\n\nI hope this helps!",
    "prose around": lambda values: "Sure! Here they are.\n\n* " + "\n* ".join(values) + "\n\nThere are many more",
    "after thinking": lambda values: "<think>\n- no\n- or\n- yes\n</think>\n\n" + "\n".join(values),
}


@given(values=VALUES)
def test_a_list_reads_back_the_same_in_every_style(values: list[str]) -> None:
    for style, render in STYLES.items():
        assert read_list(render(values)) == values, style


@given(values=VALUES, at=st.integers(0, 2**16), indent=st.sampled_from([None, 1]), bare=st.booleans())
def test_of_a_list_that_is_cut_off_the_whole_items_are_read(
    values: list[str], at: int, indent: int | None, bare: bool
) -> None:
    asked: Any = values if bare else {"items": values}
    whole = json.dumps(asked, indent=indent)
    ends = [whole.index(json.dumps(value)) + len(json.dumps(value)) for value in values]
    cut = ends[0] + 1 + at % (len(whole) - ends[0])
    assert read_list(whole[:cut]) == values[: sum(end <= cut for end in ends)]


@given(values=st.lists(NAME.map(lambda parts: " ".join([parts[0], *parts[1]])), min_size=3, unique_by=fold))
def test_a_line_with_commas_reads_back_the_same(values: list[str]) -> None:
    assert read_list(", ".join(values)) == read_list("; ".join(values) + ";") == values
    assert read_list("Sports: " + ", ".join(values) + ".") == values
    assert read_list(", ".join(values[:-1]) + f", and {values[-1]}") == values


PIECES = [
    "1. ",
    "- ",
    "* ",
    "**",
    "```",
    '"',
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "\n",
    "\n\n",
    "\r",
    "\t",
    "I'm sorry, ",
    "é",
]


@given(
    text=st.one_of(st.text(), st.lists(st.sampled_from(PIECES) | st.text(max_size=5)).map("".join)), most=st.just(7)
)
@settings(max_examples=3 * settings.default.max_examples)
def test_any_text_gives_values_or_a_reason(text: str, most: int) -> None:
    read = read_list(text, ["Golf", text[:20]], most)
    if isinstance(read, Reason):
        assert read.code in ("empty_reply", "refusal", "echo", "no_list")
        return
    assert 1 <= len(read) <= most and len({fold(value) for value in read}) == len(read)
    for value in read:
        assert value == " ".join(clean(value).split()) and 0 < len(value) <= MAX_VALUE


@pytest.mark.parametrize(
    "text, values",
    [
        ("Sports I like:\n1. Golf\n2. Tennis\n\nLet me know if you need more.", ["Golf", "Tennis"]),
        ("1. Golf\n   A game.\n   - on grass\n   - in the sun\n2. Tennis\n   Another game.", ["Golf", "Tennis"]),
        ("**Games:**\n- Golf\n- Tennis\n\n**Other games:**\n- Chess", ["Golf", "Tennis", "Chess"]),
        ("- Golf\n  - nine holes\n- Tennis\n  - on clay", ["Golf", "Tennis"]),
        ("1. Golf\n2. golf \n3. GOLF\n4. Tennis", ["Golf", "Tennis"]),
        ("3. Old coins\nNew coins\nFake coins\nRare ones", ["Old coins", "New coins", "Fake coins", "Rare ones"]),
        ("1984\n2001: A Space Odyssey\n3.5 weeks\n16:9", ["1984", "2001: A Space Odyssey", "3.5 weeks", "16:9"]),
        ("- 3D printing\n- -5 degrees\n- C++", ["3D printing", "-5 degrees", "C++"]),
        ('"1984" by George Orwell\n"Dune"\n', ['"1984" by George Orwell', "Dune"]),
        ("Sorry Not Sorry\nI Can't Help Falling in Love", ["Sorry Not Sorry", "I Can't Help Falling in Love"]),
        ("I can't name brands, but here are kinds:\n- Shoes\n- Hats", ["Shoes", "Hats"]),
        ('["Golf", "Tennis", "Ches', ["Golf", "Tennis"]),
        ('{"values": ["Golf", "Tennis", "Ches', ["Golf", "Tennis"]),
        ('{"Golf": "a game", "Tennis": "another"}', ["Golf: a game", "Tennis: another"]),
        ('[{"name": "Golf", "description": "a game"}, {"name": "Tennis"}]', ["Golf: a game", "Tennis"]),
        ("[30, 100]", ["30", "100"]),
        ("[1] Golf\n[2] Tennis", ["Golf", "Tennis"]),
        ("Go\x00lf\nTen\x1bnis\t \tballs\n\ud800x\n---\n🙂", ["Golf", "Tennis balls", "x"]),
        ("one\n" + MAX_VALUE * "a" + "\n" + (MAX_VALUE + 1) * "b", ["one", MAX_VALUE * "a"]),
        ("Immersion in games\n", ["Immersion in games"]),
        ("x**2 and y**3\nz**4", ["x**2 and y**3", "z**4"]),
    ],
)  # fmt: skip
def test_what_stands_around_and_within_values(text: str, values: list[str]) -> None:
    assert read_list(text) == values


@pytest.mark.parametrize(
    "text, code",
    [
        ("", "empty_reply"),
        (" \n\x00\n```\n```", "empty_reply"),
        ("<think>\n- Golf\n</think>\n", "empty_reply"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m unable to assist", "refusal"),
        ("As an AI language model, I have no experiences.\n\n1. Ask a person.\n2. Read a book.", "refusal"),
        ("\n**I cannot provide that.**\n", "refusal"),
        ("That depends on what you are looking for, and where you would like to look for it.", "no_list"),
        ("---\n***\n", "no_list"),
        ("[]", "no_list"),
        ('{"sport": ["Golf"], "world": ["War"]}', "no_list"),
        (3 * (MAX_VALUE * "a" + "a\n"), "no_list"),
    ],
)
def test_what_is_no_list_has_a_reason(text: str, code: str) -> None:
    read = read_list(text)
    assert isinstance(read, Reason) and read.code == code
    assert len(read.detail) <= 200 and "\n" not in read.detail


def test_a_list_given_back_is_an_echo() -> None:
    shown = ["gun_control", "gay_rights", "tv_show", *(f"class-{n}" for n in range(17))]
    again = "\n".join(f"- {name.replace('_', ' ').replace('-', ' ').title()}" for name in shown)
    echo = read_list(again, shown)
    assert isinstance(echo, Reason) and echo.code == "echo" and "20" in echo.detail
    nearly = read_list(again.replace("- Gun Control\n", "- Weapons\n"), shown)
    assert isinstance(nearly, Reason) and nearly.code == "echo", "one of twenty is another"
    assert len(read_list(again)) == 20, "nothing was shown"
    assert read_list("- Gun control\n- TV show", shown) == ["Gun control", "TV show"], "a choice from the list"
    assert len(read_list(again + "".join(f"\n- New {n}" for n in range(5)), shown)) == 25


def test_no_more_than_asked_for() -> None:
    assert read_list("\n".join(f"{n}. Value {n}" for n in range(1, 400))) == [f"Value {n}" for n in range(1, 101)]
    assert read_list("\n".join(SPORTS), most=2) == SPORTS[:2]


@pytest.mark.parametrize(
    "junk", ["[", "{", "```\n", '["', "- ", "**", "** a", ":", "a,", " ", "\t", "#", '"\\"', "1. a\n"]
)
def test_a_megabyte_of_junk_takes_a_moment(junk: str) -> None:
    began = time.process_time()
    read_list("x " + junk * (1_000_000 // len(junk)) + " y")
    assert time.process_time() - began < 10


# ---- Real replies of gpt-3.5-turbo to AttrPrompt's questions, and the class lists that they were asked about.

ARXIV, REDDIT, AMAZON = (f"{name}/attrprompt/gpt-3.5-turbo" for name in ("arxiv", "reddit", "amazon"))
SCENARIO = "stackexchange/attrprompt/gpt-3.5-turbo/scenario"
EMPTY = f"{ARXIV}/similar/subcellular_processes.jsonl"
ECHOES = {
    f"{ARXIV}/similar/{name}.jsonl"
    for name in (
        "computational_engineering,_finance,_and_science", "instrumentation_and_detectors", "neurons_and_cognition",
        "populations_and_evolution", "trading_and_market_microstructure",
    )
}  # fmt: skip
# Lines that are no values of their own. After a numbered list people have added bare lines by hand: catch-alls such as
# "Other topics on Box2D", four more brands; one file ends in the rest of a longer one that it was written over.
NO_VALUES = {
    f"{AMAZON}/brands/health_and_personal_care.jsonl": 4,
    f"{AMAZON}/product_name/toys_games.jsonl": 1,  # a duplicate
    f"{ARXIV}/similar/information_theory.jsonl": 1,
    f"{REDDIT}/experience/salesforce.jsonl": 1,  # "As an AI language model, I don't have [...]:"
    f"{REDDIT}/resource/buddy_crossing.jsonl": 1,  # a duplicate
    **dict.fromkeys(
        [
            f"{SCENARIO}/{name}.jsonl"
            for name in (
                "3d-meshes", "animation", "blender", "box2d", "entity-system", "game-loop", "opengl", "path-finding",
                "sprites", "tilemap",
            )
        ],
        1,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def replies(shared: Path) -> dict[str, str]:
    """Every file by its path below the folder."""
    root = shared / "attribute_replies"
    return {p.relative_to(root).as_posix(): p.read_text("utf-8") for p in sorted(root.rglob("*")) if p.is_file()}


def read_all(replies: dict[str, str]) -> dict[str, list[str] | Reason]:
    """What each file gives; the questions for similar classes showed the list of all classes."""
    labels = {name: text.splitlines() for name, text in replies.items() if name.endswith("label.txt")}
    return {
        name: read_list(text, labels[f"{name.split('/')[0]}/label.txt"] if "/similar/" in name else (), most=10_000)
        for name, text in replies.items()
    }


def test_every_real_reply_is_read(replies: dict[str, str]) -> None:
    read = read_all(replies)
    assert len(read) == 577
    reasons = {name: values.code for name, values in read.items() if isinstance(values, Reason)}
    assert reasons == {EMPTY: "empty_reply", **dict.fromkeys(ECHOES, "echo")}
    values = {name: values for name, values in read.items() if not isinstance(values, Reason)}
    assert len(values) == 571 and sum(map(len, values.values())) == 6_729


def test_every_line_of_a_real_reply_is_a_value_but_for_those_known(replies: dict[str, str]) -> None:
    for name, values in read_all(replies).items():
        if not isinstance(values, Reason) and not name.endswith(".json"):
            written = [line for line in replies[name].splitlines() if line.strip()]
            assert len(written) - len(values) == NO_VALUES.get(name, 0), name
            assert all(any(value in line for line in written) for value in values), name
            assert not any(value.startswith(("-", "*", "•")) for value in values), name


def test_real_replies_that_are_not_what_they_seem(replies: dict[str, str]) -> None:
    salesforce = read_list(replies[f"{REDDIT}/experience/salesforce.jsonl"])
    assert replies[f"{REDDIT}/experience/salesforce.jsonl"].startswith("As an AI language model, I don't have")
    assert len(salesforce) == 18 and salesforce[0] == "Implementing Salesforce CRM for small businesses."
    assert read_list(replies[f"{REDDIT}/experience/gaming_headsets.jsonl"]) == [
        "Enhance narrative and storytelling immersion in RPGs"
    ]
    books = read_list(replies[f"{AMAZON}/product_name/books.jsonl"])
    assert isinstance(books, list) and books[3] == '"1984" by George Orwell'
    games = read_list(replies[f"{AMAZON}/product_name/computer_video_games.jsonl"])
    assert isinstance(games, list) and games[0] == "Call of Duty: Modern Warfare"
    science = read_list(replies["agnews/attrprompt/gpt-3.5-turbo/subtopics/sci_tech.jsonl"])
    assert "3D printing" in science
    merged = read_list(replies[f"{ARXIV}/subtopics/subtopics.json"], most=10_000)
    assert isinstance(merged, list) and len(merged) == 1_740 and merged[0] == "image segmentation"
    assert replies[f"{ARXIV}/similar/information_theory.jsonl"].endswith("computing\nting\n")


def test_the_longest_real_value_fits_and_gaps_in_the_numbering_are_nothing(replies: dict[str, str]) -> None:
    read = [values for values in read_all(replies).values() if not isinstance(values, Reason)]
    assert max(len(value) for values in read for value in values) == 335
    dance = read_list(replies["nyt/attrprompt/gpt-3.5-turbo/subtopics_filter/dance.jsonl"])
    assert replies["nyt/attrprompt/gpt-3.5-turbo/subtopics_filter/dance.jsonl"].startswith("2. Contemporary")
    assert len(dance) == 7 and isinstance(dance, list) and dance[0].startswith("Contemporary dance")


def test_a_real_list_reads_back_the_same_in_other_styles(replies: dict[str, str]) -> None:
    """Real values, with their brackets, colons and quotes, in the ways that do not depend on what is in them."""
    for values in read_all(replies).values():
        if isinstance(values, list) and len(values) >= 3:
            for style in ("1.", "(1)", "•", "JSON", "wrapped", "numbered object"):
                assert read_list(STYLES[style](values[:100])) == values[:100], style


@pytest.mark.parametrize("end", ["[]", "{}", "[ ]", "[]."])
@pytest.mark.parametrize("mark", ["1. ", "1) ", "- ", "* "])
def test_an_item_that_ends_in_an_empty_bracket_is_one_of_a_list(mark: str, end: str) -> None:
    number = mark.strip() not in "-*"
    lines = [f"{mark.replace('1', str(n)) if number else mark}{name}" for n, name in enumerate(("Golf", "Chess"), 1)]
    text = f"{lines[0]}: a game\n{lines[1]}: {end}\n"
    assert read_list(text) == ["Golf: a game", f"Chess: {end}"]
    assert read_list('["Golf", "Chess"]') == ["Golf", "Chess"]
    for nothing in ("[]", '{"values": []}', "Values: []", "```json\n[]\n```"):
        assert isinstance(read_list(nothing), Reason), nothing
