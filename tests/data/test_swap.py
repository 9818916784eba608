"""Output is all or nothing: a command killed at any operation on files leaves the old rows or the new, whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm_created.cli.main import main

# Ends the process in the middle of the n-th operation that changes a folder, once the rows are there to be written.
_KILLED = """
import os, sys
from llm_created.cli.main import main
from llm_created.data import writer
from llm_created.utils import swap
left = int(sys.argv[1])
EXCHANGE = sys.argv[2] == "exchange"
WATCHED = {"os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree", "open"}
armed = [False]
def hook(event, arguments):
    global left
    if not armed[0] or event not in WATCHED:
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        return
    left -= 1
    if left < 0:
        os._exit(9)
sys.addaudithook(hook)
finish = writer.Output.finish
def armed_finish(self, *args, **more):
    armed[0] = True
    try:
        return finish(self, *args, **more)
    finally:
        armed[0] = False
writer.Output.finish = armed_finish
exchanged = swap._exchanged
def counted(one, other):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    done = exchanged(one, other) if EXCHANGE else False
    left -= 1
    if left < 0:
        os._exit(9)
    return done
swap._exchanged = counted
sys.exit(main(sys.argv[3:]))
"""
CREAK = ("create", "creak", "--model", "demo", "--out", "rows")


def state(folder: Path) -> tuple[int, int, list[str]]:
    """What `run.json` says, the rows that a reader of the folder gets, and the files."""
    import datasets

    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert folder.parent.name not in files
    said = json.loads((folder / "run.json").read_text("utf-8"))["rows"]
    data = [name for name in files if name.startswith("train.")]
    assert len(data) == 1, "one format"
    kind = {"parquet": "parquet", "jsonl": "json"}[data[0].rpartition(".")[2]]
    cache = folder.parent / "datasets-cache"
    found = datasets.load_dataset(kind, data_files=str(folder / data[0]), split="train", cache_dir=str(cache))
    shutil.rmtree(cache, ignore_errors=True)
    return said, len(found), files


@pytest.mark.parametrize(
    ("how", "stride"),
    [
        ("exchange", 4),
        pytest.param("exchange", 1, marks=pytest.mark.slow),
        pytest.param("renames", 1, marks=pytest.mark.slow),
    ],
)
def test_a_kill_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, stride: int, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*CREAK, "-n", "50"]) == 0
    assert main([*CREAK[:-1], "other", "-n", "120", "--format", "jsonl"]) == 0
    Path("rows/notes").mkdir()
    Path("rows/notes/mine.txt").write_text("mine")
    Path("rows/link").symlink_to("notes/mine.txt")
    foreign = ["link", "notes/mine.txt"]
    old = (50, 50, sorted(["README.md", "run.json", "task.json", "train.parquet", *foreign]))
    new = (120, 120, sorted(["README.md", "run.json", "task.json", "train.jsonl", *foreign]))
    shutil.copytree("rows", "before", symlinks=True)
    seen = []
    for step in range(0, 200, stride):
        argv = [sys.executable, "-c", _KILLED, str(step), how, *CREAK, "-n", "120", "--format", "jsonl"]
        code = subprocess.run(argv, capture_output=True, check=False).returncode
        if how == "renames" and not Path("rows").exists():
            # Between two renames there is none: the next command puts it back.
            assert main([*CREAK, "-n", "120", "--format", "jsonl"]) == 0
        found = state(Path("rows"))
        assert found in (old, new), step
        assert Path("rows/notes/mine.txt").read_text() == "mine"
        seen.append(found == new)
        if code == 0:
            break
        assert main([*CREAK, "-n", "120", "--format", "jsonl"]) == 0
        assert state(Path("rows")) == new
        left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
        assert left == [] or how == "renames"
        shutil.rmtree("rows")
        shutil.copytree("before", "rows", symlinks=True)
    assert code == 0 and len(seen) > 10 // stride and not seen[0] and seen[-1]


def test_a_folder_that_cannot_be_exchanged_is_written_file_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = os.stat(".").st_ino
    for rows in ("20", "40"):
        assert main([*CREAK[:-1], ".", "-n", rows]) == 0
        (folder / "mine.txt").write_text("mine")
    assert os.stat(".").st_ino == before == folder.stat().st_ino, "the shell's folder is not taken from under it"
    wanted = ["README.md", "mine.txt", "run.json", "task.json", "train.parquet"]
    assert state(folder) == (40, 40, wanted)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_link_to_a_folder_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("disk").mkdir()
    Path("rows").symlink_to("disk")
    for rows in ("20", "40"):
        assert main([*CREAK, "-n", rows]) == 0
    assert Path("rows").is_symlink() and state(Path("disk"))[:2] == (40, 40)
