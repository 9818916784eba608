"""The one way to a terminal: every line goes through a door here, and no text in it can do more than be read."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

# Control characters but tab and newline (ESC and C1 among them), what reorders text, what breaks lines, and lone
# surrogates. Letters that run from right to left and the joiners inside emoji and scripts are none of these.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# The second column of a wide character; no text that is harmless has it.
_SECOND = "\0"
# Our own signs where the terminal has no way to show them.
_PLAIN_SIGNS = str.maketrans({"─": "-", "█": "#", "·": "-", "–": "-", "→": "->", "…": "..."})


def harmless(text: str) -> str:
    """The text for showing: what would act on a terminal or reorder a line is spelled out (`\\x1b`, `\\u202e`)."""
    if text.isprintable():
        return text
    return _HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def fit(text: str, width: int) -> str:
    """The text for showing, as one line of at most `width` columns."""
    line = _spread(" ".join(harmless(text[: 4 * width]).split()))
    if len(line) > width:
        end = max(width - 1, 0)
        line = line[: end - (line[end] == _SECOND)] + "…"
    return line.replace(_SECOND, "")


def wrap(text: str, width: int, first: str = "", then: str = "") -> list[str]:
    """The text for showing, in lines of at most `width` columns that begin with `first` and `then`."""
    spread = _spread(harmless(text))
    # A long word may be broken between the columns of a wide character, whose second then stands over.
    lines = textwrap.wrap(spread, width - (_SECOND in spread), initial_indent=first, subsequent_indent=then)
    return [line.replace(_SECOND, "") for line in lines]


def columns(text: str) -> int:
    """How many columns of a terminal a line takes; what sits on or joins other characters takes none."""
    return len(_spread(text)) - sum(unicodedata.category(one) in ("Mn", "Me", "Cf") for one in text)


def left(text: str, width: int) -> str:
    """A cell of this many columns with the text at its left."""
    return text + " " * (width - columns(text))


def right(text: str, width: int) -> str:
    """A cell of this many columns with the text at its right."""
    return " " * (width - columns(text)) + text


def _spread(text: str) -> str:
    """The text with as many characters as columns: Chinese, Japanese, Korean and emoji take two."""
    if text.isascii():
        return text
    return "".join(one + _SECOND if unicodedata.east_asian_width(one) in "WF" else one for one in text)


def out(*lines: str) -> None:
    """What a command gives: each text is one line, whatever it holds."""
    _write(sys.stdout, lines)


def pour(text: str) -> None:
    """Data that a command gives to another: as it is, but on a terminal."""
    to = sys.stdout
    raw = getattr(to, "buffer", None)
    if to.isatty() or raw is None:
        to.write(_showable(to, harmless(text)))
        return
    to.flush()
    # Whatever the locale says: what is read as a file is UTF-8.
    raw.write(text.encode("utf-8", "backslashreplace"))


def say(*lines: str) -> None:
    """Tell the person at the terminal; what a command gives goes to the other stream."""
    _flush(sys.stdout)
    try:
        _write(sys.stderr, lines)
        _flush(sys.stderr)
    except OSError as error:
        # A terminal that has gone hears nothing: no reason to lose what a run has in flight.
        if isinstance(error, BrokenPipeError):
            raise


def ask(question: str) -> str:
    """A person's answer, `""` where nobody sits there."""
    if sys.stdin is None or not sys.stdin.isatty():
        return ""
    return input(_showable(sys.stdout, _line(question)))


def rewrite(lines: Sequence[str], before: int, to: TextIO) -> None:
    """Put lines where the last `before` lines of a terminal are; the cursor stays at the end of the last one."""
    back = "\r\x1b[2K" + "\x1b[1A\x1b[2K" * (before - 1) if before else ""
    to.write(back + _showable(to, "\n".join(map(_line, lines))))
    to.flush()


def _write(to: TextIO | None, lines: Iterable[str]) -> None:
    if to is not None:  # a stream that was closed before the start
        to.write(_showable(to, "".join(f"{_line(one)}\n" for one in lines)))


def _line(text: str) -> str:
    return harmless(text).replace("\n", "\\n")


def _showable(to: TextIO, text: str) -> str:
    """The text with what the stream cannot carry spelled out."""
    encoding = getattr(to, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN_SIGNS).encode(encoding, "backslashreplace").decode(encoding)
    return text


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """End quietly when whoever reads our output has gone: there is nobody to tell."""
    # A stream that was closed before the start is None.
    sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
    try:
        try:
            yield
        finally:
            _flush(sys.stdout)
    except BrokenPipeError:
        for stream in (sys.stdout, sys.stderr):
            _let_go(stream)
        raise SystemExit(0) from None


def _flush(stream: TextIO | None) -> None:
    try:
        if stream is not None:
            stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _to_nowhere(stream)
        raise SystemExit(f"error: the output cannot be written: {error.strerror or error}") from None


def _let_go(stream: TextIO | None) -> None:
    try:
        _flush(stream)
    except BrokenPipeError:
        _to_nowhere(stream)


def _to_nowhere(stream: TextIO | None) -> None:
    """What is left in its buffer would be a complaint at exit."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def show_logs() -> None:
    """Log records go through the door, too."""
    import logging

    class Door(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(*self.format(record).split("\n"))

    logging.basicConfig(format="%(message)s", handlers=[Door()])


# A setting in a message, as Python spells it: `name`, `name=True`, `name='value'`.
_SETTING = re.compile(r"`([a-z_]+)(?:=(?:True|'([^`']*)'))?`")


class Parser(argparse.ArgumentParser):
    """A parser of arguments whose help and errors, which repeat what was typed, go through the door."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.color = False  # its own escape sequences, from Python 3.14 on

    def spoken(self, text: str) -> str:
        """A message of the library, which speaks of settings, in the words of this command line."""
        known = {one.dest: one.option_strings[0] for one in self._actions if one.option_strings}

        def flag(found: re.Match[str]) -> str:
            return known[found[1]] + (f" {found[2]}" if found[2] else "") if found[1] in known else found[0]

        return _SETTING.sub(flag, text)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The arguments; of a pattern that the shell made several paths of, say that one is wanted."""
        found, more = self.parse_known_args(args, namespace)
        paths = [one for one in more if os.path.exists(one)]
        if paths:
            self.error(f"{paths[0]!r} is one path too many: where a pattern such as `rows-*` fits several, name one")
        if more:
            self.error(f"unrecognized arguments: {' '.join(more)}")
        return found

    def error(self, message: str) -> Any:
        self.exit(2, f"error: {_line(message)} (`{self.prog} --help` shows what there is)\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            _write(file or sys.stderr, message.removesuffix("\n").split("\n"))
