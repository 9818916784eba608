"""The command `llm-created`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import LLMCreatedError
from ..runs.settings import RULES
from ..utils import console

_EPILOG = """\
one formatting example in, a dataset out:
  llm-created create csqa --model demo -n 200                 # no key, built-in writer
  llm-created create csqa --model gpt-4o-mini -n 200          # with OPENAI_API_KEY set
  llm-created create --example my.json --label-space variable --model NAME --base-url http://localhost:8000/v1
"""


@console.until_nobody_reads()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code says how it ended: 0 done, 1 failed, 2 wrong call, 3 stopped short."""
    argv = list(sys.argv[1:] if argv is None else argv)
    console.show_logs()
    args = _parser().parse_args(argv)
    if args.version:
        from ..utils.version import __version__

        console.out(f"llm-created {__version__}")
        return 0
    if not args.command:
        _parser().print_help()
        return 0
    try:
        return int(_function(args.command)(args, argv))
    except LLMCreatedError as error:
        # What stopped short says on a second line how to go on.
        said = str(error) if error.exit_code == 3 else f"error: {error}"
        console.say(*(said.split("\n") if error.in_lines else [said]))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


# Commands that do not stand in a file of their own name.
_MODULES = {
    "preview": "cli.create",
    "tasks": "cli.runs",
    "show": "cli.runs",
    "push-model": "train.publish",
}


def _function(command: str) -> Any:
    """What a command does, imported when it is wanted."""
    module = _MODULES.get(command, f"cli.{command}")
    return getattr(importlib.import_module(f"llm_created.{module}"), command.replace("-", "_"))


def _parser() -> argparse.ArgumentParser:
    parser = console.Parser(
        prog="llm-created",
        description="Datasets written by an LLM from one formatting example.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=console.Parser)
    create = commands.add_parser("create", help="write a dataset; the same command resumes, a larger -n grows it")
    _task(create)
    _run(create)
    create.add_argument("--out", help="folder for the rows (default: created/TASK-STRATEGY-RUN)")
    create.add_argument("--format", choices=("parquet", "jsonl", "arrow"), default="parquet", help="of the rows")
    create.add_argument("--name", help="a name for the run")
    create.add_argument(
        "--from", dest="from_repo", metavar="REPO", help="a published run: its rows made again; -n grows it"
    )
    create.add_argument("--push-to-hub", metavar="REPO", help="push the finished run to OWNER/NAME")
    _hub(create)
    preview = commands.add_parser("preview", help="one call: the prompt, the reply, what becomes of it, the cost")
    _task(preview)
    _run(preview)
    commands.add_parser("tasks", help="the built-in tasks")
    commands.add_parser("runs", help="the runs in the cache")
    show = commands.add_parser("show", help="a run: sample, funnel, reasons, balance, tokens, cost")
    show.add_argument("run", help="the beginning of its digest, its name, or the folder its rows are in")
    show.add_argument("--sample", type=int, default=3, help="rows to show (default 3)")
    push = commands.add_parser("push", help="a run's rows and their card to the Hub, in one commit")
    push.add_argument("run", help="the beginning of its digest, its name, or the folder its rows are in")
    push.add_argument("repo", help="OWNER/NAME; made if it is not there")
    _hub(push)
    _model(commands.add_parser("push-model", help="a trained model and its card to the Hub, in one commit"))
    report = commands.add_parser("report", help="a run as one HTML file: figures, all rows, what was rejected and why")
    report.add_argument("run", help="the beginning of its digest, its name, or the folder its rows are in")
    report.add_argument("--out", metavar="FILE", help="the file (default: report-TASK-STRATEGY-RUN.html)")
    report.add_argument("--results", metavar="DIR", help="result files of models trained on it (default: results)")
    _compare(commands.add_parser("compare", help="runs side by side at equal calls, tokens, dollars or rows"))
    _check(commands.add_parser("check", help="duplicates, near-duplicates and leaks in any file of rows"))
    _label(commands.add_parser("label", help="label rows with the model: zero-shot, few-shot, chain of thought"))
    _evaluate(commands.add_parser("evaluate", help="train a linear model on rows and score it, in seconds"))
    return parser


def _hub(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("on the Hub (the token is read from HF_TOKEN or `hf auth login`)")
    group.add_argument("--private", action="store_true", help="a private repository; refused if it is public")
    group.add_argument(
        "--with-journal", action="store_true", help="the raw replies too: others can make the rows again"
    )
    group.add_argument("--replace", action="store_true", help="put it in the place of another run's configuration")
    group.add_argument(
        "--validation", type=float, default=0.0, metavar="SHARE", help="of the rows, for a split of its own"
    )
    group.add_argument("--license", metavar="NAME", help="of the rows, as the Hub spells it; none is invented")
    group.add_argument("--language", action="append", metavar="CODE", help="of the rows, e.g. en; may be repeated")
    group.add_argument(
        "--overlap", metavar="DIR", help="result files that say how far test sets overlap with the rows"
    )


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="the folder that `llm_created.train.finetune` wrote the model to")
    parser.add_argument("repo", help="OWNER/NAME; made if it is not there (the token: HF_TOKEN or `hf auth login`)")
    parser.add_argument("--private", action="store_true", help="a private repository; refused if it is public")
    parser.add_argument("--replace", action="store_true", help="put it in the place of another model there")
    parser.add_argument("--license", metavar="NAME", help="of the model, as the Hub spells it; none is invented")
    parser.add_argument("--language", action="append", metavar="CODE", help="of the model, e.g. en; may be repeated")


def _evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="a run, a folder, a file, a dataset on the Hub, or `human:train`")
    parser.add_argument(
        "--on", nargs="+", required=True, metavar="TEST", help="files, `csqa:test` ..., or `demo`: a plumbing check"
    )
    parser.add_argument("--task", metavar="NAME", help="of a file or `human:train`: a name, builder file or task.json")
    parser.add_argument("--human-data", metavar="DIR", help="human data beside which to judge, or `hub` to fetch it")
    parser.add_argument(
        "--features", choices=("tfidf", "embeddings"), default="tfidf", help="what the model sees (default tfidf)"
    )
    parser.add_argument("--embedding-model", metavar="NAME", help="of `embeddings`: a name or a path")
    parser.add_argument("-n", "--num-rows", type=int, metavar="N", help="train on the first N rows (default all)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of human rows (default 0)")
    parser.add_argument("--results", metavar="DIR", help="write the figures and predictions under this folder")


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="beginnings of digests, names, or folders of rows")
    parser.add_argument("--at", choices=("calls", "tokens", "dollars", "rows"), default="calls", help="what is equal")
    parser.add_argument("--budget", type=float, metavar="N", help="how much of it (default: the smallest total)")
    parser.add_argument("--embedding-model", metavar="NAME", help="of the similarity: a name or a path")
    parser.add_argument("--results", metavar="DIR", help="result files of models trained on them (default: results)")
    parser.add_argument("--format", choices=("text", "markdown"), default="text", help="of the table")


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="a run, a folder, a file, a dataset on the Hub, or `human:train`")
    parser.add_argument("--task", metavar="NAME", help="of a file or `human:train`: a name, builder file or task.json")
    parser.add_argument("--near-duplicates", type=float, metavar="COS", help="cosine from which on rows are alike")
    parser.add_argument("--check-against", nargs="+", metavar="SET", help="evaluation sets: `csqa:test`, files")
    parser.add_argument("--embedding-model", metavar="NAME", help="of --near-duplicates: a name or a path")
    parser.add_argument("--human-data", metavar="DIR", help="human data in place of the Hub")
    parser.add_argument("--report", metavar="FILE", help="one JSON line for each row with a finding")


def _label(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="records with the task's input fields: JSON lines, CSV, Parquet")
    parser.add_argument("--task", required=True, metavar="NAME", help="a name, builder file or task.json")
    parser.add_argument("--model", help="a model's name at the server, or `demo`")
    parser.add_argument("--out", metavar="FILE", help="default: the file's name with -labelled.jsonl")
    parser.add_argument(
        "--shots", type=int, default=0, metavar="K", help="labelled rows to show before each (default 0)"
    )
    parser.add_argument("--shots-from", metavar="FILE", help="where they are; else the task's human training split")
    parser.add_argument("--human-data", metavar="DIR", help="human data in place of the Hub")
    parser.add_argument("--chain-of-thought", action="store_true", help="an explanation before the answer")
    parser.add_argument("--votes", type=int, default=1, metavar="N", help="answers to each row; the majority counts")
    parser.add_argument("--description", metavar="TEXT", help="the task in words; by default what its guide says")
    parser.add_argument("--seed", type=int, default=42, help="of the draw of shots (default 42)")
    parser.add_argument("--temperature", type=float, help="default 1")
    parser.add_argument("--top-p", type=float, help="default 1")
    _server(parser)
    _stops(parser)


def _task(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the task")
    group.add_argument("task", nargs="?", help="a built-in task (`llm-created tasks`) or a builder file")
    group.add_argument("--example", metavar="JSON", help="a task of your own: a file with one formatting example")
    group.add_argument("--label-space", choices=("fixed", "variable"), help="do all rows share the example's options?")
    group.add_argument("--labels", metavar="A,B,C", help="the fixed labels, where the example lists none")
    group.add_argument("--answer-field", metavar="KEY", help="which key of the example is the answer")
    group.add_argument("--options-field", metavar="KEY", help="which key of the example lists the options")
    group.add_argument("--fields", metavar="A,B", help="a task without an example: its input fields, with --labels")
    group.add_argument("--num-options", type=int, metavar="N", help="with --fields: options of a row, where they vary")
    group.add_argument(
        "--description", metavar="TEXT", help="the task in words (or a file), where no example is shown"
    )
    group.add_argument("--seed-example", choices=("own", "human"), help="`human`: drawn from the training split")
    group.add_argument(
        "--human-data", metavar="DIR", help="JSON lines in place of the Hub: train.jsonl, dev.jsonl ..."
    )


def _run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the run: these decide its rows")
    group.add_argument("--model", help="a model's name at the server, or `demo`")
    group.add_argument("--strategy", help="naive, random, contrastive, similar or tree (default)")
    group.add_argument("--method", help="self-reference (default), targen, attrprompt or simprompt")
    group.add_argument("--contexts", type=int, metavar="N", help="of targen: contexts in a round (default 20)")
    group.add_argument("--attributes", metavar="FILE", help="of attrprompt, or laid over a strategy; `ask`: the model")
    group.add_argument("--attributes-out", metavar="FILE", help="where `--attributes ask` puts what the model says")
    group.add_argument(
        "-n", "--num-rows", type=int, metavar="N", help="rows wanted (default 1000; with --from, its own)"
    )
    group.add_argument("--num-examples", type=int, metavar="N", help="rows asked for in one call (default 5)")
    group.add_argument("--chains", type=int, metavar="N", help="of random, contrastive and similar (default 8)")
    group.add_argument("--seed", type=int, default=42, help="of every choice (default 42)")
    group.add_argument("--temperature", type=float, help="default 1")
    group.add_argument("--top-p", type=float, help="default 1")
    group.add_argument("--instruction-extra", metavar="FILE", help="your own guardrails, appended to the instruction")
    group.add_argument("--embedding-model", metavar="NAME", help="of contrastive and similar: a name or a path")
    group.add_argument("--paper", action="store_true", help="the settings of the EMNLP 2023 paper, for reproduction")
    group.add_argument("--yes", action="store_true", help="agree to what was refused without it")
    _server(parser)
    stops = _stops(parser)
    stops.add_argument("--patience", type=int, default=20, metavar="N", help="turns without a new row (default 20)")
    group = parser.add_argument_group("what is emitted: may be added to a finished run, or left out again")
    group.add_argument("--verify", type=int, default=0, metavar="N", help="blind votes of the model on each row")
    group.add_argument("--verify-rule", choices=RULES, default="drop", help="a row they do not confirm (default drop)")
    group.add_argument(
        "--self-correct", choices=("off", *RULES), nargs="?", const="relabel", help="one call rechecks the label"
    )
    group.add_argument(
        "--balance", choices=("ask", "hold"), nargs="?", const="ask", default=False, help="labels even at every prefix"
    )
    group.add_argument(
        "--near-duplicates", type=float, metavar="COS", help="drop rows as like an earlier one, e.g. 0.9"
    )
    group.add_argument("--check-against", nargs="+", metavar="SET", help="evaluation sets that no row may repeat")
    group.add_argument(
        "--leaks", choices=("drop", "report"), default="drop", help="rows that repeat one (default drop)"
    )
    group.add_argument("--filter", metavar="MODULE:FUNCTION", help="your own check: row (a dict) to a reason or None")


def _server(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the server (the key is read from OPENAI_API_KEY)")
    group.add_argument("--base-url", metavar="URL", help="any OpenAI-compatible server, e.g. http://localhost:8000/v1")
    group.add_argument("--api-key-env", default="OPENAI_API_KEY", metavar="NAME", help="another variable for the key")
    group.add_argument("--concurrency", type=int, default=32, metavar="N", help="requests in flight (default 32)")
    group.add_argument("--max-tokens", type=int, metavar="N", help="bound on one reply")
    group.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds for one attempt (120)")
    group.add_argument("--structured", choices=("auto", "on", "off"), default="auto", help="structured output")
    group.add_argument("--send-seed", action="store_true", help="send an API seed derived from --seed")
    group.add_argument("--rpm", type=float, metavar="N", help="requests a minute")
    group.add_argument("--tpm", type=float, metavar="N", help="tokens a minute")


def _stops(parser: argparse.ArgumentParser) -> Any:
    group = parser.add_argument_group("where it stops")
    group.add_argument("--max-cost", type=float, metavar="USD", help="cap in dollars, over the life of the run")
    group.add_argument("--max-tokens-total", type=int, metavar="N", help="cap in tokens, likewise")
    group.add_argument("--max-calls", type=int, metavar="N", help="cap in HTTP requests, likewise")
    group.add_argument("--price", metavar="IN,OUT", help="dollars per million prompt and completion tokens")
    return group
