"""Labelled rows as people have them: which column is what, what is left out, and what they have to mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm_created.data.columns import Columns
from llm_created.data.examples import read_labelled
from llm_created.errors import UsageError


def write(folder: Path, name: str, content: str | list[Any], encoding: str = "utf-8") -> Path:
    path = folder / name
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding, newline="")
    return path


MAILS = "".join(
    f'{at},2024-01-{at:02d},Offer {at},"Dear {at}, good news, friend","{("spam", "Größe, neu")[at % 2]}",en\n'
    for at in range(1, 9)
)


def test_columns_are_told_by_what_is_in_them_and_what_is_none_is_said(tmp_path: Path) -> None:
    more = "9,2024-01-09,Offer 9,no class yet,,en\n10,2024-01-10,,no subject,spam,en\n"
    path = write(tmp_path, "mails.csv", "id,date,subject,body,class,lang\n" + MAILS + more)
    found = read_labelled(path)
    assert found.task.inputs == ("subject", "body")
    assert (found.task.answer, found.task.labels) == ("class", ("Größe, neu", "spam"))
    assert found.numbers == [*range(1, 9)] and [number for number, _ in found.unlabelled] == [9]
    said = "\n".join(found.said)
    assert "not used: 'id', 'date', 'lang'" in said
    assert "empty_field 'subject': row 10" in said and "has no 'class': row 9" in said
    assert read_labelled(path, Columns(fields=("body",))).task.inputs == ("body",)


@pytest.mark.parametrize("suffix", ["json", "jsonl", "lines.json", "csv", "parquet", "dicts"])
def test_every_kind_of_file_gives_the_same_rows(suffix: str, tmp_path: Path) -> None:
    records = [{"text": "很好", "label": "正面"}, {"text": "坏", "label": "负面"}, {"text": "جيد", "label": "正面"}]
    path: Any = tmp_path / f"rows.{suffix}"
    if suffix == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(records), path)
    elif suffix == "csv":
        path.write_text("text;label\n" + "".join(f"{one['text']};{one['label']}\n" for one in records), "utf-8-sig")
    elif suffix == "dicts":
        path = records
    elif suffix == "json":
        write(tmp_path, path.name, records)
    else:
        write(tmp_path, path.name, "\n".join(json.dumps(one) for one in records))
    found = read_labelled(path)
    assert found.task.labels == ("正面", "负面")
    assert [(row.inputs[0], row.options[row.answer]) for row in found.rows] == [tuple(one.values()) for one in records]


def test_numbers_are_places_in_the_labels_that_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.csv", "text,label\ngood,1\nbad,0\nfine,1\n")
    assert read_labelled(path).task.labels == ("0", "1") and "`labels`" in read_labelled(path).said[0]
    rows = read_labelled(path, Columns(labels=("negative", "positive"))).rows
    assert [row.options[row.answer] for row in rows] == ["positive", "negative", "positive"]


def test_options_of_a_row_make_the_label_space_variable_and_the_same_ones_fixed() -> None:
    rows = [{"question": f"Which {at}?", "options": [f"a{at}", "b", "c"], "label": "b"} for at in range(3)]
    assert read_labelled(rows).task.num_options == 3
    told = [{"claim": f"Claim {at}.", "options": ["True", "False"], "answer": bool(at % 2)} for at in range(4)]
    assert read_labelled(told).task.labels == ("True", "False")


def test_rows_of_a_run_are_read_by_the_text_of_their_answer() -> None:
    rows = [
        {"id": str(at), "text": f"t{at}", "answer": at % 2, "answer_text": "ab"[at % 2], "parent_id": "", "depth": 1}
        for at in range(4)
    ]
    found = read_labelled(rows)
    assert (found.task.inputs, found.task.labels) == (("text",), ("a", "b"))


def test_what_repeats_is_left_out_and_what_contradicts_is_named() -> None:
    rows = [{"text": "one", "label": "a"}, {"text": "two", "label": "b"}, {"text": "ONE ", "label": "a"}]
    found = read_labelled(rows)
    assert found.numbers == [1, 2] and "repeats another: row 3" in found.said[1]
    with pytest.raises(UsageError, match="rows 2 and 4 \\('b' and 'a'\\)"):
        read_labelled([*rows, {"text": "two", "label": "a"}])


@pytest.mark.parametrize(
    ("content", "told", "said"),
    [
        ("", Columns(), "holds no rows"),
        ("text,label\n", Columns(), "holds no rows"),
        ("text,label\na,pos\nb,pos\n", Columns(), "'pos' in every row: name all labels with `labels`"),
        ("text,other\na,b\nc,d\n", Columns(), "give `answer_field`|name it, `answer_field` KEY"),
        ("text,label\na,pos\nb,neg\n", Columns(answer="class"), "`answer_field` 'class' is no column"),
        ("text,label\na,pos\nb,neg\n", Columns(fields=("body",)), "`fields` 'body' is no column"),
        ("text,label\na,pos\nb,neg\nc,odd\n", Columns(labels=("pos", "neg")), "row 3: its label 'odd' is none of"),
        ("q,answer\na,one\nb,two\nc,three\n", Columns(), "another one in each of 3 rows"),
    ],
)
def test_what_cannot_be_told_names_the_setting(content: str, told: Columns, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        read_labelled(write(tmp_path, "rows.csv", content), told)


def test_a_single_row_is_a_formatting_example() -> None:
    row = {"text": "one", "more": "two", "label": "a", "options": '["a", "b"]'}
    found = read_labelled(row, Columns(fields=("text",), label_space="fixed"))
    assert found.task.inputs == ("text",) and found.task.labels == ("a", "b") and len(found.rows) == 1
    with pytest.raises(UsageError, match="`fields` 'body' is not a key of the example"):
        read_labelled(row, Columns(fields=("body",)))


def test_ten_thousand_rows_and_seventy_seven_labels() -> None:
    rows = [{"text": f"How do I {at}?", "label": f"intent {at % 77}"} for at in range(10_000)]
    found = read_labelled(rows)
    assert len(found.rows) == 10_000 and len(found.task.labels or ()) == 77


def test_what_is_neither_a_file_nor_rows_is_told() -> None:
    with pytest.raises(UsageError, match="a file, a dictionary or a list of them, not 3$"):
        read_labelled(3)
