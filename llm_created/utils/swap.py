"""A folder that is written beside another one and takes its place at once, with all that others put there."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

_AT_FDCWD, _EXCHANGE, _SWAP = -100, 2, 2


def beside(folder: Path, tag: str) -> Path:
    """Where a folder that is to take the place of this one is written.

    That is inside where it cannot be beside: of a mount, of a folder in which this process works, of one whose parent
    cannot be written. Then files take their places one by one.
    """
    home = folder.resolve()
    here = Path.cwd()
    if os.path.ismount(home) or home == here or home in here.parents or not os.access(home.parent, os.W_OK):
        return home / f".{tag}.incomplete"
    return home.parent / f".{home.name}.{tag}.incomplete"


def clear(stage: Path) -> None:
    """An empty folder to write into; what a run that was killed has left there is no longer needed."""
    if stage.is_symlink() or stage.is_file():
        stage.unlink()
    elif stage.exists():
        shutil.rmtree(stage)
    stage.mkdir()


def take_place(stage: Path, folder: Path, own: Collection[str]) -> None:
    """Put `stage` in the place of `folder`; a kill at any moment leaves there the old one or the new one, whole.

    Args:
        stage (`Path`): the new folder, see `beside`.
        folder (`Path`): the old one.
        own (`Collection[str]`): the files that may be replaced or be gone afterwards; all others stay.
    """
    home = folder.resolve()
    if stage.parent == home:
        _one_by_one(stage, home, own)
        return
    for path in sorted(home.iterdir()):
        if path.name not in own:
            _link(path, stage / path.name)
    shutil.copystat(home, stage)
    for path in stage.iterdir():
        if path.name in own:
            _to_disk(path)
    _to_disk(stage)
    if not _exchanged(stage, home):
        old = stage.with_suffix(".replaced")
        shutil.rmtree(old, ignore_errors=True)
        os.rename(home, old)
        os.rename(stage, home)
        os.rename(old, stage)
    _to_disk(home.parent)
    for path in stage.iterdir():
        # What somebody put there in the meantime.
        if path.name not in own and not os.path.lexists(home / path.name):
            os.rename(path, home / path.name)
    shutil.rmtree(stage)


def restore(stage: Path, folder: Path) -> None:
    """Where folders cannot be exchanged, a kill between two renames leaves none: put the old one back."""
    old = stage.with_suffix(".replaced")
    if old.is_dir() and not os.path.lexists(folder.resolve()):
        os.rename(old, folder.resolve())


def _one_by_one(stage: Path, home: Path, own: Collection[str]) -> None:
    """The order in which `own` names the files is that in which they are replaced."""
    new = {path.name for path in stage.iterdir()}
    for name in own:
        if name in new:
            _to_disk(stage / name)
            os.replace(stage / name, home / name)
        else:
            (home / name).unlink(missing_ok=True)
    stage.rmdir()


def _link(path: Path, to: Path) -> None:
    """The same file under another name; of a folder, all its files."""
    if path.is_dir() and not path.is_symlink():
        to.mkdir()
        for one in path.iterdir():
            _link(one, to / one.name)
        shutil.copystat(path, to)
        return
    try:
        os.link(path, to, follow_symlinks=False)
    except OSError:  # file systems without links
        shutil.copy2(path, to, follow_symlinks=False)


def _to_disk(path: Path) -> None:
    """So that a power cut does not leave a name without what it stands for."""
    if os.name != "posix":
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, if this system can; Python has no call for it."""
    libc, names = ctypes.CDLL(None), (os.fsencode(one), os.fsencode(other))
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE)
    elif sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*names, _SWAP)
    else:
        failed = True
    return not failed
