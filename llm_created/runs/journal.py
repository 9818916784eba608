"""Every reply ever paid for, in one SQLite file per run. Resuming a run is reading it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..clients.base import Reply, Request, Usage
from ..errors import RunFailed
from .lock import RunLock

KEPT = "kept"
# Of balance: a row whose label has had its share so far. Of all: a row that the run did not need before it ended.
SURPLUS, UNJUDGED = "surplus", "unjudged"
FILE_NAME = "journal.sqlite"
_VERSION = 1
_BATCH = 1_000
_SCHEMA = """
CREATE TABLE header (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- One row a request: `text` and `reason` are NULL while it is submitted but not answered.
CREATE TABLE replies (
    lane INTEGER, request TEXT, occurrence INTEGER, submitted REAL NOT NULL, answered REAL,
    attempts INTEGER NOT NULL, text TEXT, reason TEXT, model TEXT, fingerprint TEXT, finish_reason TEXT,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, estimated INTEGER NOT NULL,
    lost_prompt_tokens INTEGER NOT NULL DEFAULT 0, lost_completion_tokens INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (lane, request, occurrence)) WITHOUT ROWID;
-- What became of every piece of a turn's reply, as it was last read: [[code, row id, detail], ...]; for a kept row the
-- detail is the index of its answer.
CREATE TABLE turns (
    position INTEGER PRIMARY KEY, lane INTEGER, request TEXT, occurrence INTEGER, example TEXT, depth INTEGER,
    pieces TEXT NOT NULL, asked INTEGER NOT NULL, about TEXT NOT NULL);
-- The kept rows in the order in which they are emitted, where that is not the order of their turns.
CREATE TABLE emitted (number INTEGER PRIMARY KEY, row TEXT);
-- What judges said of a row (by the id it was written with): the indices of the answer given and judged.
CREATE TABLE judged (
    row TEXT, kind TEXT, given INTEGER, judged INTEGER, votes TEXT, detail TEXT,
    PRIMARY KEY (row, kind)) WITHOUT ROWID;
CREATE TABLE similarities (
    example TEXT, row TEXT, value REAL NOT NULL, PRIMARY KEY (example, row)) WITHOUT ROWID;
"""
_SUBMIT = """
INSERT INTO replies (lane, request, occurrence, submitted, attempts, prompt_tokens, completion_tokens, estimated)
VALUES (?, ?, ?, ?, 1, ?, ?, 1) ON CONFLICT DO UPDATE SET submitted = excluded.submitted, attempts = attempts + 1,
lost_prompt_tokens = lost_prompt_tokens + prompt_tokens,
lost_completion_tokens = lost_completion_tokens + completion_tokens,
prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens"""
_ANSWER = """
UPDATE replies SET answered = ?, text = ?, reason = ?, model = ?, fingerprint = ?,
finish_reason = ?, prompt_tokens = ?, completion_tokens = ?, estimated = ?
WHERE lane = ? AND request = ? AND occurrence = ?"""
# While a request is on its way, its tokens are those reserved for one attempt.
_LOSE = """
UPDATE replies SET lost_prompt_tokens = lost_prompt_tokens + prompt_tokens,
lost_completion_tokens = lost_completion_tokens + completion_tokens
WHERE lane = ? AND request = ? AND occurrence = ? AND answered IS NULL"""
_RETRY = """
UPDATE replies SET attempts = attempts + 1
WHERE lane = ? AND request = ? AND occurrence = ? AND answered IS NULL"""
# What is answered stays; what was only submitted gets its answer, and what was reserved for it stays lost.
_ABSORB = """
INSERT INTO replies (submitted, answered, text, reason, model, fingerprint, finish_reason, prompt_tokens,
completion_tokens, estimated, lane, request, occurrence, attempts)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET answered = excluded.answered,
text = excluded.text, reason = excluded.reason, model = excluded.model, fingerprint = excluded.fingerprint,
finish_reason = excluded.finish_reason, estimated = excluded.estimated, attempts = attempts + 1,
lost_prompt_tokens = lost_prompt_tokens + prompt_tokens,
lost_completion_tokens = lost_completion_tokens + completion_tokens,
prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens WHERE answered IS NULL"""
_COMPARED = "INSERT OR IGNORE INTO similarities VALUES (?, ?, ?)"
_FAIL = """
UPDATE replies SET prompt_tokens = 0, completion_tokens = 0
WHERE lane = ? AND request = ? AND occurrence = ? AND answered IS NULL"""
_READ = """
SELECT text, prompt_tokens, completion_tokens, estimated, reason, model, fingerprint, finish_reason FROM replies
WHERE lane = ? AND request = ? AND occurrence = ? AND answered IS NOT NULL"""


_COSTS = """
SELECT asked, coalesce(prompt_tokens, 0), coalesce(completion_tokens, 0), coalesce(estimated, 0), pieces
FROM turns LEFT JOIN replies USING (lane, request, occurrence) ORDER BY position"""
_VOTES = """
SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) FROM replies
WHERE lane = -1 AND answered IS NOT NULL"""
_EXPORTED = (
    "SELECT lane, request, occurrence, text, reason, model, fingerprint, finish_reason, prompt_tokens, "
    "completion_tokens, estimated FROM replies WHERE answered IS NOT NULL ORDER BY lane, request, occurrence",
    "SELECT example, row, value FROM similarities ORDER BY example, row",
)
_TURN = "INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_JUDGED = "INSERT OR REPLACE INTO judged VALUES (?, ?, ?, ?, ?, ?)"
_EMITTED = "INSERT OR REPLACE INTO emitted VALUES (?, ?)"


class Spent(NamedTuple):
    """What a run has used over its whole life.

    `estimated` tokens are guesses. A reply that may have been written and never came (a time-out, a cut connection, a
    kill) counts with what was reserved for it, and is `lost_prompt_tokens` and `lost_completion_tokens` of the whole.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: int = 0
    lost_prompt_tokens: int = 0
    lost_completion_tokens: int = 0

    @property
    def lost(self) -> int:
        """Tokens reserved for replies that never came."""
        return self.lost_prompt_tokens + self.lost_completion_tokens


class TurnRecord(NamedTuple):
    """A turn as it was last read: `pieces` are `[code, row id, detail]`, `drawn` what was drawn for it."""

    position: int
    example: str
    depth: int
    pieces: Sequence[Sequence[Any]]
    asked: int
    drawn: Mapping[str, Any]


class TurnCost(NamedTuple):
    """What a turn asked for and used, with the pieces of its reply as they were last read."""

    asked: int
    prompt_tokens: int
    completion_tokens: int
    estimated: int
    pieces: Sequence[Sequence[Any]]


class Judgement(NamedTuple):
    """What one judge said of one row: indices of the answer, `judged` is `None` where there was no majority."""

    row: str
    kind: str
    given: int
    judged: int | None
    votes: str
    detail: str


class Journal:
    """One run's replies, and what became of them.

    Use it as a context manager. Replies are committed before anybody sees them; a `kill -9` loses at most the
    requests in flight, a power cut possibly the last replies (WAL with `synchronous=NORMAL`).

    Args:
        folder (`str` or `Path`): the run's folder, made if it is not there.
        identity (`Mapping[str, Any]`, *optional*): the run's identity; `None` opens an existing journal to read it.
        wait (`bool`, defaults to `False`): wait for another process that has the run, instead of refusing.

    Raises:
        RunFailed: another process has the run, or the file is damaged, not writable, or of another run.

    Example:

        >>> from llm_created import Identity, Journal, Task
        >>> example = {"question": "Is ice cold?", "options": ["True", "False"], "answer": "True"}
        >>> task = Task.from_example(example, label_space="fixed")
        >>> identity = Identity(task, example, "my-model", "Write one more.")
        >>> with Journal("a-run", identity.as_json) as journal:
        ...     journal.num_replies()
        0
    """

    def __init__(self, folder: str | Path, identity: Mapping[str, Any] | None = None, *, wait: bool = False) -> None:
        self.folder = Path(folder)
        self.path = self.folder / FILE_NAME
        self._note = self.folder / "identity.json"  # for people, and to tell a new journal from a lost one
        self._identity = identity
        self._wait = wait
        # Derived from the replies, so they may wait for the next write: statement → its rows.
        self._derived: dict[str, list[tuple[Any, ...]]] = {_TURN: [], _JUDGED: [], _EMITTED: []}

    def __enter__(self) -> Journal:
        self._lock = RunLock(self.folder) if self._identity is not None else None
        with ExitStack() as stack:
            if self._lock:
                self._lock.acquire(wait=self._wait)
                stack.callback(self._lock.release)
            with self._told():
                self._open()
            stack.pop_all()  # it is open: the lock stays until it is closed
        return self

    def __exit__(self, *error: object) -> None:
        try:
            with self._told():
                if self._lock:
                    self.flush()
                self._db.close()
        finally:
            if self._lock:
                self._lock.release()

    def _open(self) -> None:
        if self._identity is None:
            if not self.path.exists():
                raise RunFailed(f"there is no journal at {self.path}")
            self._db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._check_version()
            return
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        # A checkpoint holds the loop up for 20 ms: a few in a run, not one every few hundred replies.
        self._db.execute("PRAGMA wal_autocheckpoint=4000")
        if self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            if self._note.exists():
                # SQLite takes a file that was cut to nothing for a new one.
                raise sqlite3.DatabaseError("it is empty, and the run had begun")
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")
            self.set("created", time.time())
        self._check_version()
        stored = self.get("identity")
        if stored is None:
            self.set("identity", self._identity)
            self._note.write_text(json.dumps(self._identity, ensure_ascii=False, indent=2) + "\n", "utf-8")
        elif stored != json.loads(json.dumps(self._identity)):
            raise RunFailed(f"{self.path} holds another run; move that folder away and run the command again")

    def _check_version(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != _VERSION:
            raise RunFailed(
                f"{self.path} is of journal version {version}, this library reads version {_VERSION}: use the version "
                "of llm-created that wrote it, or move the file away to start the run again"
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as one line that names the file."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise RunFailed(
                f"cannot use the journal {self.path}: {error}. What it holds is kept: mend that (a full disk? a "
                "read-only one?) and run the same command again"
            ) from None
        except (sqlite3.DatabaseError, json.JSONDecodeError) as error:
            raise RunFailed(
                f"the journal {self.path} is damaged ({error}). Nothing was deleted: restore it, or move it away "
                "to start the run again"
            ) from None

    def get(self, name: str, default: Any = None) -> Any:
        """A value of the header."""
        with self._told():
            found = self._db.execute("SELECT value FROM header WHERE name = ?", (name,)).fetchone()
            return default if found is None else json.loads(found[0])

    def set(self, name: str, value: Any) -> None:
        """Store a value in the header, as JSON."""
        with self._told():
            self._db.execute("INSERT OR REPLACE INTO header VALUES (?, ?)", (name, json.dumps(value)))

    def reply(self, request: Request) -> Reply | None:
        """The reply that this lane got to this occurrence of this request, or `None`."""
        with self._told():
            found = self._db.execute(_READ, (request.lane, request.key, request.occurrence)).fetchone()
        if found is None:
            return None
        text, prompt_tokens, completion_tokens, estimated, *rest = found
        return Reply(text, Usage(prompt_tokens, completion_tokens, bool(estimated)), *rest)

    def submitted(self, requests: Iterable[tuple[Request, Usage]]) -> None:
        """Requests are about to be sent, each with what it is expected to use."""
        now = time.time()
        rows = [(r.lane, r.key, r.occurrence, now, u.prompt_tokens, u.completion_tokens) for r, u in requests]
        self._write(_SUBMIT, rows)

    def answered(self, replies: Iterable[tuple[Request, Reply]]) -> None:
        """Replies to requests that were submitted; durable when this returns."""
        now = time.time()
        self._write(_ANSWER, [_answer(now, request, reply) for request, reply in replies])

    def failed(self, requests: Iterable[tuple[Request, bool]]) -> None:
        """Submitted requests got no reply, each with whether one may have been written all the same: then what was
        reserved for it stays spent, else it is free again."""
        failed = [(_key(request), lost) for request, lost in requests]
        self._write(_LOSE, [key for key, lost in failed if lost])
        self._write(_FAIL, [key for key, _ in failed])

    def retried(self, request: Request, lost: bool) -> None:
        """One more attempt at a submitted request is about to be sent, with whether the last one may have been
        answered."""
        if lost:
            self._write(_LOSE, [_key(request)])
        self._write(_RETRY, [_key(request)])

    def turn(self, request: Request, turn: TurnRecord) -> None:
        """What became of the pieces of a turn."""
        where = (turn.position, request.lane, request.key, request.occurrence)
        about = json.dumps(turn.drawn, ensure_ascii=False) if turn.drawn else ""
        text = json.dumps(turn.pieces, ensure_ascii=False)
        self._derived[_TURN].append((*where, turn.example, turn.depth, text, turn.asked, about))
        if len(self._derived[_TURN]) >= _BATCH:
            self.flush()  # a replay writes nothing else

    def judged(self, row: str, kind: str, given: int, judged: int | None, votes: str, detail: str) -> None:
        """What a judge said of a row."""
        self._derived[_JUDGED].append((row, kind, given, judged, votes, detail))

    def emitted(self, number: int, row: str) -> None:
        """The row that is emitted as this number, from 0."""
        self._derived[_EMITTED].append((number, row))

    def flush(self) -> None:
        """Write what is derived and waiting."""
        self._write("", [])

    def _write(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        derived = [(statement, waiting) for statement, waiting in self._derived.items() if waiting]
        if not rows and not derived:
            return
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if rows:
                    self._db.executemany(statement, rows)
                for other, waiting in derived:
                    self._db.executemany(other, waiting)
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            for _, waiting in derived:
                waiting.clear()

    def similarities(self, example: str) -> dict[str, float]:
        """Similarity to `example` (a row id) of every row id that was ever compared with it."""
        with self._told():
            return dict(self._db.execute("SELECT row, value FROM similarities WHERE example = ?", (example,)))

    def compared(self, example: str, values: Mapping[str, float]) -> None:
        """Store similarities, so that a replay needs no embedding model."""
        rows = [(example, row, value) for row, value in values.items()]
        self._write(_COMPARED, rows)

    def absorb(self, replies: Iterable[tuple[Request, Reply]], similarities: Iterable[tuple[str, str, float]]) -> int:
        """Take in what another journal of this run holds and this one lacks, all of it or nothing.

        Returns:
            `int`: how many replies are new.
        """
        now = time.time()
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                new = self._db.executemany(_ABSORB, ((now, *_answer(now, *one)) for one in replies)).rowcount
                self._db.executemany(_COMPARED, similarities)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        return max(new, 0)

    def forget_turns(self, reading: str) -> None:
        """Drop what became of the pieces if another reading (other code, other checks) wrote it."""
        if self.get("reading") != reading:
            with self._told():
                for table in ("turns", "emitted", "judged"):
                    self._db.execute(f"DELETE FROM {table}")
            self.set("reading", reading)

    def turns(self) -> Iterator[TurnRecord]:
        """Every turn that was read, in order."""
        with self._told():
            found = self._db.execute(
                "SELECT position, example, depth, pieces, asked, about FROM turns ORDER BY position"
            )
            for position, example, depth, pieces, asked, about in found:
                drawn = json.loads(about) if about else {}
                yield TurnRecord(position, example, depth, json.loads(pieces), asked, drawn)

    def turn_costs(self) -> list[TurnCost]:
        """What each turn that was read used, in order."""
        with self._told():
            found = self._db.execute(_COSTS).fetchall()
            return [TurnCost(asked, sent, got, guessed, json.loads(of)) for asked, sent, got, guessed, of in found]

    def order(self) -> dict[str, int]:
        """The number under which each kept row (by the id it was written with) is emitted, where rows were held back
        for balance; else nothing: rows are emitted in the order of their turns."""
        with self._told():
            return dict(self._db.execute("SELECT row, number FROM emitted"))

    def judgements(self) -> Iterator[Judgement]:
        """What judges said, row by row."""
        with self._told():
            for one in self._db.execute("SELECT row, kind, given, judged, votes, detail FROM judged"):
                yield Judgement(*one)

    def judgements_of(self, row: str) -> list[Judgement]:
        """What judges said of one row."""
        with self._told():
            query = "SELECT row, kind, given, judged, votes, detail FROM judged WHERE row = ?"
            return [Judgement(*one) for one in self._db.execute(query, (row,))]

    def text_of(self, position: int) -> str:
        """The raw reply that the turn at `position` read."""
        with self._told():
            found = self._db.execute(
                "SELECT text FROM turns JOIN replies USING (lane, request, occurrence) WHERE position = ?", (position,)
            ).fetchone()
        return "" if found is None or found[0] is None else str(found[0])

    def spent(self) -> Spent:
        """Calls and tokens over the life of the run."""
        with self._told():
            found = self._db.execute(
                "SELECT sum(attempts), sum(prompt_tokens + lost_prompt_tokens), "
                "sum(completion_tokens + lost_completion_tokens), "
                "sum(CASE WHEN estimated THEN prompt_tokens + completion_tokens ELSE 0 END), "
                "sum(lost_prompt_tokens + (answered IS NULL) * prompt_tokens), "
                "sum(lost_completion_tokens + (answered IS NULL) * completion_tokens) FROM replies"
            ).fetchone()
        spent = Spent(*(value or 0 for value in found))
        # Journals of earlier versions count retries in one number.
        return spent._replace(calls=spent.calls + int(self.get("retries", 0)))

    def spent_on_votes(self) -> Spent:
        """What judges have used of it; requests that were lost are not counted."""
        with self._told():
            return Spent(*self._db.execute(_VOTES).fetchone())

    def waits(self) -> Iterator[tuple[float, float]]:
        """When each reply was asked for and when it came, in the order of asking."""
        with self._told():
            query = "SELECT submitted, answered FROM replies WHERE answered IS NOT NULL ORDER BY submitted"
            yield from self._db.execute(query)

    def exported(self) -> Iterator[dict[str, Any]]:
        """Every reply, and then the similarities that choices rest on, as plain JSON in a fixed order."""
        with self._told():
            for query in _EXPORTED:
                found = self._db.execute(query)
                names = [column[0] for column in found.description]
                yield from (dict(zip(names, row, strict=True)) for row in found)

    def num_replies(self) -> int:
        """Replies that are in the journal."""
        with self._told():
            return int(self._db.execute("SELECT count(*) FROM replies WHERE answered IS NOT NULL").fetchone()[0])


def _key(request: Request) -> tuple[int, str, int]:
    return request.lane, request.key, request.occurrence


def _answer(now: float, request: Request, reply: Reply) -> tuple[Any, ...]:
    usage = reply.usage
    return (
        *(now, reply.text, reply.reason, reply.model, reply.fingerprint, reply.finish_reason),
        *(usage.prompt_tokens, usage.completion_tokens, usage.estimated),
        *(request.lane, request.key, request.occurrence),
    )
