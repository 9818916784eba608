"""The `datasets` builder whose generator drives the loop."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import datasets

from ..checks.chosen import reading
from ..checks.people import People
from ..creation import define
from ..creation.stream import stream
from ..data.human_rows import content_of_human
from ..errors import LLMCreatedError, RunFailed, UsageError
from ..runs.folders import run_folder
from ..runs.identity import STRATEGIES, Identity, known_strategy
from ..runs.settings import Settings
from ..tasks.builtin import Source
from ..tasks.guide import Guide
from ..tasks.human import Human
from ..tasks.task import Row, Task
from ..utils.console import harmless
from ..utils.text import digest, nearest

HUMAN = "human"
_OF_AN_EXAMPLE = ("label_space", "labels", "answer_field", "options_field", "data_files", "example", "fields", "aside")
# They decide how long the prefix of a run that stops short is.
_CAPS = ("max_cost", "max_tokens_total", "max_calls", "price", "patience")


@dataclass
class CreatedConfig(datasets.BuilderConfig, Settings):  # type: ignore[misc]
    """A configuration: its name is the strategy, or `"human"`; its fields are those of `Settings`."""

    def create_config_id(self, config_kwargs: Mapping[str, Any], custom_features: Any = None) -> str:
        """A stand-in for the hash of the keywords: the builder names its cache folder by content."""
        return f"{self.name}-by-content"


class Builder(datasets.GeneratorBasedBuilder):  # type: ignore[misc]
    """A `datasets` builder whose generator drives the creation loop.

    A task is one subclass with `task` and `example`, and perhaps `more_examples`, `human`, `family` and `guide`.
    Configurations are the strategies and `"human"`; keywords are the fields of `Settings`.

    Example:

        >>> from llm_created import Builder, Task
        >>> class Capitals(Builder):
        ...     task = Task("capitals", ("question",), num_options=3)
        ...     example = {"question": "Of France?", "options": ["Paris", "Rome", "Oslo"], "answer": "Paris"}
        >>> builder = Capitals(config_name="tree", model="demo", num_rows=20)
        >>> builder.download_and_prepare()
        >>> builder.as_dataset(split="train").num_rows
        20
    """

    BUILDER_CONFIG_CLASS = CreatedConfig
    BUILDER_CONFIGS = [CreatedConfig(name=name) for name in (*STRATEGIES, HUMAN)]  # noqa: RUF012 -- datasets' own form
    DEFAULT_CONFIG_NAME = "tree"

    task: ClassVar[Task]
    example: ClassVar[Mapping[str, Any]]
    human: ClassVar[Human | None] = None
    family: ClassVar[str] = ""
    guide: ClassVar[Guide | None] = None
    more_examples: ClassVar[Sequence[Mapping[str, Any]]] = ()

    @property
    def source(self) -> Source:
        """The task with what belongs to it."""
        return Source(
            self.task, self.example, self.human, self.family, guide=self.guide, more_examples=self.more_examples
        )

    @property
    def settings(self) -> Settings:
        """The configuration's settings."""
        return Settings.of(self.config)

    @cached_property
    def identity(self) -> Identity:
        """The run that this configuration defines."""
        for line in (*define.without_effect(self.settings, self.config.name), *define.leaking(self.task)):
            warnings.warn(harmless(line), stacklevel=2)
        return define.identity(self.settings, self.source, self.config.name)

    @cached_property
    def human_rows(self) -> dict[str, list[Row]]:
        """The rows of the configuration `"human"`, by split."""
        return define.human_rows(self.settings, self.source)

    def _create_builder_config(
        self, config_name: str | None = None, custom_features: Any = None, config_id: str | None = None, **given: Any
    ) -> tuple[CreatedConfig, str]:
        """The configuration under an id of its content: the same run has one cache, whatever its transport."""
        if custom_features is not None:
            raise UsageError("features= is not taken: they follow from the task")
        config_name = _config_name(config_name, given.pop("strategy", None))
        _check_keywords(given)
        self.config, _ = super()._create_builder_config(config_name, **given)
        return self.config, f"{self.config.name}-{digest(self._content())}"

    def _content(self) -> list[Any]:
        """What decides the rows that the finished shards hold."""
        settings, features = (
            self.settings,
            str(self.task.features),
        )  # no version of datasets reads all of a later one's
        if self.config.name == HUMAN:
            return [self.task.to_json(), features, content_of_human(self.human, settings.human_data)]
        caps = [getattr(settings, name) for name in _CAPS] if settings.allow_partial else None
        people = People.so_far(settings, run_folder(self.identity.digest))
        return [self.identity.as_json, features, settings.num_rows, caps, reading(settings, self.identity, people)]

    def _info(self) -> datasets.DatasetInfo:
        about = f"written by {self.settings.model_name} (llm-created, {self.config.name})"
        if self.config.name == HUMAN:
            about = f"labelled by people. {sys.modules[type(self).__module__].__doc__ or ''}".strip()
        return datasets.DatasetInfo(description=f"{self.task.name}: {about}", features=self.task.features)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        sizes = {"train": self.config.num_rows}
        if self.config.name == HUMAN:
            sizes = {split: len(rows) for split, rows in self.human_rows.items()}
        made = []
        for split, size in sizes.items():
            made.append(datasets.SplitGenerator(name=split, gen_kwargs={"split": split}))
            made[-1].split_info.num_examples = size  # the total of the progress bar; counted anew at the end
        return made

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        rows = self.human_rows[split] if self.config.name == HUMAN else stream(self.identity, self.settings)
        # A number and not the id is the key: human data repeats rows, and datasets wants keys that differ.
        for number, row in enumerate(rows):
            yield number, self.task.record(row)

    def _prepare_split(self, split_generator: Any, *args: Any, num_proc: int | None = None, **kwargs: Any) -> None:
        if num_proc is not None and num_proc > 1:
            warnings.warn(
                f"num_proc={num_proc} is not needed: one process keeps all requests in flight; "
                "concurrency= is the number that makes a run faster",
                stacklevel=2,
            )
        try:
            super()._prepare_split(split_generator, *args, **kwargs)
        except datasets.exceptions.DatasetGenerationError as error:
            # datasets says "An error occurred while generating the dataset" and hides what it was.
            cause = error.__cause__
            if isinstance(cause, LLMCreatedError):
                raise cause from None
            if isinstance(cause, OSError):
                where = f"the rows to {self._output_dir}: {cause.strerror or cause}"
                raise RunFailed(f"cannot write {where}. The replies are kept, call again to go on") from None
            raise


def _config_name(name: str | None, strategy: str | None) -> str | None:
    """The configuration's name, whichever of its two keywords gave it."""
    if name and strategy and name != strategy:
        raise UsageError(f"the configuration {name!r} contradicts strategy={strategy!r}: give one of them")
    name = name or strategy
    return name if name in (None, HUMAN) else known_strategy(name)


def _check_keywords(given: Mapping[str, Any]) -> None:
    if "api_key" in given:
        raise UsageError(
            "api_key= is not taken, it would end up in logs: set OPENAI_API_KEY, or give another api_key_env="
        )
    if given.get("data_dir"):
        raise UsageError("data_dir= is not used: give human_data= for human data, data_files= for an example")
    known = sorted(("strategy", *(one.name for one in fields(Settings))))
    for name, value in given.items():
        if name in _OF_AN_EXAMPLE:
            if value is not None:
                raise UsageError(f"{name}= goes with an example of your own; a builder has its own task")
        elif name not in CreatedConfig.__dataclass_fields__:
            raise UsageError(f"unknown keyword {name!r}{nearest(name, known)}")
