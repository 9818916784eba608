"""What a run gave for its calls, tokens or dollars: its turns, cut to a budget, and the figures of a cut."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from ..clients.prices import Price
from ..errors import UsageError
from ..evaluation.run_scores import score_lines
from ..evaluation.scores import wilson
from ..models.embedded import Embeddings
from ..models.features import text
from ..runs import human
from ..runs.journal import KEPT, SURPLUS, UNJUDGED, Journal
from ..runs.kept import kept_rows
from ..tasks.task import Row, Task
from . import diversity
from .funnel import Funnel
from .funnel import balance as by_label

AXES = ("calls", "tokens", "dollars", "rows")
Judged = tuple[str, int, int | None]


class Entry(NamedTuple):
    """What one turn cost, its share of the votes included, and what came of it.

    `rows` are the answers of the rows that were emitted once it was merged; where rows are held back for balance, some
    of them came with earlier turns. `kept` counts the rows of its own reply that were emitted sooner or later.
    """

    asked: int
    votes: float
    calls: float
    prompt_tokens: float
    completion_tokens: float
    estimated: bool
    kept: int
    reasons: list[str]
    rows: list[int]
    judgements: list[Judged]

    def of(self, at: str, price: Price | None) -> float:
        """What it takes of a budget."""
        if at == "rows":
            return len(self.rows)
        if at == "calls":
            return self.calls
        if at == "tokens":
            return self.prompt_tokens + self.completion_tokens
        return math.nan if price is None else price.of(self.prompt_tokens, self.completion_tokens)


class Ledger(NamedTuple):
    """A run up to a budget.

    A call is a request that was answered; a turn that asks for a list is one, and gives no row. Votes on rows belong
    to no turn: together they are split over the turns by how many judgements there are on their rows. Rows that a turn
    gave beyond the number wanted count as kept, since they were paid for.

    Attributes:
        about (`dict[str, Any]`): run, name, task, method, strategy, model.
        identity (`dict[str, Any]`): the run's identity.
        task (`Task`): its task.
        turns (`list[Entry]`): what each turn cost and gave, in order.
        price (`Price`, *optional*): the model's.
        target (`int`): the rows that were wanted.
        uncounted (`int`): calls that are in no turn: retries, lost requests, replies that no turn reads.
    """

    about: dict[str, Any]
    identity: dict[str, Any]
    task: Task
    turns: list[Entry]
    price: Price | None
    target: int
    uncounted: int

    @classmethod
    def of(cls, journal: Journal) -> Ledger:
        """The whole run.

        Raises:
            UsageError: it has no replies yet.
            RunFailed: its journal cannot be read.
        """
        stored, identity, run = journal.get("task"), journal.get("identity") or {}, journal.folder.name[:8]
        turns = _turns(journal)
        if stored is None or not turns:
            raise UsageError(f"the run {run} has no replies yet: `llm-created create` goes on with it")
        about = {"run": run, "name": journal.get("name"), "task": stored.get("name"), "method": "self-reference"}
        about |= {name: identity[name] for name in ("method", "strategy", "model") if name in identity}
        uncounted = round(journal.spent().calls - sum(turn.calls for turn in turns))
        price, target = journal.get("price"), journal.get("target", 0)
        return cls(about, identity, Task.from_json(stored), turns, Price(*price) if price else None, target, uncounted)

    def total(self, at: str) -> float:
        """All that the run used; of rows, those that its dataset has."""
        whole = sum(turn.of(at, self.price) for turn in self.turns)
        return min(whole, self.target) if at == "rows" else whole

    def cut(self, at: str, budget: float) -> Ledger:
        """The first turns that fit in a budget; of rows, the first turns that give so many."""
        spent, turns = 0.0, []
        for turn in self.turns:
            if at == "rows" and spent >= budget:
                break
            spent += turn.of(at, self.price)
            # Rounding must not shut out the last turn of the run that set the budget.
            if at != "rows" and spent > budget * (1 + 1e-9):
                break
            turns.append(turn)
        return self._replace(turns=turns)

    def rows(self, journal: Journal) -> list[Row]:
        """The rows of the dataset that these turns gave."""
        return list(islice(kept_rows(journal, self.task), sum(len(turn.rows) for turn in self.turns)))


def _turns(journal: Journal) -> list[Entry]:
    read, votes, judged = journal.turn_costs(), journal.spent_on_votes(), _judged(journal)
    whole = sum(map(len, judged.values())) or 1
    turns = []
    for one, rows in zip(read, _emitted(journal.order(), [one.pieces for one in read]), strict=True):
        judgements = [said for code, row, _ in one.pieces if code != "duplicate" for said in judged.get(row, ())]
        share = len(judgements) / whole
        asked_of_judges, sent = share * votes.calls, one.prompt_tokens + share * votes.prompt_tokens
        cost = asked_of_judges, 1 + asked_of_judges, sent, one.completion_tokens + share * votes.completion_tokens
        reasons = [code for code, _, _ in one.pieces if code not in (KEPT, UNJUDGED)]
        kept = sum(code == KEPT for code, _, _ in one.pieces)
        turns.append(Entry(one.asked, *cost, bool(one.estimated), kept, reasons, rows, judgements))
    return turns


def _emitted(order: Mapping[str, int], pieces: Sequence[Sequence[Sequence[Any]]]) -> list[list[int]]:
    """For each turn the answers of the rows that could be emitted once it was merged."""
    came = {row: (at, int(answer)) for at, of in enumerate(pieces) for code, row, answer in of if code == KEPT}
    emitted: list[list[int]] = [[] for _ in pieces]
    last = 0
    for row in sorted(order, key=order.__getitem__) or came:
        if row not in came:
            break
        at, answer = came[row]
        last = max(last, at)
        emitted[last].append(answer)
    return emitted


def _judged(journal: Journal) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for one in journal.judgements():
        # What people said costs nothing, and is no model's word.
        if one.kind == human.KIND:
            continue
        found.setdefault(one.row, []).append((one.kind, one.given, one.judged))
    return found


def figures(
    journal: Journal,
    budget: float | None = None,
    *,
    at: str = "calls",
    num_rows: int | None = None,
    embeddings: Embeddings | None = None,
    results: str | None = None,
) -> dict[str, Any]:
    """What a run gave for a budget, as plain data.

    Args:
        journal (`Journal`): the run's journal, open.
        budget (`float`, *optional*): calls, tokens, dollars or rows; the whole run without it.
        at (`str`, defaults to `"calls"`): what the budget counts, one of `AXES`.
        num_rows (`int`, *optional*): the figures under `texts` are of the first so many rows. They depend on it, so
            compare them at the same number.
        embeddings (`Embeddings`, *optional*): what average pairwise similarity is computed with; left out without it.
        results (`str`, *optional*): a folder of result files, for the scores of models trained on the run.

    Returns:
        `dict[str, Any]`: `run`, `name`, `task`, `method`, `strategy`, `model`; `turns`, `calls` (with `votes`),
        `tokens`, `dollars`, `asked`, `kept`, `reasons`, `labels`, `balance`, `agreement`; `texts`; `scores`. A figure
        that there is none of is `None`. At rows, costs and reasons are those of all turns that were needed.

    Raises:
        UsageError: the run has no replies yet, its price is not known, or there is no such folder.
        RunFailed: the journal cannot be read.
    """
    whole = Ledger.of(journal)
    budget = whole.total(at) if budget is None else budget
    part, most = whole.cut(at, budget), int(budget) if at == "rows" else None
    found = _counted(part, most) | {"at": at, "budget": budget}
    rows = part.rows(journal)[:most][:num_rows]
    vectors = embeddings.texts(rows) if embeddings and rows else None
    labels = None if part.task.variable else [row.answer for row in rows]
    found["texts"] = {"rows": len(rows)} | diversity.figures([text(row) for row in rows], vectors, labels)
    found["scores"] = _scores(results, journal) if results else []
    return found


def _scores(results: str, journal: Journal) -> list[dict[str, Any]]:
    """Those of models trained on the run."""
    return [line for line in score_lines(results, journal.folder.name) if line["train_set"] != "human"]


def _counted(part: Ledger, most: int | None) -> dict[str, Any]:
    """Costs, counts and labels."""
    turns, price = part.turns, part.price
    reasons = Counter(chain.from_iterable(turn.reasons for turn in turns))
    answers = list(chain.from_iterable(turn.rows for turn in turns))
    # Rows that only later turns of the whole run set free.
    reasons[SURPLUS] += int(_sum(turns, "kept")) - len(answers)
    answers = answers[:most]
    labels = by_label(part.task, Funnel(answers=Counter(answers)))
    kept, calls = len(answers), _sum(turns, "calls")
    tokens = sum(turn.of("tokens", None) for turn in turns)
    return part.about | {
        "turns": len(turns),
        "calls": calls,
        "votes": _sum(turns, "votes"),
        "tokens": tokens,
        "estimated": any(turn.estimated for turn in turns),
        "dollars": sum(turn.of("dollars", price) for turn in turns) if price else None,
        "asked": _sum(turns, "asked"),
        "kept": kept,
        "kept_per_call": _per(kept, calls),
        "tokens_per_row": _per(tokens, kept),
        "reasons": {code: count for code, count in sorted(reasons.items()) if count},
        "labels": labels,
        "balance": _balance(labels),
        "agreement": _agreement(list(chain.from_iterable(turn.judgements for turn in turns))),
        "uncounted": part.uncounted,
    }


def _sum(turns: Sequence[Entry], name: str) -> Any:
    return sum(getattr(turn, name) for turn in turns)


def _per(many: float, of: float) -> float | None:
    return many / of if of else None


def _balance(labels: Mapping[str, int]) -> dict[str, Any] | None:
    """How even the labels are, and the commonest."""
    even = diversity.balance(list(labels.values()))
    return even._asdict() | {"label": max(labels, key=lambda label: labels[label])} if even else None


def _agreement(judgements: Sequence[Judged]) -> dict[str, dict[str, Any]]:
    """By kind how often the answer that was given is the one judged right; rows without a majority are set apart."""
    found = {}
    for kind in sorted({kind for kind, _, _ in judgements}):
        pairs = [(given, judged) for of, given, judged in judgements if of == kind]
        decided = [given == judged for given, judged in pairs if judged is not None]
        entry: dict[str, Any] = {"agree": sum(decided), "n": len(decided), "undecided": len(pairs) - len(decided)}
        if decided:
            low, high = wilson(sum(decided), len(decided))
            entry |= {"share": sum(decided) / len(decided), "low": low, "high": high}
        found[kind] = entry
    return found
