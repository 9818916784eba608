"""The words of the command line: commands, flags and their help."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import cache

from ..utils import console
from . import flags

_EPILOG = """\
one formatting example in, a dataset out:
  llm-created create csqa --model demo -n 200                 # no key, built-in writer
  llm-created create csqa --model gpt-4o-mini -n 200          # with OPENAI_API_KEY set
  llm-created create --example my.json --label-space variable --model NAME --base-url http://localhost:8000/v1
"""


@cache
def parser() -> tuple[console.Parser, Mapping[str, console.Parser]]:
    """The whole command line, and each command's own."""
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
    flags.run(create)
    create.add_argument("--out", help="folder for the rows (default: created/TASK-STRATEGY-RUN)")
    create.add_argument("--format", choices=("parquet", "jsonl", "arrow"), default="parquet", help="of the rows")
    create.add_argument("--name", help="a name for what this makes; it keeps it until another command takes it over")
    create.add_argument(
        "--ask-again", metavar="REASON", help="drop replies that gave nothing: not_json, refusal ...; they stay paid"
    )
    create.add_argument(
        "--from", dest="from_repo", metavar="REPO", help="a published run: its rows made again; -n grows it"
    )
    create.add_argument("--push-to-hub", metavar="REPO", help="push the finished run to OWNER/NAME")
    _hub(create)
    preview = commands.add_parser("preview", help="one call: the prompt, the reply, what becomes of it, the cost")
    _task(preview)
    flags.run(preview)
    commands.add_parser("tasks", help="the built-in tasks")
    runs = commands.add_parser("runs", help="the runs in the cache: how far, how large, whether under way")
    runs.add_argument("--all", action="store_true", help="those that were only previewed, too")
    rm = commands.add_parser("rm", help="delete a run's replies; rows that were written stay")
    rm.add_argument("run", help="the beginning of its digest, its name, or the folder its rows are in")
    rm.add_argument("--yes", action="store_true", help="delete it without asking")
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
    report.add_argument("--label-errors", action="store_true", help="mark rows whose labels are likely wrong")
    review = commands.add_parser("review", help="look at rows on a page of this machine, one by one, and judge labels")
    review.add_argument("run", help="the beginning of its digest, its name, or the folder its rows are in")
    review.add_argument("--blind", action="store_true", help="the given label is hidden, and the right one chosen")
    _page(review)
    audit = commands.add_parser("audit", help="how many labels are right: a drawn sample, judged blind on a page")
    audit.add_argument("run", help="the beginning of its digest, its name, or the folder its rows are in")
    audit.add_argument(
        "-n", "--num-rows", type=int, metavar="N", help="rows of the sample (default: as before, or 100)"
    )
    _page(audit)
    _compare(commands.add_parser("compare", help="runs side by side at equal calls, tokens, dollars or rows"))
    _check(commands.add_parser("check", help="duplicates, leaks and likely label errors in any file of rows"))
    _label(commands.add_parser("label", help="label rows with the model: zero-shot, few-shot, chain of thought"))
    _evaluate(commands.add_parser("evaluate", help="train a linear model on rows and score it, in seconds"))
    _fit(commands.add_parser("fit", help="from your own labelled rows to a classifier, and whether created rows help"))
    _predict(commands.add_parser("predict", help="a trained model puts labels to a file: CSV, JSON lines, Parquet"))
    return parser, commands.choices


def _page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as", dest="person", default="me", metavar="NAME", help="who looks at them (default me)")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of 127.0.0.1 (default: one that is free)")
    parser.add_argument("--no-browser", action="store_true", help="print the page's address, and open nothing")


def _hub(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("on the Hub (the token is read from HF_TOKEN or `hf auth login`)")
    group.add_argument("--private", action="store_true", help="a private repository; refused if it is public")
    group.add_argument(
        "--with-journal", action="store_true", help="the raw replies too: others can make the rows again"
    )
    group.add_argument("--replace", action="store_true", help="put it in the place of another run's configuration")
    group.add_argument(
        "--validation", type=float, metavar="SHARE", help="of the rows, for a split of its own (default: as published)"
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
    parser.add_argument("--save", metavar="DIR", help="keep the model in this folder, for `llm-created predict`")


def _fit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="your rows, labelled, or some of them: CSV, TSV, JSON lines, JSON, Parquet ...")
    group = parser.add_argument_group("your rows (what is not said is inferred, and told)")
    group.add_argument("--text", dest="fields", metavar="A,B", help="the columns that are read")
    group.add_argument("--label", dest="answer_field", metavar="COLUMN", help="the column of the labels")
    group.add_argument("--options", dest="options_field", metavar="COLUMN", help="the column of a row's own options")
    group.add_argument("--labels", metavar="A,B,C", help="all labels, where the rows do not have them all")
    group.add_argument("--label-space", choices=("fixed", "variable"), help="do all rows share their options?")
    group.add_argument("--test", metavar="FILE", help="rows to score on, in place of a part of yours")
    group.add_argument("--share", type=float, default=0.3, metavar="P", help="of your rows, to score on (default 0.3)")
    group.add_argument("--examples", type=int, default=40, metavar="N", help="most shown to the writer (default 40)")
    parser.add_argument("--out", metavar="DIR", help="of the classifier (default: NAME-classifier)")
    parser.add_argument(
        "--features",
        choices=("tfidf", "embeddings"),
        help="of a linear model (default embeddings, if a model is here)",
    )
    parser.add_argument("--encoder", metavar="NAME", help="train this transformer in place of a linear model")
    parser.add_argument("--overwrite", action="store_true", help="put it in the place of another fit")
    flags.run(parser)
    flags.of_description(parser)
    flags.usual(parser, "num_rows", 300)


def _predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="folder of `fit`, of `evaluate --save` or of finetune, or an encoder on the Hub")
    parser.add_argument("file", help="CSV, TSV, JSON lines, JSON, Parquet ...; `-` is standard input")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help=".csv, .tsv, .jsonl, .json or .parquet, or `-`; default: NAME-predicted beside it",
    )
    parser.add_argument("--abstain", type=float, metavar="P", help="no label where it is less likely than this")
    parser.add_argument("--fields", metavar="COLUMN=FIELD,...", help="columns under other names: body=text")
    parser.add_argument("--embedding-model", metavar="NAME", help="of a linear model, where it lies elsewhere by now")
    parser.add_argument("--overwrite", action="store_true", help="write over a file that is there")


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
    parser.add_argument("--label-errors", action="store_true", help="labels that are likely wrong, likeliest first")
    parser.add_argument(
        "--features",
        choices=("tfidf", "embeddings"),
        help="of --label-errors (default embeddings, if they are here)",
    )
    parser.add_argument("--report", metavar="FILE", help="one JSON line for each row with a finding")


def _label(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="records with the task's input fields: JSON lines, JSON, CSV, Parquet")
    parser.add_argument("--task", required=True, metavar="NAME", help="a name, builder file, task.json, folder")
    parser.add_argument(
        "--out", metavar="FILE", help=".jsonl, .json, .csv or .tsv; default: the file's name with -labelled.jsonl"
    )
    parser.add_argument(
        "--shots", type=int, default=0, metavar="K", help="labelled rows to show before each (default 0)"
    )
    parser.add_argument("--shots-from", metavar="FILE", help="where they are; else the task's human training split")
    parser.add_argument("--chain-of-thought", action="store_true", help="an explanation before the answer")
    parser.add_argument("--votes", type=int, default=1, metavar="N", help="answers to each row; the majority counts")
    parser.add_argument(
        "--likelihood", action="store_true", help="instead of an answer, how likely a model of this process holds each"
    )
    flags.of_labels(parser)


def _task(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the task")
    group.add_argument("task", nargs="?", help="a built-in task (`llm-created tasks`) or a builder file")
    group.add_argument(
        "--example", metavar="FILE", help="a task of your own: a file with one or more formatting examples"
    )
    group.add_argument("--label-space", choices=("fixed", "variable"), help="do all rows share the example's options?")
    group.add_argument("--labels", metavar="A,B,C", help="the fixed labels, where the example lists none")
    group.add_argument(
        "--answer-field", "--label", metavar="KEY", help="which key or column of the example is the answer"
    )
    group.add_argument("--options-field", metavar="KEY", help="which key of the example lists the options")
    group.add_argument(
        "--fields", "--text", metavar="A,B", help="the inputs, of an example or, with --labels, of a task without one"
    )
    group.add_argument("--aside", metavar="A,B", help="what is written with a row and is no input, e.g. explanation")
    group.add_argument("--num-options", type=int, metavar="N", help="with --fields: options of a row, where they vary")
    flags.of_task(group)
