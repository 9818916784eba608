"""What a run gave for its calls, tokens or dollars: its turns, cut to a budget, and the figures of a cut."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple

from ..errors import RunFailed, UsageError
from ..evaluation.features import Embeddings, text
from ..evaluation.run_scores import score_lines
from ..evaluation.scores import wilson
from ..runs.journal import KEPT, SURPLUS, UNJUDGED, Journal
from ..runs.kept import kept_rows
from ..tasks.task import Row, Task
from ..utils.text import shorten
from . import diversity
from .funnel import Funnel
from .funnel import balance as by_label

AXES = ("calls", "tokens", "dollars", "rows")
_TURNS = """
SELECT {asked}, coalesce(prompt_tokens, 0), coalesce(completion_tokens, 0), coalesce(estimated, 0), turns.pieces
FROM turns LEFT JOIN replies USING (lane, request, occurrence) ORDER BY position"""
_VOTES = """
SELECT count(*), total(prompt_tokens), total(completion_tokens) FROM replies
WHERE lane = -1 AND answered IS NOT NULL"""
_Verdict = tuple[str, int, int | None]


class Turn(NamedTuple):
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
    verdicts: list[_Verdict]

    def of(self, at: str, price: Sequence[Any] | None) -> float:
        """What it takes of a budget."""
        if at == "rows":
            return len(self.rows)
        if at == "calls":
            return self.calls
        if at == "tokens":
            return self.prompt_tokens + self.completion_tokens
        if price is None:
            return math.nan
        return float(self.prompt_tokens * price[0] + self.completion_tokens * price[1]) / 1e6


class Ledger(NamedTuple):
    """A run up to a budget.

    A call is a request that was answered; a turn that asks for a list is one, and gives no row. Votes on rows belong
    to no turn: together they are split over the turns by how many verdicts there are on their rows. Rows that a turn
    gave beyond the number wanted count as kept, since they were paid for.

    Attributes:
        about (`dict[str, Any]`): run, name, task, method, strategy, model.
        identity (`dict[str, Any]`): the run's identity.
        task (`Task`): its task.
        turns (`list[Turn]`): what each turn cost and gave, in order.
        price (`list`, *optional*): dollars per million prompt and completion tokens, and who says so.
        target (`int`): the rows that were wanted.
        uncounted (`int`): calls that are in no turn: retries, lost requests, replies that no turn reads.
    """

    about: dict[str, Any]
    identity: dict[str, Any]
    task: Task
    turns: list[Turn]
    price: list[Any] | None
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
        try:
            with closing(sqlite3.connect(f"{journal.path.absolute().as_uri()}?mode=ro", uri=True)) as database:
                turns = _turns(database, identity.get("num_examples", 0))
        except (sqlite3.Error, ValueError) as error:
            raise RunFailed(f"cannot read the journal {journal.path}: {shorten(str(error), 120)}") from None
        if stored is None or not turns:
            raise UsageError(f"the run {run} has no replies yet: `llm-created create` goes on with it")
        about = {"run": run, "name": journal.get("name"), "task": stored.get("name"), "method": "self-reference"}
        about |= {name: identity[name] for name in ("method", "strategy", "model") if name in identity}
        uncounted = round(journal.spent().calls - sum(turn.calls for turn in turns))
        price, target = journal.get("price"), journal.get("target", 0)
        return cls(about, identity, Task.from_json(stored), turns, price, target, uncounted)

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


def _turns(database: sqlite3.Connection, num_examples: int) -> list[Turn]:
    columns = {column[1] for column in database.execute("PRAGMA table_info(turns)")}
    read = database.execute(_TURNS.format(asked="turns.asked" if "asked" in columns else "NULL")).fetchall()
    pieces = [json.loads(row[-1]) for row in read]
    votes, *tokens = database.execute(_VOTES).fetchone()
    judged = _verdicts(database)
    all_verdicts = sum(map(len, judged.values())) or 1
    turns = []
    for (asked, sent, got, estimated, _), of_turn, rows in zip(read, pieces, _emitted(database, pieces), strict=True):
        verdicts = [one for code, row, _ in of_turn if code != "duplicate" for one in judged.get(row, ())]
        share = len(verdicts) / all_verdicts
        cost = share * votes, 1 + share * votes, sent + share * tokens[0], got + share * tokens[1]
        reasons = [code for code, _, _ in of_turn if code not in (KEPT, UNJUDGED)]
        kept = sum(code == KEPT for code, _, _ in of_turn)
        asked = num_examples if asked is None else asked
        turns.append(Turn(asked, *cost, bool(estimated), kept, reasons, rows, verdicts))
    return turns


def _emitted(database: sqlite3.Connection, pieces: Sequence[Sequence[Sequence[Any]]]) -> list[list[int]]:
    """For each turn the answers of the rows that could be emitted once it was merged."""
    came = {row: (at, int(answer)) for at, of in enumerate(pieces) for code, row, answer in of if code == KEPT}
    order = database.execute("SELECT row FROM emitted ORDER BY number") if _has(database, "emitted") else ()
    emitted: list[list[int]] = [[] for _ in pieces]
    last = 0
    for row in [row for (row,) in order] or came:
        if row not in came:
            break
        at, answer = came[row]
        last = max(last, at)
        emitted[last].append(answer)
    return emitted


def _has(database: sqlite3.Connection, table: str) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone())


def _verdicts(database: sqlite3.Connection) -> dict[str, list[_Verdict]]:
    found: dict[str, list[_Verdict]] = {}
    if _has(database, "judged"):
        for row, kind, given, judged in database.execute("SELECT row, kind, given, judged FROM judged"):
            found.setdefault(row, []).append((kind, given, judged))
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
    found["scores"] = (
        [line for line in score_lines(results, journal.folder.name) if line["train_set"] != "human"] if results else []
    )
    return found


def _counted(part: Ledger, most: int | None) -> dict[str, Any]:
    """Costs, counts and labels."""
    turns, price = part.turns, part.price
    reasons = Counter(code for turn in turns for code in turn.reasons)
    answers = [answer for turn in turns for answer in turn.rows]
    # Rows that only later turns of the whole run set free.
    reasons[SURPLUS] += sum(turn.kept for turn in turns) - len(answers)
    answers = answers[:most]
    labels = by_label(part.task, Funnel(answers=Counter(answers)))
    even = diversity.balance(list(labels.values()))
    kept, calls = len(answers), sum(turn.calls for turn in turns)
    tokens = sum(turn.of("tokens", None) for turn in turns)
    return part.about | {
        "turns": len(turns),
        "calls": calls,
        "votes": sum(turn.votes for turn in turns),
        "tokens": tokens,
        "estimated": any(turn.estimated for turn in turns),
        "dollars": sum(turn.of("dollars", price) for turn in turns) if price else None,
        "asked": sum(turn.asked for turn in turns),
        "kept": kept,
        "kept_per_call": kept / calls if calls else None,
        "tokens_per_row": tokens / kept if kept else None,
        "reasons": {code: reasons[code] for code in sorted(reasons) if reasons[code]},
        "labels": labels,
        "balance": even._asdict() | {"label": max(labels, key=lambda label: labels[label])} if even else None,
        "agreement": _agreement([one for turn in turns for one in turn.verdicts]),
        "uncounted": part.uncounted,
    }


def _agreement(verdicts: Sequence[_Verdict]) -> dict[str, dict[str, Any]]:
    """By kind how often the answer that was given is the one judged right; rows without a majority are set apart."""
    found = {}
    for kind in sorted({kind for kind, _, _ in verdicts}):
        pairs = [(given, judged) for of, given, judged in verdicts if of == kind]
        decided = [given == judged for given, judged in pairs if judged is not None]
        entry: dict[str, Any] = {"agree": sum(decided), "n": len(decided), "undecided": len(pairs) - len(decided)}
        if decided:
            low, high = wilson(sum(decided), len(decided))
            entry |= {"share": sum(decided) / len(decided), "low": low, "high": high}
        found[kind] = entry
    return found
