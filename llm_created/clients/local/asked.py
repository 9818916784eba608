"""What is asked, in a model's tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def continuations(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], choices: Sequence[str]
) -> tuple[list[int], list[list[int]]]:
    """What each choice has in common with the others, which is read once, and the tokens of each behind it.

    The messages are one text to go on with, without the marks of a conversation.
    """
    text = "\n\n".join(message["content"] for message in messages if message["content"])
    # Together: where a text ends within a word, its tokens depend on what follows.
    tokens = [tokenizer.encode(text + choice) for choice in choices]
    shared = min(len(one) - 1 for one in tokens)
    while any(one[:shared] != tokens[0][:shared] for one in tokens):
        shared -= 1
    return tokens[0][:shared], [one[shared:] for one in tokens]


def prompt(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """A conversation by the model's chat template, up to where the reply begins."""
    from jinja2 import TemplateError

    try:
        text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    except TemplateError:
        # Some templates know no system message: what it says stands before the user's then.
        first, *rest = messages
        if first["role"] != "system" or not rest:
            raise
        joined = {"role": "user", "content": f"{first['content']}\n\n{rest[0]['content']}"}
        text = tokenizer.apply_chat_template([joined, *rest[1:]], tokenize=False, add_generation_prompt=True)
    return list(tokenizer.encode(text, add_special_tokens=False))
