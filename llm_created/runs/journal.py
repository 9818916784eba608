"""Every reply ever paid for, in one SQLite file per run. Resuming a run is reading it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..clients.base import Reply, Request, Usage
from ..errors import RunFailed, UsageError
from . import human, readings, schema
from . import statements as sql
from .lock import RunLock
from .readings import Reading, Which, meant, shown_target

KEPT = "kept"
# Of balance: a row whose label has had its share so far. Of all: a row that the run did not need before it ended.
SURPLUS, UNJUDGED = "surplus", "unjudged"
# Why a row that judges saw is not emitted: the one that was against it.
JUDGES = ("self_correct", "verify", "likelihood", human.KIND)
# What a reply may have given beside rows that are kept: pieces that are well formed.
_GAVE = {KEPT, SURPLUS, UNJUDGED, "duplicate", "filter", "leaked", "near_duplicate", *JUDGES}
FILE_NAME = "journal.sqlite"
_BATCH = 1_000


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
        which (`Which`, *optional*): the reading that is spoken of, until another one is begun; by default the last.

    Raises:
        RunFailed: another process has the run, or the file is damaged, not writable, or of another run.
        UsageError: the reading that is meant is not there.

    Example:

        >>> from llm_created import Identity, Journal, Task
        >>> example = {"question": "Is ice cold?", "options": ["True", "False"], "answer": "True"}
        >>> task = Task.from_example(example, label_space="fixed")
        >>> identity = Identity(task, example, "my-model", "Write one more.")
        >>> with Journal("a-run", identity.as_json) as journal:
        ...     journal.num_replies()
        0
    """

    def __init__(
        self,
        folder: str | Path,
        identity: Mapping[str, Any] | None = None,
        *,
        wait: bool = False,
        which: Which | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.path = self.folder / FILE_NAME
        self._note = self.folder / "identity.json"  # for people, and to tell a new journal from a lost one
        self._identity = identity
        self._wait = wait
        self.which = which or Which()
        # The reading that is spoken of, its own header, and whether it was begun here and may be written.
        self._reading, self._about, self._begun = 0, dict[str, Any](), False
        # Derived from the replies, so they may wait for the next write: statement → its rows.
        self._derived: dict[str, list[tuple[Any, ...]]] = {sql.TURN: [], sql.JUDGED: [], sql.EMITTED: []}

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
            self._db = self._to_read()
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 1:
                self._db.close()
                self._bring_up_to_date()
                self._db = self._to_read()
            self._check_version()
            self._choose()
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
            schema.create(self._db)
            self.set("created", time.time())
        schema.migrate(self._db)
        self._check_version()
        self._choose()
        stored = self.get("identity")
        if stored is None:
            self.set("identity", self._identity)
            self._note.write_text(json.dumps(self._identity, ensure_ascii=False, indent=2) + "\n", "utf-8")
        elif stored != json.loads(json.dumps(self._identity)):
            raise RunFailed(f"{self.path} holds another run; move that folder away and run the command again")

    def _to_read(self) -> sqlite3.Connection:
        where = f"{self.path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(where, uri=True, isolation_level=None, check_same_thread=False)

    def _bring_up_to_date(self) -> None:
        """Journals of version 1 are read as they were written, once they have the tables of today."""
        lock = RunLock(self.folder)
        lock.acquire(wait=False)
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
                schema.migrate(db)
        finally:
            lock.release()

    def _check_version(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != schema.VERSION:
            raise RunFailed(
                f"{self.path} is of journal version {version}, this library reads version {schema.VERSION}: use the "
                "version of llm-created that wrote it, or move the file away to start the run again"
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

    def readings(self) -> list[Reading]:
        """What the commands so far made of the replies, the last first."""
        with self._told():
            return readings.stored(self._db)

    def _choose(self) -> None:
        """Speak of the reading that is meant."""
        found = meant(self.readings(), self.which)
        if found:
            one = readings.furthest(self._db, found)
            named = next((same.name for same in found if same.name), None)
            self._reading = one.id
            self._about = dict(one.about)
            if one.digest:
                self._about |= {"target": shown_target(one, self.which), "name": named}
        elif self.which.rows is not None:
            raise UsageError(
                f"the run {self.folder.name[:8]} does not hold any more how the rows in {self.which.folder!r} were "
                "read: run the command that wrote them once more, it finds their replies in the journal"
            )

    def begin(self, digest: str, target: int, about: Mapping[str, Any], name: str | None = None) -> None:
        """Begin a reading; what others made of the replies stays beside it.

        Args:
            digest (`str`): of the code and the checks.
            target (`int`): rows wanted.
            about (`Mapping[str, Any]`): its own header.
            name (`str`, *optional*): what it is called; another reading that was called so loses the name.
        """
        self.flush()
        dropped = int(self.get("dropped", 0))
        digest += f"+{dropped}" if dropped else ""
        with self._told(), self._together():
            self._reading, name = readings.add(self._db, digest, target, name, about)
        self._about = {**about, "target": target, "name": name}
        self._begun = True

    def tell(self, **about: Any) -> None:
        """Store values in the header of the reading that was begun."""
        self._about |= about
        own = {name: value for name, value in self._about.items() if name not in ("target", "name")}
        with self._told():
            self._db.execute("UPDATE readings SET about = ? WHERE id = ?", (json.dumps(own), self._reading))

    @property
    def reading(self) -> str:
        """The digest of the reading that is spoken of."""
        return next((one.digest for one in self.readings() if one.id == self._reading), "")

    def _own(self) -> int:
        """The reading that may be written; where nobody began one, one without checks."""
        if not self._begun:
            self.begin("", 0, {})
            del self._about["target"], self._about["name"]
        return self._reading

    @contextmanager
    def _together(self) -> Iterator[None]:
        """All that is written in it, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def get(self, name: str, default: Any = None) -> Any:
        """A value of the reading's own header, else of the run's."""
        if name in self._about:
            return default if self._about[name] is None else self._about[name]
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
            found = self._db.execute(sql.READ, (request.lane, request.key, request.occurrence)).fetchone()
        if found is None:
            return None
        text, prompt_tokens, completion_tokens, estimated, *rest = found
        return Reply(text, Usage(prompt_tokens, completion_tokens, bool(estimated)), *rest)

    def submitted(self, requests: Iterable[tuple[Request, Usage]]) -> None:
        """Requests are about to be sent, each with what it is expected to use."""
        now = time.time()
        rows = [(r.lane, r.key, r.occurrence, now, u.prompt_tokens, u.completion_tokens) for r, u in requests]
        self._write(sql.SUBMIT, rows)

    def answered(self, replies: Iterable[tuple[Request, Reply]]) -> None:
        """Replies to requests that were submitted; durable when this returns."""
        now = time.time()
        self._write(sql.ANSWER, [_answer(now, request, reply) for request, reply in replies])

    def failed(self, requests: Iterable[tuple[Request, bool]]) -> None:
        """Submitted requests got no reply, each with whether one may have been written all the same: then what was
        reserved for it stays spent, else it is free again."""
        failed = [(_key(request), lost) for request, lost in requests]
        self._write(sql.LOSE, [key for key, lost in failed if lost])
        self._write(sql.FAIL, [key for key, _ in failed])

    def retried(self, request: Request, lost: bool) -> None:
        """One more attempt at a submitted request is about to be sent, with whether the last one may have been
        answered."""
        if lost:
            self._write(sql.LOSE, [_key(request)])
        self._write(sql.RETRY, [_key(request)])

    def turn(self, request: Request, turn: TurnRecord) -> None:
        """What became of the pieces of a turn."""
        where = (turn.position, request.lane, request.key, request.occurrence)
        about = json.dumps(turn.drawn, ensure_ascii=False) if turn.drawn else ""
        text = json.dumps(turn.pieces, ensure_ascii=False)
        self._derived[sql.TURN].append((self._own(), *where, turn.example, turn.depth, text, turn.asked, about))
        if len(self._derived[sql.TURN]) >= _BATCH:
            self.flush()  # a replay writes nothing else

    def judged(self, row: str, kind: str, given: int, judged: int | None, votes: str, detail: str) -> None:
        """What a judge said of a row."""
        self._derived[sql.JUDGED].append((self._own(), row, kind, given, judged, votes, detail))

    def emitted(self, number: int, row: str) -> None:
        """The row that is emitted as this number, from 0."""
        self._derived[sql.EMITTED].append((self._own(), number, row))

    def flush(self) -> None:
        """Write what is derived and waiting."""
        self._write("", [])

    def _write(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        derived = [(statement, waiting) for statement, waiting in self._derived.items() if waiting]
        if not rows and not derived:
            return
        with self._told():
            with self._together():
                if rows:
                    self._db.executemany(statement, rows)
                for other, waiting in derived:
                    self._db.executemany(other, waiting)
            for _, waiting in derived:
                waiting.clear()

    def similarities(self, example: str) -> dict[str, float]:
        """Similarity to `example` (a row id) of every row id that was ever compared with it."""
        with self._told():
            return dict(self._db.execute("SELECT row, value FROM similarities WHERE example = ?", (example,)))

    def compared(self, example: str, values: Mapping[str, float]) -> None:
        """Store similarities, so that a replay needs no embedding model."""
        rows = [(example, row, value) for row, value in values.items()]
        self._write(sql.COMPARED, rows)

    def absorb(self, replies: Iterable[tuple[Request, Reply]], similarities: Iterable[tuple[str, str, float]]) -> int:
        """Take in what another journal of this run holds and this one lacks, all of it or nothing.

        Returns:
            `int`: how many replies are new.
        """
        now = time.time()
        with self._told(), self._together():
            new = self._db.executemany(sql.ABSORB, (_absorbed(now, *one) for one in replies)).rowcount
            self._db.executemany(sql.COMPARED, similarities)
        return max(new, 0)

    def said(self) -> list[human.Said]:
        """What people said of its rows, and of one row by one person the last at the end."""
        with self._told():
            return human.stored(self._db)

    def said_of(self, row: str, by: str) -> list[human.Said]:
        """What one person said of one row, the last at the end."""
        with self._told():
            found = self._db.execute(human.ONE, (human.Said(row, by, human.UNSURE).key,)).fetchall()
            return [said for key, text in found if (said := human.read(key, text)) is not None]

    def unusable(self) -> dict[tuple[int, str, int], str]:
        """The replies that gave nothing at all, with the commonest reason: of turns as they were read, of votes as
        they came."""
        with self._told():
            turns = self._db.execute(
                "SELECT lane, request, occurrence, pieces FROM turns WHERE reading = ?", (self._reading,)
            )
            found = {}
            for *key, pieces in turns:
                codes = Counter(code for code, *_ in json.loads(pieces))
                if codes and not codes.keys() & _GAVE:
                    found[tuple(key)] = codes.most_common(1)[0][0]
            refused = self._db.execute("SELECT lane, request, occurrence, reason FROM replies WHERE reason <> ''")
            return found | {tuple(key): reason for *key, reason in refused}

    def unread(self) -> Iterator[tuple[tuple[int, str, int], str]]:
        """The replies to turns that no reading came to, with their texts: they were on their way when a run ended."""
        with self._told():
            yield from ((tuple(key), text) for *key, text in self._db.execute(sql.UNREAD))

    def drop(self, keys: Sequence[tuple[int, str, int]]) -> int:
        """Set these replies aside, so that they are asked for again; what they used stays spent.

        Returns:
            `int`: how many there were.
        """
        here = "WHERE lane = ? AND request = ? AND occurrence = ? AND answered IS NOT NULL"
        with self._told(), self._together():
            gone = self._db.executemany(f"INSERT INTO dropped SELECT * FROM replies {here}", keys).rowcount
            self._db.executemany(f"DELETE FROM replies {here}", keys)
            if gone > 0:
                self.set("dropped", int(self.get("dropped", 0)) + gone)
        return max(gone, 0)

    def turns(self) -> Iterator[TurnRecord]:
        """Every turn that was read, in order."""
        with self._told():
            found = self._db.execute(
                "SELECT position, example, depth, pieces, asked, about FROM turns WHERE reading = ? ORDER BY position",
                (self._reading,),
            )
            for position, example, depth, pieces, asked, about in found:
                drawn = json.loads(about) if about else {}
                yield TurnRecord(position, example, depth, json.loads(pieces), asked, drawn)

    def turn_costs(self) -> list[TurnCost]:
        """What each turn that was read used, in order."""
        with self._told():
            found = self._db.execute(sql.COSTS, (self._reading,)).fetchall()
            return [TurnCost(asked, sent, got, guessed, json.loads(of)) for asked, sent, got, guessed, of in found]

    def order(self) -> dict[str, int]:
        """The number under which each kept row (by the id it was written with) is emitted, where rows were held back
        for balance; else nothing: rows are emitted in the order of their turns."""
        with self._told():
            found = self._db.execute("SELECT row, number FROM emitted WHERE reading = ?", (self._reading,))
            return dict(found)

    def judgements(self) -> Iterator[Judgement]:
        """What judges said, row by row."""
        with self._told():
            for one in self._db.execute(sql.JUDGEMENTS, (self._reading,)):
                yield Judgement(*one)

    def judgements_of(self, row: str) -> list[Judgement]:
        """What judges said of one row."""
        with self._told():
            return [Judgement(*one) for one in self._db.execute(sql.JUDGEMENTS + " AND row = ?", (self._reading, row))]

    def places(self) -> dict[int, Request]:
        """The request of each turn that was read, by position: its reply stays where another reading takes the place
        of this one."""
        with self._told():
            found = self._db.execute(sql.PLACES, (self._reading,))
            return {position: Request([], *key) for position, *key in found}

    def text_of(self, position: int) -> str:
        """The raw reply that the turn at `position` read."""
        with self._told():
            found = self._db.execute(
                "SELECT text FROM turns JOIN replies USING (lane, request, occurrence) "
                "WHERE reading = ? AND position = ?",
                (self._reading, position),
            ).fetchone()
        return "" if found is None or found[0] is None else str(found[0])

    def spent(self) -> Spent:
        """Calls and tokens over the life of the run."""
        with self._told():
            found = self._db.execute(sql.SPENT).fetchone()
        spent = Spent(*(value or 0 for value in found))
        # Journals of earlier versions count retries in one number.
        return spent._replace(calls=spent.calls + int(self.get("retries", 0)))

    def spent_on_votes(self) -> Spent:
        """What the votes of this reading used; requests that were lost are not counted.

        Where other readings had votes of their own, it is its share of them all.
        """
        with self._told():
            calls, *tokens = self._db.execute(sql.VOTES).fetchone()
        own = min(sum(len(json.loads(one.votes)) for one in self.judgements() if one.kind != human.KIND), calls)
        return Spent(own, *(round(used * own / calls) if calls else 0 for used in tokens))

    def waits(self) -> Iterator[tuple[float, float]]:
        """When each reply was asked for and when it came, in the order of asking."""
        with self._told():
            yield from self._db.execute(sql.WAITS)

    def exported(self) -> Iterator[dict[str, Any]]:
        """Every reply, and then the similarities that choices rest on, as plain JSON in a fixed order."""
        with self._told():
            for query in sql.EXPORTED:
                found = self._db.execute(query)
                names = [column[0] for column in found.description]
                yield from (dict(zip(names, row, strict=True)) for row in found)

    def num_replies(self) -> int:
        """Replies of the model that are in the journal."""
        with self._told():
            return int(self._db.execute(sql.NUM_REPLIES).fetchone()[0])


def _key(request: Request) -> tuple[int, str, int]:
    return request.lane, request.key, request.occurrence


def _absorbed(now: float, request: Request, reply: Reply) -> tuple[Any, ...]:
    """A reply of another journal; what a person said took no call."""
    return (now, *_answer(now, request, reply), 0 if human.of_reply(request, reply.text) else 1)


def _answer(now: float, request: Request, reply: Reply) -> tuple[Any, ...]:
    usage = reply.usage
    return (
        *(now, reply.text, reply.reason, reply.model, reply.fingerprint, reply.finish_reason),
        *(usage.prompt_tokens, usage.completion_tokens, usage.estimated),
        *(request.lane, request.key, request.occurrence),
    )
