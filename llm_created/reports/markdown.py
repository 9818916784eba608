"""Cards as files: text that stays text, the YAML head, and our parts among what others wrote."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..utils.console import harmless
from ..utils.text import clean, shorten

# All that Markdown, HTML, a table or a formula could read as more than itself. As entities they are text to each.
_MARKUP = re.compile(r"[&<>\\`*\[\]|~$@]|(?<!\w)_|_(?!\w)|:(?=//)")
_HEAD = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)(?:\r?\n)?^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def inline(text: str) -> str:
    """A text as one line of Markdown that shows it letter by letter, also in a table."""
    line = " ".join(clean(text).split())
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", harmless(line))


def block(text: str) -> str:
    """A text of any number of lines as a block that shows it letter by letter: nothing in it is read as Markdown."""
    return f"<pre>\n{html.escape(harmless(clean(text)), quote=False)}\n</pre>"


def fence(text: str, language: str = "") -> str:
    """Code in a fence that it cannot close."""
    marks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{marks}{language}\n{harmless(text.rstrip())}\n{marks}"


@cache
def _templates() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        # Whatever a template names is shown as text, unless a filter here made it Markdown.
        return inline(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    folder = Path(__file__).with_name("templates")
    made = Environment(
        loader=FileSystemLoader(folder, encoding="utf-8"),
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    made.filters["block"] = lambda text: Markup(block(text))
    made.filters["fence"] = lambda text, language="": Markup(fence(text, language))
    return made


def render(template: str, facts: Mapping[str, Any]) -> str:
    """A template of `templates/`, filled in; every text among the facts is escaped."""
    return str(_templates().get_template(template).render(facts)).strip()


def split(card: str, where: str) -> tuple[dict[str, Any], str]:
    """A card's YAML head as an object, and its text.

    Raises:
        UsageError: the head is no YAML object.
    """
    import yaml

    found = _HEAD.match(card)
    if not found:
        return {}, card
    try:
        head = yaml.safe_load(found[1]) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: the head of its README.md is no YAML ({shorten(str(error), 160)})") from None
    if not isinstance(head, dict):
        raise UsageError(f"{where}: the head of its README.md is no YAML object, but {type(head).__name__}")
    return head, card[found.end() :]


def join(head: Mapping[str, Any], text: str) -> str:
    """A card from its head and its text."""
    import yaml

    dumped = yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{dumped}---\n\n{text.strip()}\n"


def merge(text: str, parts: Mapping[str, str], before: str) -> str:
    """Put our parts into a card's text; what others wrote around them stays.

    Args:
        text (`str`): the text that is there.
        parts (`Mapping[str, str]`): Markdown by the name of the part; each stands between two comments.
        before (`str`): the part that new parts go in front of, if it is there.
    """
    for name, part in parts.items():
        first, last = f"<!-- llm-created: {name} -->", f"<!-- end of {name} -->"
        written = f"{first}\n{part}\n{last}"
        start, end = text.find(first), text.find(last)
        if 0 <= start < end:
            text = text[:start] + written + text[end + len(last) :]
            continue
        at = text.find(f"<!-- llm-created: {before} -->")
        at = len(text) if at < 0 else at
        text = "\n\n".join(filter(None, (text[:at].rstrip(), written, text[at:].lstrip())))
    return text


def union(first: Any, more: Iterable[str]) -> list[str]:
    """A head's list, which may be one text or nothing, and what it lacks."""
    there = [first] if isinstance(first, str) else list(first or ())
    return [*there, *(one for one in more if one not in there)]
