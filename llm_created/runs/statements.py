"""What a journal says to SQLite."""

from __future__ import annotations

SUBMIT = """
INSERT INTO replies (lane, request, occurrence, submitted, attempts, prompt_tokens, completion_tokens, estimated)
VALUES (?, ?, ?, ?, 1, ?, ?, 1) ON CONFLICT DO UPDATE SET submitted = excluded.submitted, attempts = attempts + 1,
lost_prompt_tokens = lost_prompt_tokens + prompt_tokens,
lost_completion_tokens = lost_completion_tokens + completion_tokens,
prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens"""
ANSWER = """
UPDATE replies SET answered = ?, text = ?, reason = ?, model = ?, fingerprint = ?,
finish_reason = ?, prompt_tokens = ?, completion_tokens = ?, estimated = ?
WHERE lane = ? AND request = ? AND occurrence = ?"""
# While a request is on its way, its tokens are those reserved for one attempt.
LOSE = """
UPDATE replies SET lost_prompt_tokens = lost_prompt_tokens + prompt_tokens,
lost_completion_tokens = lost_completion_tokens + completion_tokens
WHERE lane = ? AND request = ? AND occurrence = ? AND answered IS NULL"""
RETRY = """
UPDATE replies SET attempts = attempts + 1
WHERE lane = ? AND request = ? AND occurrence = ? AND answered IS NULL"""
# What is answered stays; what was only submitted gets its answer, and what was reserved for it stays lost.
ABSORB = """
INSERT INTO replies (submitted, answered, text, reason, model, fingerprint, finish_reason, prompt_tokens,
completion_tokens, estimated, lane, request, occurrence, attempts)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET answered = excluded.answered,
text = excluded.text, reason = excluded.reason, model = excluded.model, fingerprint = excluded.fingerprint,
finish_reason = excluded.finish_reason, estimated = excluded.estimated, attempts = attempts + 1,
lost_prompt_tokens = lost_prompt_tokens + prompt_tokens,
lost_completion_tokens = lost_completion_tokens + completion_tokens,
prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens WHERE answered IS NULL"""
COMPARED = "INSERT OR IGNORE INTO similarities VALUES (?, ?, ?)"
FAIL = """
UPDATE replies SET prompt_tokens = 0, completion_tokens = 0
WHERE lane = ? AND request = ? AND occurrence = ? AND answered IS NULL"""
READ = """
SELECT text, prompt_tokens, completion_tokens, estimated, reason, model, fingerprint, finish_reason FROM replies
WHERE lane = ? AND request = ? AND occurrence = ? AND answered IS NOT NULL"""


COSTS = """
SELECT asked, coalesce(prompt_tokens, 0), coalesce(completion_tokens, 0), coalesce(estimated, 0), pieces
FROM turns LEFT JOIN replies USING (lane, request, occurrence) WHERE reading = ? ORDER BY position"""
VOTES = """
SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) FROM replies
WHERE lane = -1 AND attempts > 0 AND answered IS NOT NULL"""
# What people said took nobody any call.
WAITS = "SELECT submitted, answered FROM replies WHERE answered IS NOT NULL AND attempts > 0 ORDER BY submitted"
NUM_REPLIES = "SELECT count(*) FROM replies WHERE answered IS NOT NULL AND attempts > 0"
PLACES = "SELECT position, lane, request, occurrence FROM turns WHERE reading = ?"
SPENT = """
SELECT sum(attempts), sum(prompt_tokens + lost_prompt_tokens), sum(completion_tokens + lost_completion_tokens),
sum(CASE WHEN estimated THEN prompt_tokens + completion_tokens ELSE 0 END),
sum(lost_prompt_tokens + (answered IS NULL) * prompt_tokens),
sum(lost_completion_tokens + (answered IS NULL) * completion_tokens)
FROM (SELECT * FROM replies UNION ALL SELECT * FROM dropped)"""
EXPORTED = (
    "SELECT lane, request, occurrence, text, reason, model, fingerprint, finish_reason, prompt_tokens, "
    "completion_tokens, estimated FROM replies WHERE answered IS NOT NULL ORDER BY lane, request, occurrence",
    "SELECT example, row, value FROM similarities ORDER BY example, row",
)
TURN = "INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
JUDGED = "INSERT OR REPLACE INTO judged VALUES (?, ?, ?, ?, ?, ?, ?)"
EMITTED = "INSERT OR REPLACE INTO emitted VALUES (?, ?, ?)"
UNREAD = """
SELECT lane, request, occurrence, text FROM replies WHERE lane >= 0 AND reason = ''
AND (lane, request, occurrence) NOT IN (SELECT lane, request, occurrence FROM turns)"""
JUDGEMENTS = "SELECT row, kind, given, judged, votes, detail FROM judged WHERE reading = ?"
