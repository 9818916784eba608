"""What a run *is*: the settings that decide its infinite sequence of rows, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..errors import UsageError
from ..tasks.guide import Guide
from ..tasks.task import Row, Task
from ..utils.text import digest, nearest

CHAINED = ("random", "contrastive", "similar")
# Self-reference, and the methods that show no example.
SELF_REFERENCE = ("naive", *CHAINED, "tree", "pool")
METHODS = ("targen", "attrprompt", "simprompt")
STRATEGIES = (*SELF_REFERENCE, *METHODS)
_ALIASES = {"diverse": "contrastive"}
MAX_CHAINS = 10_000
MAX_SHOWN = 32
# Far more examples than a person looks through, and far less text than a header bears.
MAX_EXAMPLES = 1_000
_MAX_BYTES = 3_000_000
DEFAULT_EMBEDDING_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
PAPER_EMBEDDING_MODEL = "sentence-transformers/all-mpnet-base-v2"


@dataclass(frozen=True)
class Identity:
    """Everything that shapes the sequence of rows of a run.

    How many rows are wanted, requests in flight, caps, patience, addresses, transport details, verification and
    filters are not here: they decide where the sequence stops or what of it is emitted.

    Args:
        task (`Task`): the task.
        example (`Mapping[str, Any]`, *optional*): the formatting example as JSON; self-reference begins with it.
        model (`str`): the model that writes.
        instruction (`str`): the system message.
        strategy (`str`, defaults to `"tree"`): which row is the formatting example of the next turn; or a method that
            shows no example: `"targen"`, `"attrprompt"`, `"simprompt"`; `""` where questions are asked and no rows
            are written.
        chains (`int`, defaults to 8): independent chains of `random`, `contrastive` and `similar`; else unused.
        num_examples (`int`, defaults to 5): rows asked for in one call; of `targen`, instance seeds.
        temperature (`float`, defaults to 1.0): sampling temperature.
        top_p (`float`, defaults to 1.0): nucleus sampling.
        seed (`int`, defaults to 42): decides order and choice.
        embedding_model (`str`, *optional*): for `contrastive` and `similar`; else unused.
        embed_question_only (`bool`, defaults to `False`): embed the first input field alone, as the paper did.
        seed_from (`Mapping[str, Any]`, *optional*): where people's data the formatting example was drawn from; a card
            cites it, and it decides no row.
        guide (`Guide`, *optional*): the task in words, for the methods that show no example.
        contexts (`int`, defaults to 20): contexts in a round of `targen`; else unused.
        attributes (`Mapping[str, Any]`, *optional*): of `attrprompt`, or laid over self-reference: see `attributes`.
        balance (`bool`, defaults to `False`): self-reference demands a label in each call, the one that is short.
        shown (`int`, defaults to 4): examples that a call of `pool` shows; else unused.
        min_words (`int`, defaults to 0): rows whose longest input has fewer words are none.
        more_examples (`Sequence[Mapping[str, Any]]`, *optional*): the other formatting examples, in their order; with
            the first one they are the roots of self-reference.

    Example:

        >>> from llm_created import Identity, Task
        >>> example = {"question": "Is ice cold?", "options": ["True", "False"], "answer": "True"}
        >>> task = Task.from_example(example, label_space="fixed")
        >>> first, second = (Identity(task, example, "my-model", "Write one more.", seed=seed) for seed in (1, 2))
        >>> first.digest == second.digest, len(first.digest)
        (False, 16)
    """

    task: Task
    example: Mapping[str, Any] | None
    model: str
    instruction: str
    strategy: str = "tree"
    chains: int = 8
    num_examples: int = 5
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 42
    embedding_model: str = DEFAULT_EMBEDDING_MODEL
    embed_question_only: bool = False
    seed_from: Mapping[str, Any] | None = field(default=None, compare=False)
    guide: Guide = field(default_factory=lambda: Guide(""))
    contexts: int = 20
    attributes: Mapping[str, Any] | None = None
    balance: bool = False
    min_words: int = 0
    more_examples: Sequence[Mapping[str, Any]] = ()
    shown: int = 4

    def __post_init__(self) -> None:
        if self.strategy:
            object.__setattr__(self, "strategy", known_strategy(self.strategy))
        if not 1 <= self.chains <= MAX_CHAINS:
            raise UsageError(f"`chains` must be from 1 to {MAX_CHAINS:,}, not {self.chains}")
        if not 1 <= self.num_examples <= 100:
            raise UsageError(f"`num_examples` must be from 1 to 100, not {self.num_examples}")
        if not 1 <= self.contexts <= 100:
            raise UsageError(f"`contexts` must be from 1 to 100, not {self.contexts}")
        if not 2 <= self.shown <= MAX_SHOWN:
            raise UsageError(f"`shown` must be from 2 to {MAX_SHOWN}, not {self.shown}")
        if not 0 <= self.min_words <= 1000:
            raise UsageError(f"`min_words` must be from 0 to 1,000, not {self.min_words}")
        if not 0 <= self.temperature <= 2:
            raise UsageError(f"`temperature` must be from 0 to 2, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"`top_p` must be above 0 and at most 1, not {self.top_p}")

    @property
    def embeds(self) -> bool:
        """Whether the strategy compares embeddings."""
        return self.strategy in ("contrastive", "similar")

    @cached_property
    def seed_row(self) -> Row:
        """The first formatting example as a row of depth 0. It is never a row of the dataset."""
        if self.example is None:
            raise UsageError(f"`strategy` {self.strategy} begins with a formatting example: give `example` my.json")
        return self.task.seed_row(self.example)

    @cached_property
    def seed_rows(self) -> tuple[Row, ...]:
        """All formatting examples as rows of depth 0, in their order."""
        number = 1 + len(self.more_examples)
        if number > MAX_EXAMPLES:
            raise UsageError(
                f"{number:,} formatting examples are too many, {MAX_EXAMPLES:,} are the most: give some of each label"
            )
        rows = (self.seed_row, *map(self.task.seed_row, self.more_examples))
        if len({row.key for row in rows}) < number:
            raise UsageError("two formatting examples have the same inputs: leave one of them out")
        size = sum(len(json.dumps(self._short(row), ensure_ascii=False).encode()) for row in rows)
        if number > 1 and size > _MAX_BYTES:
            raise UsageError(
                f"{number:,} formatting examples of {size:,} bytes are too long: {_MAX_BYTES:,} are the most"
            )
        return rows

    def _short(self, row: Row) -> dict[str, Any]:
        """An example beside the first one, which names fixed options for all of them."""
        shown = self.task.example(row)
        return {name: value for name, value in shown.items() if self.task.variable or name != self.task.options}

    @property
    def method(self) -> str:
        """`"self-reference"`, the method that shows no example, or `""` where no rows are written."""
        return "self-reference" if self.strategy in SELF_REFERENCE else self.strategy

    @property
    def rows_per_turn(self) -> int:
        """Rows that a turn asks for, if it asks for any."""
        return 1 if self.strategy in METHODS else self.num_examples

    @cached_property
    def as_json(self) -> dict[str, Any]:
        """The identity as plain JSON: what the digest is taken of and the journal's header holds."""
        # A task is what its fields and labels are: the name of the file that an example came in decides no row.
        task = {name: value for name, value in self.task.to_json().items() if name != "name"}
        value = {
            "task": task,
            "example": self.task.example(self.seed_row) if self.strategy in SELF_REFERENCE else None,
            "method": self.method,
            "strategy": self.strategy,
            "model": self.model,
            "num_examples": 1 if self.strategy in ("attrprompt", "simprompt") else self.num_examples,
            "instruction": self.instruction,
            "temperature": float(self.temperature),
            "top_p": float(self.top_p),
            "seed": self.seed,
        }
        return value | self._told() | self._varied()

    def _told(self) -> dict[str, Any]:
        """What it goes by beside the first example: the others, or the task in words."""
        if self.strategy not in SELF_REFERENCE:
            guide = self.guide.to_json()
            return {"guide": {name: guide[name] for name in ("description", "labels", "seed", "draws", "source")}}
        return {"more_examples": list(map(self._short, self.seed_rows[1:]))} if self.more_examples else {}

    def _varied(self) -> dict[str, Any]:
        """What only some strategies go by, or only some runs."""
        value: dict[str, Any] = {}
        if self.strategy == "targen":
            value["contexts"] = self.contexts
        elif self.attributes and self.strategy != "simprompt":
            value["attributes"] = dict(self.attributes)
        if self.balance and self.strategy in SELF_REFERENCE:
            value["balance"] = True
        if self.min_words:
            value["min_words"] = self.min_words
        if self.strategy == "pool":
            value["shown"] = self.shown
        if self.strategy in CHAINED:
            value["chains"] = self.chains
        if self.embeds:
            value |= {"embedding_model": self.embedding_model, "embed_question_only": self.embed_question_only}
        return value

    @cached_property
    def digest(self) -> str:
        """16 hex digits that name the run and its folder."""
        return digest(self.as_json)


def known_strategy(name: str) -> str:
    """The strategy's canonical name, or a `UsageError` with the nearest one."""
    name = _ALIASES.get(name, name)
    if name not in STRATEGIES:
        raise UsageError(f"unknown strategy {name!r}{nearest(name, (*STRATEGIES, *_ALIASES))}")
    return name
