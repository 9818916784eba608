"""Datasets on the Hub, by way of the unmodified huggingface_hub and datasets, against a Hub on loopback."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hub import READ, WRITE, Hub
from person import Done, one_line, outside, somebody, written
from server import Server

KEY = "sk-a-key-of-these-tests-0123456789"
BY_HAND = "---\nlicense: mit\nconfigs:\n- config_name: mine\n  data_files: {}\n---\n\n# By hand\n"
LOAD = """
import json, sys
import datasets
for config in sys.argv[2:]:
    loaded = datasets.load_dataset(sys.argv[1], config)
    print(json.dumps({split: [dict(row) for row in rows] for split, rows in loaded.items()}))
"""


class World(NamedTuple):
    """Everything outside: a Hub, a model, a person, and the caches of all of them."""

    hub: Hub
    server: Server
    folder: Path
    env: dict[str, str]
    person: Callable[..., Done]

    def create(self, *more: str, rows: int = 40, **env: str) -> Done:
        """Rows of `csqa` by the loopback model; the run's folder is `out`."""
        line = ["create", "csqa", "--model", "m", "--base-url", self.server.url, "-n", str(rows)]
        line += [] if "--out" in more else ["--out", str(self.folder / "out")]
        return self.person(*line, *more, **env)

    def fresh(self, name: str) -> dict[str, str]:
        """The environment of somebody who has nothing yet."""
        return self.env | {"HF_HOME": str(self.folder / name), "LLM_CREATED_CACHE": str(self.folder / name / "runs")}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Hub() as hub, Server() as server:
        home = tmp_path_factory.mktemp("home")
        own = {"HF_HOME": str(home / "hf"), "LLM_CREATED_CACHE": str(home / "runs"), "OPENAI_API_KEY": KEY}
        env = outside(hub) | own
        with somebody(env, "HF_TOKEN", *own) as person:
            yield World(hub, server, home, env, person)


@pytest.fixture
def world(base: World, tmp_path: Path) -> World:
    base.hub.reset()
    base.server.reset()
    return base._replace(folder=tmp_path)


def load(world: World, repo: str, *configs: str) -> list[dict[str, list[dict[str, Any]]]]:
    """What `datasets` gives another process, whose caches are empty."""
    env = world.fresh(f"cache-{time.monotonic_ns()}")
    done = subprocess.run([sys.executable, "-c", LOAD, repo, *configs], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def pushed(world: World, config: str, repo: str = "me/x") -> list[dict[str, Any]]:
    """The training rows that lie there: what `datasets` gives of them is another test's."""
    file = world.hub.files(f"datasets/{repo}")[f"{config}/train-00000-of-00001.parquet"]
    return list(pq.read_table(pa.BufferReader(file)).to_pylist())


def head(world: World, repo: str = "me/x") -> dict[str, Any]:
    text = world.hub.files(f"datasets/{repo}")["README.md"].decode()
    return dict(yaml.safe_load(text.split("\n---\n")[0]))


def routes(world: World, *names: str) -> list[Any]:
    return [entry["status"] for entry in world.hub.log() if entry["route"] in names]


def test_what_is_pushed_loads_elsewhere_as_the_same_rows(world: World) -> None:
    done = world.create("--push-to-hub", "me/x", "--license", "cc-by-4.0", "--language", "en")
    assert done.code == 0, done.err
    assert re.search(r"^pushed: \S+/datasets/me/x/commit/[0-9a-f]{40}$", done.out, re.MULTILINE)
    (rows,) = load(world, "me/x", "tree")
    assert rows == {"train": written(world.folder / "out")}
    assert all(row["answer_text"] == row["options"][row["answer"]] for row in rows["train"])
    private, titles = world.hub.repos()["datasets/me/x"]
    assert not private
    assert len(titles) == 2 and re.fullmatch("tree: 40 rows of the run [0-9a-f]{8}", titles[1])
    files = world.hub.files("datasets/me/x")
    expected = {".gitattributes", "README.md", "task.json", "tree/run.json", "tree/train-00000-of-00001.parquet"}
    assert set(files) == expected
    about = head(world)
    assert (about["license"], about["language"], about["size_categories"]) == ("cc-by-4.0", ["en"], ["n<1K"])
    assert about["tags"] == ["synthetic", "llm-created"]
    assert about["configs"] == [
        {"config_name": "tree", "data_files": [{"split": "train", "path": "tree/train-*"}]},
    ]
    assert about["dataset_info"]["splits"][0]["num_examples"] == 40 and "answer_text" in str(about["dataset_info"])
    everything = b"\n".join(files.values())
    for secret in (KEY, WRITE, world.server.url, world.server.url.split("/")[2], str(world.folder)):
        assert secret.encode() not in everything
    assert b"an OpenAI-compatible server" in files["README.md"]
    assert b"| answer_text | the same as text |" in files["README.md"]
    code = (
        "from llm_created.data import sources; rows = sources.load('me/x@tree'); "
        "print(len(rows.rows), rows.about['repo'], rows.about['identity']['model'], rows.about['run'])"
    )
    read = world.person(code=code, LLM_CREATED_CACHE=world.fresh("reader")["LLM_CREATED_CACHE"])
    run = json.loads((world.folder / "out" / "run.json").read_text())["run"]
    assert read.out.split() == ["40", "me/x", "m", run], read


def test_a_second_strategy_leaves_the_first_loadable(world: World) -> None:
    assert world.create("--push-to-hub", "me/x", "--language", "en").code == 0
    first = written(world.folder / "out")
    other = str(world.folder / "other")
    done = world.create("--strategy", "naive", "--out", other, "--push-to-hub", "me/x", "--validation", "0.3", rows=30)
    assert done.code == 0, done.err
    tree, naive = load(world, "me/x", "tree", "naive")
    assert tree == {"train": first}
    assert {split: len(rows) for split, rows in naive.items()} == {"train": 22, "validation": 8}
    assert sorted(map(str, naive["train"] + naive["validation"])) == sorted(map(str, written(Path(other))))
    about = head(world)
    assert [one["config_name"] for one in about["configs"]] == ["naive", "tree"]
    assert about["language"] == ["en"]
    text = world.hub.files("datasets/me/x")["README.md"].decode()
    assert text.index("## tree") < text.index("## naive") < text.index("## Limits")
    assert text.count("## Limits") == text.count("# csqa, created") == 1
    assert "| naive | 30 |\n| tree | 40 |" in text
    assert 'load_dataset("me/x", "naive")  # or "tree"' in text


@pytest.mark.slow
def test_a_run_that_has_grown_takes_its_own_place(world: World) -> None:
    assert world.create("--push-to-hub", "me/x").code == 0
    assert world.create("--push-to-hub", "me/x", rows=60).code == 0
    assert len(load(world, "me/x", "tree")[0]["train"]) == 60
    # Nothing has changed: no commit.
    assert world.person("push", str(world.folder / "out"), "me/x").code == 0
    assert len(world.hub.repos()["datasets/me/x"][1]) == 3


def test_another_run_needs_replace_and_leaves_nothing_of_the_first(world: World) -> None:
    assert world.create("--push-to-hub", "me/x", "--with-journal").code == 0
    other = str(world.folder / "other")
    assert world.create("--seed", "7", "--out", other).code == 0
    done = world.person("push", other, "me/x")
    one_line(done, 2, r"me/x has a configuration 'tree' that is the run [0-9a-f]{8}, and this is .*: add --replace")
    assert len(world.hub.repos()["datasets/me/x"][1]) == 2
    assert world.person("push", other, "me/x", "--replace").code == 0
    assert pushed(world, "tree") == written(Path(other))
    # The replies of the first are not those of these rows.
    assert "tree/journal.jsonl" not in world.hub.files("datasets/me/x")


def test_another_task_does_not_go_beside(world: World) -> None:
    assert world.create("--push-to-hub", "me/x").code == 0
    line = ["create", "creak", "--model", "m", "--base-url", world.server.url, "-n", "5", "--strategy", "naive"]
    done = world.person(*line, "--out", str(world.folder / "other"), "--push-to-hub", "me/x")
    one_line(done, 2, r"me/x holds rows of another task \(tree\)")


def test_private_means_private(world: World) -> None:
    assert world.create().code == 0
    push = ("push", str(world.folder / "out"))
    assert world.person(*push, "me/secret", "--private").code == 0
    assert world.hub.repos()["datasets/me/secret"][0]
    assert world.person(*push, "me/secret").code == 0
    assert world.person(*push, "me/open").code == 0
    before = world.hub.files("datasets/me/open")
    done = world.person(*push, "me/open", "--private")
    one_line(done, 2, "me/open is public, so --private cannot hold")
    assert world.hub.files("datasets/me/open") == before


@pytest.mark.parametrize("where", [pytest.param("upload", marks=pytest.mark.slow), "commit"])
def test_killed_half_way_and_run_again(where: str, world: World) -> None:
    assert world.create("--strategy", "naive", "--push-to-hub", "me/x").code == 0
    first = world.hub.files("datasets/me/x")
    assert world.create("--out", str(world.folder / "other")).code == 0
    world.hub.reset(keep=True, hang=where)
    line = [sys.executable, "-m", "llm_created", "push", str(world.folder / "other"), "me/x"]
    with subprocess.Popen(line, env=world.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as pushing:
        until = time.monotonic() + 30
        while not routes(world, where) and time.monotonic() < until:
            time.sleep(0.05)
        pushing.send_signal(signal.SIGKILL)
    assert routes(world, where) == [0]
    assert world.hub.files("datasets/me/x") == first
    world.hub.reset(keep=True)
    assert world.person("push", str(world.folder / "other"), "me/x").code == 0
    assert pushed(world, "tree") == written(world.folder / "other") and len(pushed(world, "naive")) == 40


@pytest.mark.slow
def test_errors_in_between_are_asked_again_and_there_is_one_commit(world: World) -> None:
    assert world.create().code == 0
    world.hub.reset(fail_first=1)
    done = world.person("push", str(world.folder / "out"), "me/x")
    assert done.code == 0, done.err
    assert routes(world, "commit") == [500, 200]
    assert 500 in routes(world, "upload") and 500 in routes(world, "validate") and 500 in routes(world, "create")
    assert len(world.hub.repos()["datasets/me/x"][1]) == 2
    assert "tree/train-00000-of-00001.parquet" in world.hub.files("datasets/me/x")


def test_a_commit_whose_answer_is_lost_is_not_made_twice(world: World) -> None:
    assert world.create().code == 0
    world.hub.reset(lose="commit")
    done = world.person("push", str(world.folder / "out"), "me/x")
    assert done.code == 0, done.err
    assert routes(world, "commit")[0] == "lost"
    assert len(world.hub.repos()["datasets/me/x"][1]) == 2


@pytest.mark.slow
def test_a_hub_that_stays_broken_is_one_line(world: World) -> None:
    assert world.create().code == 0
    world.hub.reset(fail={"create": 500})
    done = world.person("push", str(world.folder / "out"), "me/x")
    one_line(done, 1, r"me/x: the Hub answers 500 \(.*\): run it again")


def test_somebody_elses_commit_in_between_is_kept(world: World) -> None:
    assert world.create().code == 0
    task = (world.folder / "out" / "task.json").read_text("utf-8")
    rows = (world.folder / "out" / "train.parquet").read_bytes().decode("latin-1")
    world.hub.reset(intrude=[{"README.md": BY_HAND.format("mine.parquet"), "mine.parquet": rows, "task.json": task}])
    done = world.person("push", str(world.folder / "out"), "me/x")
    assert done.code == 0, done.err
    assert "somebody else has committed to me/x meanwhile" in done.err
    assert routes(world, "commit") == [412, 200]
    assert world.hub.repos()["datasets/me/x"][1][1] == "Somebody else's"
    about = head(world)
    assert about["license"] == "mit"
    assert [one["config_name"] for one in about["configs"]] == ["mine", "tree"]
    assert "# By hand" in world.hub.files("datasets/me/x")["README.md"].decode()
    tree, mine = load(world, "me/x", "tree", "mine")
    assert tree == {"train": written(world.folder / "out")}
    assert mine == tree


@pytest.mark.slow
@pytest.mark.parametrize("described", [True, False])
def test_data_in_another_format_is_not_made_unreadable(described: bool, world: World) -> None:
    assert world.create().code == 0
    theirs = {"mine.csv": "a\n1\n", "README.md": "By hand."}
    if described:
        theirs["README.md"] = BY_HAND.format("mine.csv")
        theirs["task.json"] = (world.folder / "out" / "task.json").read_text("utf-8")
    world.hub.reset(intrude=[theirs])
    done = world.person("push", str(world.folder / "out"), "me/x")
    one_line(done, 2, r"me/x holds data that .* could not load any more beside these rows \(mine.csv\)")
    assert load(world, "me/x", "mine" if described else "default") == [{"train": [{"a": 1}]}]


def test_somebody_elses_run_in_between_is_not_overwritten(world: World) -> None:
    assert world.create().code == 0
    world.hub.reset(intrude=[{"tree/run.json": '{"run": "feedfeedfeedfeed"}', "tree/train-0.parquet": "x"}])
    done = world.person("push", str(world.folder / "out"), "me/x")
    one_line(done, 2, "me/x has a configuration 'tree' that is the run feedfeed")
    assert "README.md" not in world.hub.files("datasets/me/x")


@pytest.mark.slow
def test_somebody_who_never_stops_is_told(world: World) -> None:
    assert world.create().code == 0
    world.hub.reset(intrude=[{"a.txt": str(n)} for n in range(9)])
    done = world.person("push", str(world.folder / "out"), "me/x")
    one_line(done, 1, "me/x: somebody else commits there all the time")


@pytest.mark.parametrize(
    ("repo", "token", "code", "said"),
    [
        ("me/x", "", 2, "there is no token for the Hub: run `hf auth login`, or set HF_TOKEN"),
        ("me/x", READ, 1, "me/x: this token may not write there"),
        ("me/x", "hf_wrong", 1, "me/x: the Hub does not know this token"),
        ("you/x", WRITE, 1, "you/x: this token may not write there"),
        ("x", WRITE, 2, "'x': give the repository as OWNER/NAME"),
        ("me/a b", WRITE, 2, "'me/a b' is not a name that the Hub allows"),
        ("me/a--b", WRITE, 2, "'me/a--b' is not a name that the Hub allows"),
        ("me/x/y", WRITE, 2, "'me/x/y' is not a name that the Hub allows"),
        ("../../etc", WRITE, 2, "is not a name that the Hub allows"),
    ],
)
def test_who_may_not_push_is_told_in_one_line(repo: str, token: str, code: int, said: str, world: World) -> None:
    assert world.create().code == 0
    done = world.person("push", str(world.folder / "out"), repo, HF_TOKEN=token)
    one_line(done, code, re.escape(said))
    assert world.hub.repos() == {}
    assert not token or token not in done.err + done.out


def test_a_read_only_token_on_a_repository_that_is_there(world: World) -> None:
    assert world.create("--push-to-hub", "me/x").code == 0
    assert world.create("--strategy", "naive", "--out", str(world.folder / "other")).code == 0
    done = world.person("push", str(world.folder / "other"), "me/x", HF_TOKEN=READ)
    one_line(done, 1, "me/x: this token may not write there")
    assert "upload" not in {entry["route"] for entry in world.hub.log()[-1:]}


def test_what_is_wrong_is_said_before_anything_is_bought(world: World) -> None:
    for more, env, said in (
        (("--push-to-hub", "a b"), {}, "not a name"),
        (("--push-to-hub", "me/x"), {"HF_TOKEN": ""}, "no token"),
        (("--push-to-hub", "me/x", "--validation", "1"), {}, "--validation is a share"),
        (("--private",), {}, "--private goes with --push-to-hub"),
    ):
        one_line(world.create("--seed", "99", *more, **env), 2, said)
    assert world.server.calls() == 0


def test_rows_of_the_demo_writer_are_refused(world: World) -> None:
    out = str(world.folder / "demo")
    demo = ("create", "csqa", "--model", "demo", "-n", "5", "--out", out)
    one_line(world.person(*demo, "--push-to-hub", "me/x"), 2, "these rows are the demo writer's")
    assert not Path(out).exists()
    assert world.person(*demo).code == 0
    one_line(world.person("push", out, "me/x"), 2, "these rows are the demo writer's")
    assert world.hub.log() == []


def test_a_licence_that_the_hub_does_not_know_is_one_line(world: World) -> None:
    assert world.create().code == 0
    done = world.person("push", str(world.folder / "out"), "me/x", "--license", "mine-1.0")
    one_line(done, 2, 'me/x: the Hub does not accept this: .*"license" must be one of')
    assert set(world.hub.files("datasets/me/x")) == {".gitattributes"}


def test_a_published_run_is_made_again_without_a_request_and_grows(world: World) -> None:
    world.server.reset(bad_json_rate=0.1, duplicate_rate=0.1)
    assert world.create("--strategy", "random", "--push-to-hub", "me/x", "--with-journal").code == 0
    first = written(world.folder / "out")
    calls = world.server.calls()
    anew = str(world.folder / "anew")
    nobody = {name: world.fresh("anew")[name] for name in ("HF_HOME", "LLM_CREATED_CACHE")}
    done = world.person("create", "--from", "me/x", "-n", "40", "--out", anew, OPENAI_API_KEY="", **nobody)
    assert done.code == 0, done.err
    assert "40 rows made again without a request: they are all 40 published ones" in done.err
    assert written(Path(anew)) == first
    assert world.server.calls() == calls
    # What lies beyond is bought, and only that; without a key nothing is.
    line = ("create", "--from", "me/x@random", "-n", "60", "--out", anew)
    one_line(world.person(*line, OPENAI_API_KEY="", **nobody), 2, "OPENAI_API_KEY is not set")
    done = world.person(*line, "--base-url", world.server.url, **nobody)
    assert done.code == 0, done.err
    grown = written(Path(anew))
    assert grown[:40] == first and len(grown) == 60
    bought = world.server.calls() - calls
    assert world.create("--strategy", "random", rows=60).code == 0
    assert written(world.folder / "out") == grown
    assert 0 < bought == world.server.calls() - calls - bought


def test_a_published_row_that_was_changed_is_found(world: World) -> None:
    assert world.create("--push-to-hub", "me/x", "--with-journal", "--validation", "0.2").code == 0
    code = f"""
import io, pyarrow as pa, pyarrow.parquet as pq
from huggingface_hub import HfApi, hf_hub_download
path = "tree/train-00000-of-00001.parquet"
table = pq.read_table(hf_hub_download("me/x", path, repo_type="dataset"))
rows = table.to_pylist()
rows[3]["question"] = "Changed?"
pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), {str(world.folder / "changed")!r})
changed = {str(world.folder / "changed")!r}
HfApi().upload_file(path_or_fileobj=changed, path_in_repo=path, repo_id="me/x", repo_type="dataset")
"""
    assert world.person(code=code).code == 0
    done = world.person("create", "--from", "me/x", "-n", "40", "--out", str(world.folder / "anew"))
    assert done.code == 0, done.err
    assert "they are NOT the published ones, train row 4 differs first, in 'question'" in done.err


def test_a_published_journal_that_lacks_a_reply_buys_nothing_in_its_place(world: World) -> None:
    assert world.create("--push-to-hub", "me/x", "--with-journal").code == 0
    code = """
from huggingface_hub import HfApi, hf_hub_download
path = "tree/journal.jsonl"
lines = open(hf_hub_download("me/x", path, repo_type="dataset"), "rb").read().splitlines(True)
HfApi().upload_file(path_or_fileobj=b"".join(lines[1:]), path_in_repo=path, repo_id="me/x", repo_type="dataset")
"""
    assert world.person(code=code).code == 0
    world.server.reset()
    nobody = world.fresh("anew")["LLM_CREATED_CACHE"]
    line = ("create", "--from", "me/x", "-n", "40", "--out", str(world.folder / "anew"), "--max-calls", "1")
    done = world.person(*line, OPENAI_API_KEY="", LLM_CREATED_CACHE=nobody)
    said = [text for text in done.err.splitlines() if "made again without a request" in text]
    assert len(said) == 1 and re.search(r"NOT the published ones, (there are \d+ instead of 40|train row)", said[0])
    one_line(done, 2, "OPENAI_API_KEY is not set")
    assert world.server.calls() == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--from", "me/x"), "me/x was not pushed with its journal"),
        (("--from", "me/nothing"), "me/nothing: there is no such repository"),
        (("--from", "me/x", "--model", "m"), "--from takes the run as it was published: leave out --model"),
        (("csqa", "--from", "me/x"), "--from takes the run as it was published: leave out the task"),
    ],
)
def test_what_cannot_be_made_again_is_told(more: tuple[str, ...], said: str, world: World) -> None:
    assert world.create("--push-to-hub", "me/x").code == 0
    done = world.person("create", *more, "-n", "5", "--out", str(world.folder / "anew"))
    one_line(done, 1 if "nothing" in said else 2, re.escape(said))


def test_replies_with_a_key_in_them_are_not_pushed(world: World) -> None:
    text = (
        '{"question": "Which key?", "options": ["sk-abcdefghijklmnopqrstuvwxyz0", "b", "c", "d", "e"], "answer": "b"}'
    )
    world.server.reset(reply=f"text:{text}")
    out = str(world.folder / "out")
    assert world.create("--seed", "11", rows=1).code == 0
    done = world.person("push", out, "me/x", "--with-journal")
    one_line(done, 2, r"tree/journal.jsonl, line 1, holds what looks like a key: nothing was pushed")
    # A key of this very machine goes nowhere at all.
    done = world.person("push", out, "me/x", MY_API_KEY="sk-abcdefghijklmnopqrstuvwxyz0")
    one_line(done, 2, r"the rows, line 1, holds the value of a variable of this machine")
    assert "sk-abc" not in done.err
    assert world.hub.repos() == {}


def test_a_human_row_is_cited_and_its_text_stays_at_home(world: World) -> None:
    rows = [{"question": f"A row {n} of people?", "options": list("abcde"), "label": "c"} for n in range(5)]
    data = world.folder / "data"
    data.mkdir()
    (data / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    human = ("--seed-example", "human", "--human-data", str(data))
    assert world.create(*human, "--push-to-hub", "me/x", "--with-journal").code == 0
    files = world.hub.files("datasets/me/x")
    assert not [name for name, data in files.items() if b"of people?" in data]
    assert b"of the split\ntrain of local files" in files["README.md"]
    anew = ("create", "--from", "me/x", "-n", "40", "--out", str(world.folder / "anew"))
    done = world.person(*anew, "--human-data", str(data))
    assert "they are all 40 published ones" in done.err, done.err
    (data / "train.jsonl").write_text(json.dumps(rows[0] | {"question": "Else?"}), "utf-8")
    one_line(
        world.person(*anew, "--human-data", str(data)), 2, "its formatting example is the row [0-9a-f]{16} of local"
    )


def test_hostile_rows_load_and_stay_text(world: World) -> None:
    hostile = ["<script>alert(1)</script><img src=x onerror=alert(2)>", "---\nlicense: mit\n---\n| a | b |\n|--|--|"]
    text = "\n".join(
        json.dumps({"question": one, "options": [f"{one}{n}" for n in range(5)], "answer": f"{one}0"})
        for one in hostile
    )
    world.server.reset(reply=f"text:{text}")
    done = world.create("--seed", "12", "--push-to-hub", "me/x", rows=2)
    assert done.code == 0, done.err
    assert [row["question"] for row in load(world, "me/x", "tree")[0]["train"]] == hostile
    card = world.hub.files("datasets/me/x")["README.md"].decode()
    assert "<script" not in card and "<img" not in card
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;" in card
    assert "license" not in head(world)


def test_models_are_pushed_by_the_same_function(world: World) -> None:
    code = """
from llm_created.hub.repository import commit
from huggingface_hub import snapshot_download
print(commit("me/m", "model", lambda head: {"a.txt": b"1", "model.safetensors": b"2" * 99}, message="One"))
print(commit("me/m", "model", lambda head: {"a.txt": None, "b.txt": head.read("a.txt")}, message="Two"))
"""
    done = world.person(code=code)
    assert done.code == 0, done.err
    assert set(world.hub.files("models/me/m")) == {".gitattributes", "b.txt", "model.safetensors"}
    assert world.hub.repos()["models/me/m"] == (False, ["initial commit", "One", "Two"])


@pytest.mark.slow
def test_a_published_split_stays_until_it_is_dropped(world: World) -> None:
    """A run that was pushed with a share and grows keeps it; `--validation 0` takes its files away in one commit."""

    def splits() -> dict[str, int]:
        (rows,) = load(world, "me/x", "tree")
        return {split: len(part) for split, part in rows.items()}

    assert world.create("--push-to-hub", "me/x", "--validation", "0.3").code == 0
    first = splits()
    assert first["validation"] > 5 and sum(first.values()) == 40
    done = world.create("--push-to-hub", "me/x", rows=60)
    assert done.code == 0 and "its validation split stays, 0.3 of the rows" in done.err
    grown = splits()
    assert (
        grown["validation"] >= first["validation"] and grown["train"] >= first["train"] and sum(grown.values()) == 60
    )
    info = head(world)["dataset_info"]
    assert {one["name"] for one in (info if isinstance(info, dict) else info[0])["splits"]} == {"train", "validation"}
    commits = len(world.hub.repos()["datasets/me/x"][1])
    assert world.create("--push-to-hub", "me/x", "--validation", "0", rows=60).code == 0
    assert splits() == {"train": 60}
    assert len(world.hub.repos()["datasets/me/x"][1]) == commits + 1
    assert not [path for path in world.hub.files("datasets/me/x") if "validation" in path]
    # Another run's share in its place says nothing of this one.
    other = str(world.folder / "other")
    assert world.create("--push-to-hub", "me/x", "--validation", "0.3", rows=60).code == 0
    line = ("--seed", "7", "--out", other, "--push-to-hub", "me/x", "--replace")
    assert world.create(*line).code == 0
    assert splits() == {"train": 40}
