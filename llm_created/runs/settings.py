"""Every setting of a run, declared once: the command line, `load_dataset` and cards read it here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..utils.text import clean
from .identity import DEFAULT_EMBEDDING_MODEL, PAPER_EMBEDDING_MODEL
from .knobs import EMISSION, IDENTITY, STOP, TRANSPORT, Knob, described, knob, table

DEMO = "demo"
# A model of this process: the one in the box, or `local:NAME`.
LOCAL = "local"
# What becomes of a row that judges do not confirm.
RULES = ("drop", "relabel", "keep")
# What becomes of one that people do not hold right.
REVIEWED = ("drop", "relabel")
_RULES_SAID = {
    "drop": "a row stays if its answer is confirmed",
    "relabel": "a row gets the answer that is held right, and without one it is left out",
    "keep": "every row stays as it is",
}
# What `verify` may be instead of a number of votes.
LIKELIHOOD = "likelihood"


@dataclass
class Settings:
    """How a run is made: `Settings(model="demo", num_rows=200)`.

    `None` stands for the default, so that a contradiction can be told from a default. A setting is declared here and
    nowhere else.

    Example:

        >>> from llm_created import Settings
        >>> Settings(model="demo").num_rows
        1000

    Args:
    """

    model: str | None = knob(
        None, IDENTITY, "the model's name at the server; `local:NAME` is a causal LM of the Hub, a folder or a GGUF "
        "file in this process, `local` the small one in the box, `demo` the built-in writer: these need no key",
        metavar="NAME",
    )  # fmt: skip
    num_rows: int = knob(
        1000, STOP, "rows wanted; the same run with more rows keeps those it has", flag="-n", metavar="N", least=1
    )
    num_examples: int | None = knob(
        None, IDENTITY, "rows asked for in one call; of targen, seeds for each context", metavar="N", usual=5, paper=5,
        least=1, most=100,
    )  # fmt: skip
    chains: int | None = knob(
        None, IDENTITY, "of random, contrastive and similar: chains that go on beside each other", metavar="N",
        usual=8, paper=1, least=1,
    )  # fmt: skip
    shown: int | None = knob(
        None, IDENTITY, "of pool: examples that a call shows, yours and accepted ones", metavar="N", usual=4, least=2,
        most=32,
    )  # fmt: skip
    contexts: int | None = knob(
        None, IDENTITY, "of targen: contexts in a round", metavar="N", usual=20, least=1, most=100
    )
    seed: int = knob(42, IDENTITY, "of every choice", metavar="N")
    temperature: float | None = knob(
        None, IDENTITY, "sampling temperature", metavar="T", usual=1.0, paper=1.0, least=0, most=2
    )
    top_p: float | None = knob(None, IDENTITY, "nucleus sampling", metavar="P", usual=1.0, paper=1.0, above=0, most=1)
    embedding_model: str | None = knob(
        None, IDENTITY, "of contrastive and similar, and of near-duplicates: a name or a path", metavar="NAME",
        usual=DEFAULT_EMBEDDING_MODEL, paper=PAPER_EMBEDDING_MODEL,
    )  # fmt: skip
    instruction_extra: str | None = knob(
        None, IDENTITY, "your own guardrails, appended to the instruction: a text, or a file with it", metavar="FILE"
    )
    min_words: int = knob(
        0, IDENTITY, "rows whose longest field has fewer words are none, and no examples for others either",
        metavar="N", least=0, most=1000,
    )  # fmt: skip
    attributes: str | Mapping[str, Any] | None = knob(
        None, IDENTITY, "attribute dimensions (a JSON file), of attrprompt, or laid over a strategy; on the command "
        "line `ask` has the model propose them", metavar="FILE",
    )  # fmt: skip
    paper: bool = knob(False, IDENTITY, "the settings of the EMNLP 2023 paper, for reproduction")
    description: str | None = knob(
        None, IDENTITY, "the task in words (or a file), where no example is shown and for judges; by default what its "
        "guide says", metavar="TEXT", of_task=True,
    )  # fmt: skip
    seed_example: str | None = knob(
        None, IDENTITY, "`own`, the task's formatting example, or `human`, one drawn from the human training split",
        usual="own", paper="human", choices=("own", "human"), of_task=True,
    )  # fmt: skip
    human_data: str | Mapping[str, str] | None = knob(
        None, TRANSPORT, "JSON lines in place of the Hub: a folder with train.jsonl and others", metavar="DIR",
        of_task=True,
    )  # fmt: skip
    base_url: str | None = knob(
        None, TRANSPORT, "any OpenAI-compatible server, e.g. http://localhost:8000/v1", metavar="URL"
    )
    serve: str | None = knob(
        None, TRANSPORT, "start a server that is on this machine, and end it with the run: `vllm`, `llama-server`, "
        "`ollama`, or a command that holds {port}, and {model} where it wants that", metavar="SERVER",
    )  # fmt: skip
    serve_timeout: float = knob(600.0, TRANSPORT, "seconds that it may take to start", metavar="S", above=0)
    api_key_env: str = knob("OPENAI_API_KEY", TRANSPORT, "the environment variable that holds the key", metavar="NAME")
    concurrency: int = knob(32, TRANSPORT, "requests in flight", metavar="N", least=1)
    max_tokens: int | None = knob(None, TRANSPORT, "bound on one reply", metavar="N", least=1)
    timeout: float = knob(120.0, TRANSPORT, "seconds for one attempt", metavar="S", above=0)
    structured: str = knob(
        "auto", TRANSPORT, "structured output: where the server has it, always, never", choices=("auto", "on", "off")
    )
    send_seed: bool = knob(False, TRANSPORT, "send an API seed derived from the run's and the request")
    rpm: float | None = knob(None, TRANSPORT, "requests a minute", metavar="N", above=0)
    tpm: float | None = knob(None, TRANSPORT, "tokens a minute", metavar="N", above=0)
    max_cost: float | None = knob(None, STOP, "cap in dollars, over the life of the run", metavar="USD", above=0)
    max_tokens_total: int | None = knob(None, STOP, "cap in tokens, over the life of the run", metavar="N", above=0)
    max_calls: int | None = knob(None, STOP, "cap in HTTP requests, over the life of the run", metavar="N", above=0)
    price: str | None = knob(None, STOP, "dollars per million prompt and completion tokens", metavar="IN,OUT")
    patience: int = knob(20, STOP, "turns in a row without a new row that end the run", metavar="N", least=1)
    # In the order in which a row meets them.
    filter: str | Callable[[Mapping[str, Any]], str | None] | None = knob(
        None, EMISSION, "your own check: a function, or `module:function`, from a row (a dict) to a reason to leave "
        "it out, or None", metavar="MODULE:FUNCTION",
        card="filter", said="{filter}, a function that says which rows are left out",
    )  # fmt: skip
    near_duplicates: float | None = knob(
        None, EMISSION, "leave out rows as like an earlier one as this cosine, e.g. 0.9", metavar="COS", above=0,
        most=1,
        card="near-duplicates", said="a row whose cosine to an earlier one is {near_duplicates} or more is left out",
    )  # fmt: skip
    check_against: Sequence[str] | None = knob(
        None, EMISSION, "evaluation sets that no row may repeat: `csqa:test`, files", metavar="SET",
        card="leakage", said="a row that repeats one of {check_against} {leaks}",
    )  # fmt: skip
    leaks: str = knob(
        "drop", EMISSION, "what becomes of rows that repeat one", choices=("drop", "report"),
        words={"drop": "is left out", "report": "stays, and is counted"},
    )  # fmt: skip
    self_correct: str | None = knob(
        None, EMISSION, "one call sees the answer and rechecks it; with targen `relabel` by default",
        choices=("off", *RULES), bare="relabel",
        card="self-correction", said="one call sees the answer and rechecks it: {self_correct}",
        words=_RULES_SAID,
    )  # fmt: skip
    verify: int | str = knob(
        0, EMISSION, "blind votes of the model on each row's answer, or `likelihood`: how likely a model of this "
        "process holds each option, for one forward pass", metavar="N", least=0, most=100, instead=(LIKELIHOOD,),
        card="verification", said="{verify}: {verify_rule}",
        unit="{} blind votes on the answer, more than half of which decide",
        words={
            1: "one blind vote on the answer",
            LIKELIHOOD: "the model's own likelihood of each label, calibrated against an empty input",
        },
    )  # fmt: skip
    verify_rule: str = knob(
        "drop", EMISSION, "what becomes of a row that `verify` does not confirm", choices=RULES, words=_RULES_SAID
    )
    reviewed: str | None = knob(
        None, EMISSION, "what becomes of rows whose label people do not hold right (`llm-created review`); rows that "
        "nobody has looked at stay", choices=REVIEWED,
        card="review", said="people looked at rows: {reviewed}",
        words={
            "drop": "a row that they do not hold right is left out, and what nobody looked at stays",
            "relabel": "a row gets the label that they hold right, and what nobody looked at stays",
        },
    )  # fmt: skip
    balance: bool | str = knob(
        False, EMISSION, "labels even at every prefix: `ask` demands the one that is short, which makes another run; "
        "`hold` only holds rows back", choices=(False, True, "ask", "hold"), bare="ask",
        card="balance", said="rows are held back so that at every point the labels are even, to within one row",
    )  # fmt: skip
    allow_partial: bool = knob(False, STOP, "in `load_dataset`, take what a run that stopped short has", python=True)
    yes: bool = knob(False, STOP, "agree to what is refused without it: an edited instruction, say")

    @classmethod
    def of(cls, values: object) -> Settings:
        """The settings among the attributes of something that has more."""
        given = {name: getattr(values, name, None) for name in KNOBS}
        return cls(**{name: value for name, value in given.items() if value is not None})

    def check(self) -> None:
        """Say what is wrong with a value before anything is done with it.

        Raises:
            UsageError: a number is out of range, a name cannot be sent, or a setting contradicts `paper`.
        """
        for name, one in KNOBS.items():
            if (value := getattr(self, name)) is not None:
                one.check(value)
        if self.model is not None and clean(self.model) != self.model:
            raise UsageError(f"`model` {self.model!r} is not a name that can be sent: give it as the server lists it")
        self._check_server()
        if self.verify == LIKELIHOOD:
            self.check_likelihood("`verify`")
        for name, one in KNOBS.items():
            if one.paper is not None:
                self.get(name)

    def _check_server(self) -> None:
        """Say that there is more than one who would answer."""
        if self.serve is None and self.base_url is None:
            return
        if self.serve is not None and self.base_url is not None:
            raise UsageError(f"`serve` starts a server of its own: leave out `base_url` {self.base_url!r}, or `serve`")
        inside = "is built in" if self.model == DEMO else "runs in this process" if self.local is not None else ""
        if inside:
            other = "serve" if self.serve is not None else "base_url"
            raise UsageError(f"`model` {self.model} {inside}: leave out `{other}`, or name a model of that server")

    def check_likelihood(self, votes: str) -> None:
        """Say that a model tells no likelihoods, and that it may give `votes` N instead.

        Raises:
            UsageError: it is one of a server.
        """
        if self.model is not None and self.local is None and self.model != DEMO:
            raise UsageError(
                f"likelihood is read off a model of this process, and {self.model!r} is one of a server: give `model` "
                f"local:NAME, or {votes} N votes"
            )

    @property
    def votes(self) -> int:
        """Calls that `verify` makes for each row."""
        return 1 if isinstance(self.verify, str) else self.verify

    @property
    def local(self) -> str | None:
        """What stands for a model of this process behind `local:`, `""` for the one in the box; else `None`."""
        head, _, name = (self.model or "").partition(":")
        return name if head == LOCAL else None

    @property
    def model_name(self) -> str | None:
        """The model as runs, cards and the Hub name it: of a path its last part, and not where it lies."""
        if not self.local:
            return self.model
        path = Path(self.local).expanduser()
        if path.is_absolute() or self.local[0] in ".~" or path.suffix == ".gguf" or path.exists():
            path = Path(os.path.abspath(path))
            return f"{LOCAL}:{path.stem if path.suffix == '.gguf' else path.name}"
        return self.model

    def get(self, name: str) -> Any:
        """A setting that `paper` decides, the user's, or the default."""
        given, one = getattr(self, name), KNOBS[name]
        if not self.paper:
            return one.usual if given is None else given
        if given is not None and given != one.paper and name != "seed_example":
            raise UsageError(f"`paper=True` sets `{name}` {one.paper}: leave out {given!r}, or `paper=True`")
        return one.paper if given is None else given


KNOBS: Mapping[str, Knob] = table(Settings)
Settings.__doc__ = f"{(Settings.__doc__ or '').rstrip()}\n" + "".join(f"        {line}\n" for line in described(KNOBS))
