"""Tables and bars for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..utils.console import columns, fit, left, right

_NAME = 20
_BAR = 20


def table(
    lines: Sequence[Sequence[object]], align: str, *, least: Sequence[int] = (), most: Sequence[int] = ()
) -> Iterator[str]:
    """Lines of cells below each other, two spaces apart, every column as wide as its widest cell.

    Args:
        lines (`Sequence[Sequence[object]]`): the cells; a line may have fewer than others.
        align (`str`): `<` or `>` for each column.
        least, most (`Sequence[int]`, *optional*): bounds of the columns' widths, 0 for none; longer cells are cut.
    """
    widths = [_width(lines, at, _at(least, at), _at(most, at)) for at in range(len(align))]
    for line in lines:
        cells = zip(line, widths, align, strict=False)
        shown = ((left if way == "<" else right)(fit(str(cell), wide), wide) for cell, wide, way in cells)
        yield "  ".join(shown).rstrip()


def bars(counts: Mapping[str, int], whole: int) -> Iterator[str]:
    """Each name with how many it has, their share of the whole, and a bar as long."""
    wide = max((columns(fit(name, _NAME)) for name in counts), default=0)
    digits = max(6, *(len(f"{count:,}") for count in counts.values()))
    for name, count in counts.items():
        share = count / max(whole, 1)
        yield f"  {left(fit(name, _NAME), wide)} {count:>{digits},} {share:>6.1%} {'█' * round(_BAR * share)}".rstrip()


def _width(lines: Sequence[Sequence[object]], at: int, least: int, most: int) -> int:
    wide = max((columns(fit(str(line[at]), most or 400)) for line in lines if len(line) > at), default=0)
    return max(wide, least)


def _at(bounds: Sequence[int], at: int) -> int:
    return bounds[at] if at < len(bounds) else 0
