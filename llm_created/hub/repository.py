"""A repository on the Hub: one commit on top of what is there, or one clear line why not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..errors import RunFailed, UsageError
from ..utils.text import shorten
from ..utils.version import __version__

# A file's content, its path here, or `None` for a file that is to go.
Files = Mapping[str, bytes | Path | None]
Say = Callable[[str], None]
_T = TypeVar("_T")
# Attempts at a request that the Hub did not serve, and at a commit that somebody else's overtook.
_TRIES = 5
# Somebody has committed since we looked, or is about to.
_OVERTAKEN = (409, 412)


class Head:
    """What a repository holds at one commit.

    Attributes:
        repo_id (`str`): the repository.
        repo_type (`str`): `"dataset"` or `"model"`.
        sha (`str`, *optional*): the commit.
        private (`bool`): whether the repository is.
        paths (`tuple[str, ...]`): its files.
    """

    def __init__(self, info: Any, repo_id: str, repo_type: str) -> None:
        self.repo_id, self.repo_type = repo_id, repo_type
        self.sha: str | None = info.sha
        self.private = bool(info.private)
        self.paths = tuple(str(one.rfilename) for one in info.siblings or ())

    def read(self, path: str) -> bytes | None:
        """A file's content, or `None` if it is not there."""
        if path not in self.paths:
            return None
        from huggingface_hub import hf_hub_download

        kind, sha = self.repo_type, self.sha
        return Path(_again(lambda: hf_hub_download(self.repo_id, path, repo_type=kind, revision=sha))).read_bytes()

    def text(self, path: str) -> str:
        """A text file's content, or `""` if it is not there."""
        try:
            return (self.read(path) or b"").decode("utf-8-sig")
        except UnicodeDecodeError:
            raise RunFailed(f"{self.repo_id}: {path} there is not UTF-8") from None


def commit(
    repo_id: str,
    repo_type: str,
    files: Callable[[Head], Files],
    *,
    message: str,
    private: bool = False,
    say: Say = lambda text: None,
) -> str:
    """Put files into a repository in one commit, on top of what it holds; the repository is made if there is none.

    The commit names its parent. When somebody else's has come in between, `files` is asked again with the new head, so
    that it can merge or refuse. Until the commit is there, nothing of it can be seen.

    Args:
        repo_id (`str`): `owner/name`.
        repo_type (`str`): `"dataset"` or `"model"`.
        files (`Callable[[Head], Files]`): told what is there, says what is to be there: path to content, to a file of
            this machine, or to `None` for a file that goes. It may raise to keep the commit from being made.
        message (`str`): the commit's title.
        private (`bool`, defaults to `False`): make it a private repository; one that is public is refused.
        say (`Callable[[str], None]`, *optional*): told what is going on.

    Returns:
        `str`: the commit's address.

    Raises:
        UsageError: the name is not allowed, there is no token, or `private` meets a public repository.
        RunFailed: the Hub refuses or cannot be reached.
    """
    api = ready(repo_id)
    with told(repo_id):
        head = _open(api, repo_id, repo_type, private)
        for attempt in range(_TRIES):
            wanted = files(head)
            try:
                return _commit(api, head, wanted, message, say)
            except OSError as error:
                if _status(error) not in _OVERTAKEN:
                    raise
            say(f"somebody else has committed to {repo_id} meanwhile: looking again")
            time.sleep(0.1 * 2**attempt)
            head = _look(api, repo_id, repo_type)
    raise RunFailed(f"{repo_id}: somebody else commits there all the time; nothing was pushed, try again later")


def ready(repo_id: str) -> Any:
    """The Hub's client, after what can be known without asking the Hub.

    Raises:
        UsageError: the name is not allowed, or there is no token.
    """
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise UsageError(f"{repo_id!r} is not a name that the Hub allows: {shorten(str(error), 160)}") from None
    if repo_id.count("/") != 1:
        raise UsageError(f"{repo_id!r}: give the repository as OWNER/NAME")
    if constants.HF_HUB_OFFLINE:
        raise UsageError("HF_HUB_OFFLINE is set, so nothing can go to the Hub: unset it")
    if not get_token():
        raise UsageError("there is no token for the Hub: run `hf auth login`, or set HF_TOKEN to one that may write")
    return HfApi(library_name="llm-created", library_version=__version__)


def _open(api: Any, repo_id: str, repo_type: str, private: bool) -> Head:
    """The head of a repository, which is made if there is none."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        head = _look(api, repo_id, repo_type)
    except RepositoryNotFoundError:
        # A repository that is not told to be private follows the owner's own default.
        _again(lambda: api.create_repo(repo_id, repo_type=repo_type, private=private or None, exist_ok=True))
        head = _look(api, repo_id, repo_type)
    if private and not head.private:
        raise UsageError(
            f"{repo_id} is public, so `private=True` cannot hold: make it private in its settings, or give another "
            "name. Nothing was pushed"
        )
    return head


def _look(api: Any, repo_id: str, repo_type: str) -> Head:
    return Head(_again(lambda: api.repo_info(repo_id, repo_type=repo_type)), repo_id, repo_type)


def _commit(api: Any, head: Head, files: Files, message: str, say: Say) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    size = sum(one.stat().st_size if isinstance(one, Path) else len(one or b"") for one in files.values())
    say(f"pushing {sum(one is not None for one in files.values())} files, {size / 1e6:,.1f} MB, to {head.repo_id}")

    def attempt() -> str:
        # Operations remember how far they came with one commit, and are not to be used for another.
        made: list[Any] = [CommitOperationAdd(path, one) for path, one in files.items() if one is not None]
        made += [CommitOperationDelete(path) for path, one in files.items() if one is None and path in head.paths]
        kind, sha = head.repo_type, head.sha
        done = api.create_commit(head.repo_id, made, commit_message=message, repo_type=kind, parent_commit=sha)
        return str(done.commit_url)

    return _again(attempt)


def _again(call: Callable[[], _T]) -> _T:
    """Ask again where the Hub says that it could not, or was not heard: not every request of its client does."""
    for attempt in range(_TRIES - 1):
        try:
            return call()
        except _errors() as error:
            # Without a status the connection broke, or something in between answered with a page of its own.
            status = _status(error)
            if status is not None and status != 429 and status < 500:
                raise
        time.sleep(0.4 * 2**attempt)
    return call()


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error, if there is one."""
    return getattr(getattr(error, "response", None), "status_code", None)


def _errors() -> tuple[type[Exception], ...]:
    """What the Hub's client raises when it is refused or cannot connect: its HTTP library was not always the same."""
    from huggingface_hub import utils

    http = getattr(utils, "httpx", None)
    return (OSError, json.JSONDecodeError, *((http.HTTPError,) if http else ()))


@contextmanager
def told(repo_id: str) -> Iterator[None]:
    """What the Hub refuses, as one line."""
    try:
        yield
    except (UsageError, RunFailed):
        raise
    except _errors() as error:
        raise RunFailed(f"{repo_id}: {_reason(error)}") from None
    except ValueError as error:
        # The Hub's word on the head of a card, and the client's on what it was given.
        raise UsageError(f"{repo_id}: the Hub does not accept this: {shorten(str(error), 300)}") from None


def _reason(error: Exception) -> str:
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import RepositoryNotFoundError

    status, said = _status(error), shorten(str(getattr(error, "server_message", None) or error), 200)
    if status == 404 or (status == 401 and not get_token()):
        if not isinstance(error, RepositoryNotFoundError):
            return f"something is missing there ({said})"
        return "there is no such repository, or this token may not see it"
    if status == 401:
        return "the Hub does not know this token: run `hf auth login`, or set HF_TOKEN to one that may write"
    if status == 403:
        return f"this token may not write there ({said}): make one at {constants.ENDPOINT}/settings/tokens that may"
    if status is None:
        return f"the Hub at {constants.ENDPOINT} cannot be reached ({said}): run it again"
    return f"the Hub answers {status} ({said}): run it again"
