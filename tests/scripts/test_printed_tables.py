"""Tables and figures from fixture results, and the published figures against the paper's own text.

`GOLDEN=write pytest tests/scripts/test_printed_tables.py` writes the golden files anew: look at the difference first.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llm_created.cli.main import main as llm_created
from llm_created.evaluation import results, scores
from llm_created.runs.folders import find
from llm_created.tasks.task import Row
from llm_created.train.cells import cells

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(ROOT / "scripts"))
import paper  # noqa: E402
import tables  # noqa: E402

# Test sets of the fixture: rows, labels, whether in distribution.
TESTS = {
    "csqa:test": (1241, 5),
    "riddle_sense:test": (1202, 5),
    "bioasq:test": (140, 2),
    "pubmedqa:validation": (50, 2),
}


def rows_of(test: str) -> list[Row]:
    """Test rows whose answers run through the labels, the first of them a little more often."""
    n, labels = TESTS[test]
    answers = [0 if number % 7 == 0 else number % labels for number in range(n)]
    options = tuple(str(label) for label in range(labels))
    return [Row(("q",), options, answer, f"{test}/{number}", b"") for number, answer in enumerate(answers)]


def predictions(rows: Iterable[Row], percent: int, offset: int) -> list[int]:
    """About that many per cent right, at places that depend on the offset; -1 is a constant classifier."""
    if percent < 0:
        return [0 for _ in rows]
    right = ((number * 37 + offset * 11) % 100 < percent for number, _ in enumerate(rows))
    return [row.answer if fine else (row.answer + 1) % len(row.options) for row, fine in zip(rows, right, strict=True)]


def file(
    root: Path, task: str, train_set: str, made: str, seed: int, percents: dict[str, int], *, rows: int,
    probe: int | None = None, fraction: float = 1.0, **train: Any,
) -> None:  # fmt: skip
    """File one result as `finetune` and `score` do."""
    named = train_set if fraction == 1 else f"{train_set}-f{fraction:g}"
    path = results.path(root, task, named, "tiny", made, seed)
    offset = seed + 3 * int(made if made != "-" else 0)
    entries = {}
    wanted = [(test, percent, None) for test, percent in percents.items()]
    wanted += [(f"{task}:test", probe, "no-question")] if probe is not None else []
    for test, percent, blanked in wanted:
        given = predictions(rows_of(test), percent, offset)
        score = scores.score(given, [row.answer for row in rows_of(test)]).to_json()
        key = f"{test}#{blanked}" if blanked else test
        name = results.write_predictions(path, key, rows_of(test), given)
        where = "in" if test.startswith(task) else "out"
        entries[key] = score | {"distribution": where, "probe": blanked, "predictions": name, "leaked": 0}
        entries[key]["train_rows"] = rows - rows // 10
    about = {"sources": [], "rows": rows, "validation": "tenth of train", "validation_rows": rows // 10}
    whole = {"task": task, "family": "", "train_set": train_set, "model": "tiny", "creation_seed": made, "seed": seed}
    results.write(path, whole | {"train": about | {"fraction": fraction} | train, "scores": entries})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """csqa: several seeds, and a created set of another size; bioasq: one seed, a constant cell, validation on human
    rows, a leak; and a point of the learning curve, which no table shows."""
    root = tmp_path_factory.mktemp("results")
    for seed in (0, 1, 2):
        both = {"csqa:test": 60 + seed, "riddle_sense:test": 40 - seed}
        file(root, "csqa", "human", "-", seed, both, rows=8500, probe=58 if seed == 0 else None)
        file(root, "csqa", "similar", "1", seed, {"csqa:test": 45 + 2 * seed}, rows=8500)
        for made in ("1", "2"):
            both = {"csqa:test": 50 + seed + int(made), "riddle_sense:test": 44 + seed}
            file(root, "csqa", "tree", made, seed, both, rows=2000)
    both = {"bioasq:test": 70, "pubmedqa:validation": 60}
    file(root, "bioasq", "human", "-", 0, both, rows=670)
    file(root, "bioasq", "random", "1", 0, {"bioasq:test": -1, "pubmedqa:validation": -1}, rows=670)
    file(root, "bioasq", "tree", "1", 0, both | {"bioasq:test": 83}, rows=670, validation="human")
    file(root, "bioasq", "tree+human", "1", 0, {"bioasq:test": 88}, rows=1340)
    file(root, "bioasq", "tree", "1", 0, {"bioasq:test": 61}, rows=67, fraction=0.1, validation="human")
    path = results.path(root, "bioasq", "tree+human", "tiny", "1", 0)
    value = json.loads(path.read_text("utf-8"))
    value["scores"]["bioasq:test"]["leaked"] = 3
    results.write(path, value)
    return root


def golden(name: str, made: str) -> None:
    """Compare with a golden file, or write it."""
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(made, "utf-8")
    assert made == file.read_text("utf-8"), f"{name} differs: see the head of this file"


@pytest.mark.parametrize("kind", ["md", "csv"])
def test_tables_are_as_golden(root: Path, tmp_path: Path, kind: str) -> None:
    assert tables.main(["--results", str(root), "--format", kind, "--out", str(tmp_path)]) == 0
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["id", "ood", "probes"]
    for path in tmp_path.iterdir():
        golden(path.name, path.read_text("utf-8"))


def test_published_figures_stand_beside_ours_as_golden(root: Path, tmp_path: Path) -> None:
    assert tables.main(["--results", str(root), "--paper", "--out", str(tmp_path)]) == 0
    for name in ("id", "ood", "cost", "paper"):
        golden(f"{name}-beside-paper.md", (tmp_path / f"{name}.md").read_text("utf-8"))


def test_every_line_fits_a_terminal(root: Path) -> None:
    made = markdown(root, with_paper=True)
    for name, text in made.items():
        for line in text.splitlines():
            # Tables with a deviation for both kinds of seeds are the one exception.
            wide = line.startswith("|") and ("±" in text or name == "probes")
            assert len(line) <= (100 if wide else 80), line


def markdown(root: Path, with_paper: bool = False) -> dict[str, str]:
    """The tables by name."""
    args = {"results": str(root), "runs": None, "model": None, "paper": with_paper, "format": "md"}
    return tables.tables(argparse.Namespace(**args))


def test_every_row_of_markdown_has_its_n_and_interval(root: Path) -> None:
    made = markdown(root, with_paper=True)
    for name in ("id", "ood"):
        rows = [line for line in made[name].splitlines() if line.startswith("|") and "---" not in line]
        for row in rows:
            values = [value.strip() for value in row.strip("|").split("|")]
            if values[0] == "data":
                head = values
                continue
            assert re.fullmatch(r"\d+\.\d-\d+\.\d", values[head.index("95 %")]), row
            assert values[head.index("n")].replace(",", "").isdigit(), row


def test_a_point_of_the_learning_curve_is_in_no_table(root: Path) -> None:
    found = cells(results.read_all(root))
    assert sorted({cell.fraction for cell in found}) == [0.1, 1.0]
    assert {cell.fraction for cell in tables.kept(found)} == {1.0}


CONSTANT = """
    pubmedqa/pubmedqa human; bioasq/bioasq contrastive; boolq/boolq contrastive; boolq/boolq similar; boolq/boolq tree;
    strategyqa/strategyqa human; strategyqa/strategyqa contrastive; strategyqa/strategyqa similar;
    pubmedqa/boolq_open tree; pubmedqa/bioasq human; bioasq/pubmedqa contrastive; strategyqa/creak human;
    strategyqa/creak random; strategyqa/creak contrastive; strategyqa/creak similar; piqa/winogrande contrastive;
    piqa/winogrande tree
"""


def test_seventeen_published_cells_are_a_constant_classifier() -> None:
    found = {f"{x.train}/{x.test} {x.trained_on}" for x in paper.cells() if x.constant}
    assert found == {" ".join(one.split()) for one in CONSTANT.split(";")}
    assert (len(found), len(list(paper.cells()))) == (17, 100)


def test_headline() -> None:
    gap = paper.difference(*paper.HEADLINE)
    assert (gap.best.correct, gap.human.correct, gap.human.n, gap.items) == (114, 94, 140, 20)
    assert (gap.points, gap.of_best, gap.of_human) == (Decimal("14.28"), Decimal("17.53"), Decimal("21.27"))
    assert gap.human.constant and gap.human.swapped
    assert [round(100 * x, 1) for x in (*gap.human.interval, *gap.best.interval)] == [59.0, 74.4, 74.2, 87.0]
    csqa = paper.difference("csqa", "csqa")
    assert (csqa.of_best, csqa.of_human) == (Decimal("40.55"), Decimal("28.85"))


def test_swapped_columns_fit_the_test_sets_they_are_given_here() -> None:
    def fits(printed: Decimal, n: int) -> bool:
        return any(paper.cut(Decimal(100 * k) / n) == printed for k in range(n + 1))

    seventh = [paper.cell("pubmedqa", "bioasq", name).printed for name in paper.TRAINED_ON]
    eighth = [paper.cell("bioasq", "pubmedqa", name).printed for name in paper.TRAINED_ON]
    assert [fits(x, 140) for x in seventh] == [True] * 5 and sum(fits(x, 500) for x in seventh) == 1
    assert [fits(x, 500) for x in eighth] == [True] * 5 and not any(fits(x, 140) for x in eighth)
    typos = [x for x in paper.cells() if x.typo]
    assert [(str(x.printed), x.n) for x in typos] == [("52.81", 634), ("42.35", 1241)]
    assert not any(fits(x.printed, x.n) for x in typos)


def paper_rows(text: str, first: str, last: str) -> list[list[str]]:
    """The rows of numbers between two places of the paper's text."""
    part = text[text.index(first) : text.index(last)]
    return [re.findall(r"\d+\.\d+", line) for line in part.splitlines() if len(re.findall(r"\d+\.\d+", line)) >= 10]


def test_every_published_figure_is_in_the_papers_text(shared: Path) -> None:
    file = shared.parent / "seeds" / "llm-data-creation-paper.txt"
    if not file.exists():
        pytest.skip(f"{file} is missing")
    text = file.read_text("utf-8")
    starts = [match.start() for match in re.finditer(r"^MCQA \(2\)", text, re.M)]
    for table, (begin, end) in {
        3: (starts[0], starts[1]),
        4: (starts[1], text.index("5 Experimental Results")),
    }.items():
        rows = paper_rows(text[begin:end] + "END", "MCQA (2)", "END")
        pairs = list(dict.fromkeys((cell.train, cell.test) for cell in paper.cells(table)))
        printed = [[str(paper.cell(*pair, name).printed) for pair in pairs] for name in paper.TRAINED_ON]
        assert rows == [*printed, [str(paper.difference(*pair).of_best) for pair in pairs]]
    costs = text[text.index("Dataset | # Train | Random") : text.index("Table 5 presents")]
    found = [line.split("|")[1:6] for line in costs.splitlines()[2:] if line.count("|") > 5]
    assert [[value.strip() for value in line[1:]] for line in found] == [list(row) for row in paper.DOLLARS.values()]
    assert [line[0].strip().replace(",", "") for line in found] == [str(rows) for rows in paper.TRAIN_ROWS.values()]


def test_cost_is_that_of_the_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["create", "creak", "--model", "demo", "-n", "20", "--out", str(tmp_path / "rows"), "--price", "1,2"]
    assert llm_created(argv) == 0
    with find(str(tmp_path / "rows")).open() as journal:
        spent, digest = journal.spent(), journal.folder.name
    capsys.readouterr()
    for named in ("all", digest[:8], str(tmp_path / "rows")):
        assert tables.main(["--runs", named, "--format", "csv"]) == 0
        head, line = capsys.readouterr().out.split()[:2]
        value = dict(zip(head.split(","), line.split(","), strict=True))
        assert (value["task"], value["strategy"], value["run"]) == ("creak", "tree", digest[:8])
        assert [int(value[name]) for name in ("rows", "calls", "tokens")] == [
            20, spent.calls, spent.prompt_tokens + spent.completion_tokens,
        ]  # fmt: skip
    assert tables.main(["--runs", "all"]) == 0
    assert f"| creak | tree     | {digest[:8]} |   20 |" in capsys.readouterr().out


def test_cost_of_a_folder_whose_journal_is_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llm_created(["create", "creak", "--model", "demo", "-n", "10", "--out", str(tmp_path / "rows")]) == 0
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "another"))
    capsys.readouterr()
    assert tables.main(["--runs", str(tmp_path / "rows")]) == 0
    assert "No tokens: the journal is not here." in " ".join(capsys.readouterr().out.split())


def test_creation_seeds_that_share_a_formatting_example_are_marked(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        out = str(tmp_path / f"rows{seed}")
        assert llm_created(["create", "bioasq", "--model", "demo", "-n", "5", "--seed", seed, "--out", out]) == 0
        run = json.loads(Path(out, "run.json").read_text("utf-8"))["run"]
        sources = [{"name": "tree", "run": run}]
        file(
            tmp_path / "results", "bioasq", "tree", seed, 0, {"bioasq:test": 60 + int(seed)}, rows=50, sources=sources
        )
    made = markdown(tmp_path / "results")
    assert re.search(r"\| tree +\| +45 \| +\d+\.\d E \|", made["id"])
    assert "- `E` some creation seeds share a formatting example" in made["id"]


@pytest.mark.parametrize("script", ["tables", "figures"])
def test_nothing_to_show_is_one_line(script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = __import__(script).main
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "result.json").write_text("{", "utf-8")
    for argv in (
        ["--results", str(tmp_path / "empty")],
        ["--results", str(tmp_path / "bad")],
        ["--runs", "none-such"],
    ):
        assert main(argv) == 2
        told = capsys.readouterr()
        assert told.out == "" and told.err.startswith("error: ") and told.err.count("\n") == 1


@pytest.mark.slow
def test_figures_are_drawn(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    import figures
    from PIL import Image

    for strategy in ("tree", "random"):
        argv = [
            "create",
            "creak",
            "--model",
            "demo",
            "-n",
            "60",
            "--strategy",
            strategy,
            "--out",
            str(tmp_path / strategy),
        ]
        assert llm_created(argv) == 0
    capsys.readouterr()
    assert figures.main(["--results", str(root), "--runs", "all", "--out", str(tmp_path / "figures")]) == 0
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    stems = ["accuracy-bioasq-bioasq-test-tiny", "drift-creak"]
    assert names == sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "svg"))
    for stem in stems:
        with Image.open(tmp_path / "figures" / f"{stem}.png") as image:
            assert image.width == 990 and len(image.getcolors(1 << 20) or ()) > 50
        before = (tmp_path / "figures" / f"{stem}.svg").read_bytes()
        assert before.startswith(b"<?xml")
    assert figures.main(["--results", str(root), "--runs", "all", "--out", str(tmp_path / "figures")]) == 0
    assert (tmp_path / "figures" / f"{stems[1]}.svg").read_bytes() == before, "the same data, the same file"


def test_points_of_the_figures_are_those_of_the_data(root: Path) -> None:
    import figures

    line = [x for x in cells(results.read_all(root)) if (x.train_set, x.test) == ("tree", "bioasq:test")]
    series = figures.share_series("tree", line, 0, [])
    small = min(line, key=lambda cell: cell.fraction)
    assert (series.x, series.name) == ([10, 100], "tree (603)")
    assert (series.y[0], series.low[0]) == (100 * small.accuracy, 100 * small.interval[0])
    points = [(depth, alike) for depth in range(1, 101) for alike in (0.2, 0.4)]
    drift = figures.drift_series("random", figures.LOOKS["random"], points)
    assert len(drift.x) <= figures.MOST_POINTS and drift.y == pytest.approx([0.3] * len(drift.x))
    shallow = figures.drift_series("tree", figures.LOOKS["tree"], [(1, 0.5), (1, 0.7), (2, 0.2)])
    assert (shallow.x, shallow.y) == ([1, 2], pytest.approx([0.6, 0.2]))
    # 1.96 x 0.1414 / sqrt 2
    assert shallow.high[0] - shallow.y[0] == pytest.approx(0.196)


def test_similarity_without_embeddings_falls_with_fewer_shared_words() -> None:
    pytest.importorskip("sklearn")
    import figures

    texts = ["the cat sat on a mat", "the cat sat on a chair", "dogs bark at night"]
    example, *rows = (Row((text,), ("True", "False"), 0, text, b"") for text in texts)
    ((near, far),) = figures.similarities([figures.Made("tree", "demo", example, rows)], None)
    assert 1 > near > 0.5 and far == 0


@pytest.fixture
def reproduce(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `scripts/reproduce.sh` in this environment, with these variables."""
    venv = Path(sys.executable).parent.parent
    if not (venv / "bin" / "llm-created").exists():
        pytest.skip("llm-created is not installed in a virtual environment")

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"VENV": str(venv), "OUT": str(tmp_path / "out")} | variables
        script = str(ROOT / "scripts" / "reproduce.sh")
        return subprocess.run(["bash", script], env=env, capture_output=True, text=True, timeout=120)

    return run


@pytest.mark.slow
def test_reproduce_says_the_whole_grid_and_does_nothing(
    reproduce: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    where = {"WRITER": "gpt-x", "BASE_URL": "http://localhost:1/v1"}
    done = reproduce(DRY="1", TASKS="csqa creak", STRATEGIES="tree similar", SEEDS="0 1", **where)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    created = [line for line in lines if line.startswith("llm-created create")]
    assert len(created) == 4 and all(
        "--paper " in line and f"--base-url {where['BASE_URL']}" in line for line in created
    )
    assert "-n 8500 " in created[0] and "-n 10176 " in created[2]
    sweeps = [line for line in lines if "train.sweep" in line]
    assert len(sweeps) == 6 and all("--grid paper" in line for line in sweeps)
    assert sum("--on csqa:test riddle_sense:test" in line for line in sweeps) == 3
    assert sum("train.finetune" in line and "--seed 1" in line for line in lines) == 6
    assert sum("scripts/tables.py" in line for line in lines) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_reproduce_leaves_out_what_has_its_result(
    reproduce: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    path = results.path(tmp_path / "out" / "results", "csqa", "tree", "roberta-large", "42", 0)
    results.write(path, {"scores": {"csqa:test": {}}})
    lines = reproduce(DRY="1", TASKS="csqa", STRATEGIES="tree").stdout.splitlines()
    assert sum("train.sweep" in line for line in lines) == 2, "one test set was not scored"
    results.write(path, {"scores": {"csqa:test": {"n": 1}, "riddle_sense:test": {"n": 1}}})
    lines = reproduce(DRY="1", TASKS="csqa", STRATEGIES="tree random").stdout.splitlines()
    assert sum("train.sweep" in line for line in lines) == 2
    assert any(
        line.startswith("# there is: ") and line.endswith("csqa/tree/roberta-large/42-0.json") for line in lines
    )


def test_reproduce_says_which_task_ended_early(reproduce: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    pytest.importorskip("accelerate")
    pytest.importorskip("matplotlib")
    done = reproduce(TASKS="no-such-task")
    assert done.returncode == 1
    assert re.search(r"error: these ended early, see .*/logs: no-such-task", done.stderr)
