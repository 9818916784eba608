"""The tables of a journal, and how those of earlier versions become them."""

from __future__ import annotations

import json
import sqlite3

VERSION = 2
TABLES = """
CREATE TABLE header (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- One row a request: `text` and `reason` are NULL while it is submitted but not answered.
CREATE TABLE replies (
    lane INTEGER, request TEXT, occurrence INTEGER, submitted REAL NOT NULL, answered REAL,
    attempts INTEGER NOT NULL, text TEXT, reason TEXT, model TEXT, fingerprint TEXT, finish_reason TEXT,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, estimated INTEGER NOT NULL,
    lost_prompt_tokens INTEGER NOT NULL DEFAULT 0, lost_completion_tokens INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (lane, request, occurrence)) WITHOUT ROWID;
CREATE TABLE similarities (
    example TEXT, row TEXT, value REAL NOT NULL, PRIMARY KEY (example, row)) WITHOUT ROWID;
"""
# What is derived from the replies, once for each reading: what one command made of them. `digest` stands for the code
# and the checks, `about` is a header of the reading's own, `name` is what a person calls it.
READINGS = """
CREATE TABLE readings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL, target INTEGER NOT NULL, name TEXT,
    about TEXT NOT NULL);
-- What became of every piece of a turn's reply, as this reading has it: [[code, row id, detail], ...]; for a kept row
-- the detail is the index of its answer.
CREATE TABLE turns (
    reading INTEGER, position INTEGER, lane INTEGER, request TEXT, occurrence INTEGER, example TEXT, depth INTEGER,
    pieces TEXT NOT NULL, asked INTEGER NOT NULL, about TEXT NOT NULL, PRIMARY KEY (reading, position)) WITHOUT ROWID;
-- The kept rows in the order in which they are emitted, where that is not the order of their turns.
CREATE TABLE emitted (reading INTEGER, number INTEGER, row TEXT, PRIMARY KEY (reading, number)) WITHOUT ROWID;
-- What judges said of a row (by the id it was written with): the indices of the answer given and judged.
CREATE TABLE judged (
    reading INTEGER, row TEXT, kind TEXT, given INTEGER, judged INTEGER, votes TEXT, detail TEXT,
    PRIMARY KEY (reading, row, kind)) WITHOUT ROWID;
-- Replies that gave nothing and were asked for again: what they used stays spent.
CREATE TABLE dropped (
    lane INTEGER, request TEXT, occurrence INTEGER, submitted REAL NOT NULL, answered REAL,
    attempts INTEGER NOT NULL, text TEXT, reason TEXT, model TEXT, fingerprint TEXT, finish_reason TEXT,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, estimated INTEGER NOT NULL,
    lost_prompt_tokens INTEGER NOT NULL DEFAULT 0, lost_completion_tokens INTEGER NOT NULL DEFAULT 0);
"""
DERIVED = ("turns", "emitted", "judged")
# Of a reading; what is not here is of the run.
_OF_A_READING = ("target", "emission", "leaks", "reading", "name")


def create(db: sqlite3.Connection) -> None:
    """Make the tables."""
    db.executescript(f"BEGIN; {TABLES} {READINGS} PRAGMA user_version={VERSION}; COMMIT;")


def migrate(db: sqlite3.Connection) -> None:
    """Make a journal of version 1, which had one reading, one of this version; all of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        if db.execute("PRAGMA user_version").fetchone()[0] == 1:
            _from_1(db)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _from_1(db: sqlite3.Connection) -> None:
    for table in DERIVED:
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    # A statement a time: a script would end the transaction.
    for statement in filter(str.strip, READINGS.split(";\n")):
        db.execute(statement)
    found = dict(db.execute("SELECT name, value FROM header"))
    own = {name: json.loads(found[name]) for name in _OF_A_READING if name in found}
    reading, name, target = str(own.pop("reading", "")), own.pop("name", None), int(own.pop("target", 0))
    if own or target or db.execute("SELECT count(*) FROM old_turns").fetchone()[0]:
        values = (reading, target, name, json.dumps(own))
        db.execute("INSERT INTO readings (id, digest, target, name, about) VALUES (1, ?, ?, ?, ?)", values)
    db.executemany("DELETE FROM header WHERE name = ?", [(name,) for name in _OF_A_READING])
    for table in DERIVED:
        db.execute(f"INSERT INTO {table} SELECT 1, * FROM old_{table}")
        db.execute(f"DROP TABLE old_{table}")
    db.execute(f"PRAGMA user_version={VERSION}")
