"""`llm-created predict` and `load_model`: any file in, the same records with a label out; wrong files are one line."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import llm_created
from llm_created.cli.main import main
from llm_created.errors import UsageError
from llm_created.models import saved
from llm_created.models.choose import choose
from llm_created.models.linear import Linear
from llm_created.tasks.task import Row, Task

pytest.importorskip("sklearn", reason="scikit-learn is not installed: llm-created[linear]")

MAIL = Task("mail", ("text",), "class", labels=("Größe, Maß", "退款", "spam", "never seen"))
PICK = Task("pick", ("question",), num_options=None)
SAID = {
    "Größe, Maß": "How long and wide is the shelf",
    "退款": "请把钱退给我",
    "spam": "win a free prize now",
}


def read(task: Task, fields: Mapping[str, Any]) -> Row:
    row = task.read(fields)
    assert isinstance(row, Row), row
    return row


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Linear:
    """A model in the folder `mine`; the working directory is the test's own."""
    monkeypatch.chdir(tmp_path)
    rows = [read(MAIL, {"text": f"{text} {n}", "class": label}) for label, text in SAID.items() for n in range(9)]
    made = Linear(MAIL, choose("tfidf")).fit(rows)
    saved.save(made, "mine")
    return made


def table(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Path(name).read_text("utf-8"), newline="")))


RECORDS = [
    {"id": 7, "text": "win a free prize, now!", "when": None},
    {"id": 8, "text": "How long\nis it", "when": "x"},
]


def write(name: str) -> str:
    path = Path(name)
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(RECORDS), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(RECORDS), "utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(one)}\n" for one in RECORDS), "utf-8")
    else:
        between = "\t" if path.suffix == ".tsv" else ","
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=between)
            writer.writerows([RECORDS[0].keys(), *(one.values() for one in RECORDS)])
    return name


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet"])
@pytest.mark.parametrize("to", ["csv", "jsonl", "parquet"])
def test_every_kind_of_file_keeps_its_records(suffix: str, to: str, model: Linear) -> None:
    assert main(["predict", "mine", write(f"new.{suffix}"), "--out", f"out.{to}"]) == 0
    import datasets

    found = datasets.load_dataset({"jsonl": "json"}.get(to, to), data_files=f"out.{to}", split="train")
    assert found.column_names == ["id", "text", "when", "label", "probability"]
    assert list(map(int, found["id"])) == [7, 8] and found["text"] == [one["text"] for one in RECORDS]
    assert found["label"] == ["spam", "Größe, Maß"]
    likely = model.probabilities([read(MAIL, {**one, "class": "spam"}) for one in RECORDS])
    assert found["probability"] == [pytest.approx(max(one), abs=1e-4) for one in likely]


def test_from_python_all_labels_have_a_probability_and_the_same_as_before_it_was_kept(model: Linear) -> None:
    loaded = llm_created.load_model("mine")
    (found,) = loaded.predict([{"text": "我的钱"}])
    assert list(found["probabilities"]) == list(MAIL.labels or ())
    assert found["probabilities"]["never seen"] == 0 and sum(found["probabilities"].values()) == pytest.approx(1)
    assert (
        list(found["probabilities"].values())
        == model.probabilities([read(MAIL, {"text": "我的钱", "class": "spam"})])[0]
    )
    assert loaded.predict([{"body": "x", "text": None}], fields={"body": "text"})[0]["label"]
    assert loaded.predict([{"text": " "}]) == [{"label": None, "probability": None, "probabilities": {}}]
    with pytest.raises(UsageError, match="record 2 cannot be read: missing_field, 'text'; it reads 'text'"):
        loaded.predict([{"text": "x"}, {"body": "x"}])


def test_rows_bring_options_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    things = ["a cup", "a pen", "a saw", "a bed"]
    rows = [
        read(PICK, {"question": f"Which is {one[2:]} {n}", "options": things, "answer": one})
        for one in things for n in range(5)
    ]  # fmt: skip
    saved.save(Linear(PICK, choose("tfidf")).fit(rows), "pick")
    cells = [{"question": "Which is saw", "options": json.dumps(["a bed", "a saw"])}]
    Path("new.csv").write_text('question,options\nWhich is saw,"[""a bed"", ""a saw"", ""a cup""]"\n', "utf-8")
    assert main(["predict", "pick", "new.csv"]) == 0
    assert table("new-predicted.csv")[0]["label"] == "a saw"
    assert list(llm_created.load_model("pick").predict(cells)[0]["probabilities"]) == ["a bed", "a saw"]


def test_standard_input_and_output_names_of_columns_and_labels_that_are_not_sure(
    model: Linear, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    Path("in.csv").write_text("body,label,Größe\nwin a free prize,?,é\nzzz,,\n,,\n", "utf-8")
    program = [
        sys.executable,
        "-m",
        "llm_created",
        "predict",
        "mine",
        "-",
        "--fields",
        "body=text",
        "--abstain",
        "0.5",
    ]
    with Path("in.csv").open("rb") as file:
        done = subprocess.run(program, stdin=file, capture_output=True, env=dict(os.environ) | {"LC_ALL": "C"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "body,label,Größe,predicted_label,probability"
    assert lines[1].startswith("win a free prize,?,é,spam,0.") and lines[2].startswith("zzz,,,,0.")
    told = done.stderr.decode()
    assert "1 without a label: less likely than 0.5" in told
    # An empty line of cells is no record.
    assert len(lines) == 3 and "2 rows" in told


@pytest.mark.parametrize(
    ("name", "content", "more", "said"),
    [
        (
            "a.csv",
            "id,body\n1,x\n",
            [],
            "no column 'text', which the model reads; its columns are 'id', 'body'",
        ),
        ("a.csv", "id,body\n1,x\n", ["--fields", "bod=text"], "has no column 'bod': did you mean 'body'?"),
        ("a.csv", "id,body\n1,x\n", ["--fields", "body=txt"], "--fields body=txt: the model reads text"),
        ("a.csv", "id,body\n1,x\n", ["--fields", "body"], "--fields 'body': give COLUMN=FIELD"),
        ("a.csv", "text\nx\n", ["--abstain", "70"], "--abstain is a probability, above 0 and at most 1, not 70"),
        ("a.csv", "", [], "'a.csv' has no records"),
        ("a.csv", "text,id\nx,1\ny,2,3\n", [], "'a.csv', line 3: 3 cells under 2 columns"),
        ("a.jsonl", '{"text": "x"}\n{"text": \n', [], "'a.jsonl', line 2: not JSON"),
        ("a.jsonl", '{"text": "x"}\n[1]\n', [], "'a.jsonl', line 2: an object with the columns is wanted, not [1]"),
        ("a.txt", "x", [], "'a.txt': records are read from .jsonl"),
        ("a.csv", "text\nx\n", ["--out", "a.csv"], "--out 'a.csv' is the file that is read"),
        ("a.csv", "text\nx\n", ["--out", "mine"], "--out 'mine': answers are written as .jsonl"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    name: str, content: str, more: list[str], said: str, model: Linear, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_text(content, "utf-8")
    before = sorted(Path().iterdir())
    assert main(["predict", "mine", name, *more]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and said in told and told.count("\n") == 1, told
    assert sorted(Path().iterdir()) == before


def test_a_record_without_text_is_counted_and_a_file_that_is_there_stays(
    model: Linear, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.jsonl").write_text('{"text": "win a free prize"}\n{"text": ""}\n{"n": 1}\n', "utf-8")
    assert main(["predict", "mine", "a.jsonl"]) == 0
    assert (
        "2 without a label: nothing that can be read, the first in line 2: empty_field 'text'"
        in capsys.readouterr().out
    )
    lines = [json.loads(line) for line in Path("a-predicted.jsonl").read_text("utf-8").splitlines()]
    assert [one["label"] for one in lines] == ["spam", None, None]
    assert main(["predict", "mine", "a.jsonl"]) == 2
    assert "'a-predicted.jsonl' is there already: give another one or --overwrite" in capsys.readouterr().err
    assert main(["predict", "mine", "a.jsonl", "--overwrite"]) == 0


def test_a_folder_that_is_no_model_or_half_of_one_is_one_line(
    model: Linear, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.csv").write_text("text\nx\n", "utf-8")
    weights = Path("mine/model.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    assert main(["predict", "mine", "a.csv"]) == 1
    assert "is truncated or damaged" in capsys.readouterr().err
    weights.unlink()
    assert main(["predict", "mine", "a.csv"]) == 2
    assert "the model has lost its weights" in capsys.readouterr().err
    weights.write_bytes(whole)
    about = json.loads(Path("mine/linear.json").read_text())
    for wrong, said in (({"classes": [99]}, "is damaged"), ({"format": 2}, "is in format 2, and 1 is known: upgrade")):
        Path("mine/linear.json").write_text(json.dumps(about | wrong))
        assert main(["predict", "mine", "a.csv"]) in (1, 2)
        assert said in capsys.readouterr().err
    Path("mine/linear.json").unlink()
    assert main(["predict", "mine", "a.csv"]) == 2
    assert "there is no model in it" in capsys.readouterr().err
    assert main(["predict", "nowhere", "a.csv"]) == 2
    assert "there is no folder 'nowhere'" in capsys.readouterr().err
    with pytest.raises(UsageError, match="holds other files"):
        saved.save(model, ".")


def test_ctrl_c_leaves_nothing_half(model: Linear) -> None:
    with Path("big.jsonl").open("w") as file:
        file.writelines(json.dumps({"text": f"free prize number {n} and more"}) + "\n" for n in range(200_000))
    program = [sys.executable, "-m", "llm_created", "predict", "mine", "big.jsonl"]
    running = subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    while not list(Path().glob(".big-predicted*")) and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert sorted(path.name for path in Path().iterdir()) == ["big.jsonl", "mine"]


def test_evaluate_keeps_the_model_and_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = {"sentence": "The soup was wonderful.", "options": ["positive", "negative"], "answer": "positive"}
    Path("my.json").write_text(json.dumps(example))
    command = "create --example my.json --label-space fixed --model demo -n 60 --out rows --name mine --format jsonl"
    assert main(command.split()) == 0
    assert main("evaluate mine --on demo --save kept".split()) == 0
    assert "llm-created predict kept new.csv" in capsys.readouterr().out
    assert json.loads(Path("kept/task.json").read_text())["example"]["answer"] == "positive"
    assert main("predict kept rows/train.jsonl --out out.csv".split()) == 0
    assert main("evaluate mine --on demo --save rows".split()) == 2
    assert "'rows' holds other files" in capsys.readouterr().err
