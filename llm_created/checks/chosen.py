"""The emission checks that the settings ask for, and what tells one reading of a journal from another."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ..data.sources import public_name, source_of
from ..runs.identity import Identity
from ..runs.settings import LIKELIHOOD, Settings
from ..tasks.task import Task
from ..utils.files import text_or_file
from ..utils.text import digest
from ..utils.user_code import code_of
from .judge import Judge
from .likelihood import Likelihood
from .people import People
from .user_filter import Check, filter_name, import_function, user_filter


class Prepared(NamedTuple):
    """What the emission checks of a run need, loaded once.

    Attributes:
        checks (`list[Check]`): the user's filter, and the evaluation sets that no row may repeat.
        reported (`list[Check]`): the same sets, where rows that repeat one are counted and stay.
    """

    checks: list[Check]
    reported: list[Check]


def prepare(settings: Settings, identity: Identity) -> Prepared:
    """Load what the checks need, before anything is written.

    Raises:
        UsageError: the filter or an evaluation set cannot be loaded.
    """
    filters, leaks = [*user_filter(settings, identity.task)], _leakage(settings, identity.task)
    return Prepared(filters, leaks) if settings.leaks == "report" else Prepared([*filters, *leaks], [])


def emission(settings: Settings, identity: Identity, prepared: Prepared) -> dict[str, Any]:
    """The emission checks that were asked for, as the keywords of `create`."""
    task = identity.task
    found: dict[str, Any] = {"checks": prepared.checks, "balance": bool(settings.balance)}
    if settings.near_duplicates is not None:
        from .near_duplicates import NearDuplicates

        found["near"] = NearDuplicates(settings.near_duplicates, settings.get("embedding_model"))
    about, rule = _in_words(settings, identity), self_correct(settings, identity)
    judges = [Judge(task, "self_correct", 1, rule, about)] if rule != "off" else []
    if settings.verify:
        judges.append(_verifier(settings, task, about))
    return found | {"judges": judges}


def _verifier(settings: Settings, task: Task, about: str) -> Judge:
    if settings.verify == LIKELIHOOD:
        return Likelihood(task, settings.verify_rule, about)
    return Judge(task, "verify", settings.votes, settings.verify_rule, about)


def _in_words(settings: Settings, identity: Identity) -> str:
    """What judges are told of the task: what the run was told, else the user's words, else the built-in task's."""
    own = source_of(identity.task).guide
    given = text_or_file("`description`", settings.description) if settings.description is not None else ""
    return identity.guide.description or given or (own.description if own else "")


def self_correct(settings: Settings, identity: Identity) -> str:
    """The rule of self-correction: TarGEN has it as its fourth step."""
    return settings.self_correct or ("relabel" if identity.strategy == "targen" else "off")


def named(settings: Settings, identity: Identity) -> dict[str, Any]:
    """The emission checks by name, for cards and reports, and for whoever makes the same rows again."""
    rule = self_correct(settings, identity)
    near = bool(settings.near_duplicates) and not identity.embeds
    against = [public_name(one) for one in against_of(settings)]
    said = {
        "filter": filter_name(settings),
        "verify": settings.verify,
        "verify_rule": settings.verify and settings.verify_rule,
        "self_correct": rule != "off" and rule,
        "reviewed": settings.reviewed,
        "balance": ("ask" if settings.balance is True else settings.balance) or None,
        "near_duplicates": settings.near_duplicates,
        "embedding_model": near and public_name(settings.get("embedding_model")),
        "check_against": against,
        "leaks": against and settings.leaks,
    }
    return {name: value for name, value in said.items() if value}


def against_of(settings: Settings) -> list[str]:
    """The evaluation sets that no row may repeat."""
    given = settings.check_against or ()
    return [given] if isinstance(given, str) else list(given)


def _leakage(settings: Settings, task: Task) -> list[Check]:
    """The check for rows that repeat an evaluation set, if any was named."""
    if not settings.check_against:
        return []
    from .leakage import EvaluationSets

    data = settings.human_data if isinstance(settings.human_data, str) else None
    found = EvaluationSets.load(against_of(settings), task, data)
    return [found.find]


def reading(settings: Settings, identity: Identity, people: People | None = None) -> str:
    """A digest of what turns replies into rows: the code that reads, and the checks, with what people said so far.
    Another reading, other rows."""
    library = Path(__file__).parent.parent
    folders = (path for name in _SHAPE_ROWS for path in (library / name).rglob("*.py"))
    files = sorted([library / "embeddings.py", *folders])
    sources = [[path.relative_to(library).as_posix(), path.read_bytes().hex()] for path in files]
    function = settings.filter
    if isinstance(function, str):
        function = import_function(function)
    said = [people.digest] if people is not None else []
    return digest([sources, code_of(function) if function else "", named(settings, identity), *said])


# Folders whose code decides what becomes of a reply, whole: what is new there counts without being listed.
_SHAPE_ROWS = ("utils", "tasks", "prompts", "runs", "methods", "data", "checks", "creation")
