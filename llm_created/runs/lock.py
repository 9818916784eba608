"""One process at a time on a run."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import RunFailed

# Whoever looks whether a run is under way has its lock for less.
_MOMENT = 0.2


def is_held(folder: Path) -> bool:
    """Whether another process is working on a run; where locks cannot be asked, no."""
    if os.name != "posix":
        return False
    import fcntl

    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        os.close(lock)
    return False


class RunLock:
    """A lock on a run's folder that the operating system drops when the process dies.

    Args:
        folder (`Path`): the run's folder, made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "lock"

    def acquire(self, *, wait: bool) -> None:
        """Take the lock.

        Raises:
            RunFailed: another process has it (unless `wait`), the folder cannot be written, or locks do not hold
                there.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._path, thread_local=False)
            self._lock.acquire(timeout=-1 if wait else _MOMENT)
            locked_out = self._holds()
        except Timeout:
            raise RunFailed(
                f"another process is working on the run {self._folder.name[:8]}: wait for it, or stop it first"
            ) from None
        except (OSError, NotImplementedError) as error:
            raise RunFailed(
                f"cannot write or lock {self._folder}: {error}. Set LLM_CREATED_CACHE to a folder on a local disk"
            ) from None
        if not locked_out:
            self._lock.release()
            raise RunFailed(
                f"file locks do not hold in {self._folder} (a network file system?): "
                "set LLM_CREATED_CACHE to a folder on a local disk"
            )

    def _holds(self) -> bool:
        """Whether a second taker is really kept out: some network file systems say yes to everybody."""
        if os.name != "posix":
            return True
        import fcntl

        second = os.open(self._path, os.O_RDWR)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(second)
        return False

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()
