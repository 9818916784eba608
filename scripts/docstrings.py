"""An extension of griffe for the site's Python reference: docstrings in Hugging Face's style, as it reads them."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ARGUMENT = re.compile(r"^( +[\w*, ]+ )\((`.*)\):", re.MULTILINE)
_NAME = re.compile(r"\[`~?(?:llm_created\.)?(\w+)`\](?!\[)")


class Style(griffe.Extension):
    """Types without backticks, names of the library as links, `Example:` as a session of Python."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each object that has been read."""
        if obj.docstring:
            text = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
            text = _ARGUMENT.sub(lambda found: f"{found[1]}({re.sub('[`*]', '', found[2])}):", text)
            obj.docstring.value = _NAME.sub(r"[`\1`][llm_created.\1]", text)
