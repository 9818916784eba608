"""No key leaves this machine: not one of its own, and nothing that looks like one in what models wrote."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from ..errors import UsageError

# What keys look like, whoever's they are.
_KEYS = re.compile(
    r"\b(sk-[\w-]{20,}|hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|xox[abps]-[\w-]{10,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
# Which variables hold those of this machine.
_HOLD_KEYS = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 8


def no_keys(files: Mapping[str, bytes], strict: str = "") -> None:
    """Refuse files that hold a key.

    Args:
        files (`Mapping[str, bytes]`): content by name; Parquet is left out.
        strict (`str`, *optional*): files whose name ends so may not even hold what looks like somebody's key.

    Raises:
        UsageError: says where it is, and never what it is.
    """
    mine = [value for name, value in os.environ.items() if _HOLD_KEYS.search(name) and len(value) >= _SHORTEST]
    for name, data in files.items():
        if name.endswith(".parquet"):
            continue
        own = bool(strict) and name.endswith(strict)
        for number, line in enumerate(data.decode().split("\n"), 1):
            _check(f"{name}, line {number},", line, mine, own)


def _check(where: str, line: str, mine: Sequence[str], own: bool) -> None:
    if any(value in line for value in mine):
        raise UsageError(
            f"{where} holds the value of a variable of this machine that is named like a key: nothing was pushed"
        )
    if own and _KEYS.search(line):
        raise UsageError(f"{where} holds what looks like a key: nothing was pushed; leave out `with_journal=True`")
