"""The three ways a call can end that its caller can do something about."""

from __future__ import annotations


class LLMCreatedError(Exception):
    """Base of every error this library raises on purpose: one line, made for the person who reads it.

    It does not derive from `OSError`, which `datasets` rewrites on its way out.

    Example:

        >>> import llm_created
        >>> try:
        ...     llm_created.load_dataset("csq", "tree", model="demo")
        ... except llm_created.LLMCreatedError as error:
        ...     print(str(error).partition("?")[0])
        unknown task 'csq': did you mean 'csqa'
    """

    exit_code = 1
    # Whether line breaks in the message are ours: all others are spelled out where it is printed.
    in_lines = False
    # Whether the server may have written a reply, and billed it, before this ended the request.
    lost = False


class UsageError(LLMCreatedError, ValueError):
    """The call cannot work as given: an example, a flag, a name or a value is wrong (exit code 2).

    Example:

        >>> from llm_created import Task, UsageError
        >>> try:
        ...     Task("mood", ("text",), labels=("happy",))
        ... except UsageError as error:
        ...     print(error.exit_code, str(error)[:12])
        2 task 'mood':
    """

    exit_code = 2


class RunFailed(LLMCreatedError):
    """The run could not go on: wrong key, unknown model, server down, full disk. What was paid for is kept.

    Example:

        >>> import asyncio
        >>> from llm_created import Request, RunFailed, ScriptedClient
        >>> try:
        ...     asyncio.run(ScriptedClient([]).complete(Request([])))
        ... except RunFailed as error:
        ...     print(error)
        the script has run out after 0 replies; give ScriptedClient more
    """

    exit_code = 1


class StoppedShort(LLMCreatedError):
    """The run ended before it had the rows asked for: a cap, patience, or Ctrl-C (exit code 3).

    Args:
        message (`str`): one line that says why and what to do.
        kept (`int`): rows in the prefix that exists.
        wanted (`int`): rows that were asked for.
        more (`tuple[str, ...]`): a setting and the value without which the same call would stop again at once.

    Example:

        >>> import llm_created
        >>> try:
        ...     rows = llm_created.load_dataset("creak", "tree", model="demo", num_rows=50, max_calls=3)
        ... except llm_created.StoppedShort as short:
        ...     print(0 < short.kept < short.wanted)
        True
    """

    exit_code = 3
    in_lines = True

    def __init__(self, message: str, kept: int = 0, wanted: int = 0, more: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.kept = kept
        self.wanted = wanted
        self.more = more


class RequestFailed(LLMCreatedError):
    """A request got no reply; its turn stays open, and another try may bring one.

    Example:

        >>> from llm_created import Reply, Request, RequestFailed
        >>> class Busy:
        ...     async def complete(self, request: Request) -> Reply:
        ...         raise RequestFailed("the model is busy")
    """
