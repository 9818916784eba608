"""What the comparison says, in plain words."""

from __future__ import annotations

from ..evaluation.scores import McNemar, is_majority
from .compare import BOTH, CREATED, MINE, Arm, Compared, Gain, worth

# Fewer rows that differ cannot be told from chance at one in twenty, whichever way they fall: 2 * 0.5 ** 6 < 0.05.
TELLS = 6


def sentence(found: Compared) -> str:
    """The verdict."""
    mine, both = found.arm(MINE), found.arm(BOTH)
    if mine is None:
        return "Nothing was held out, so whether created rows help is not known."
    if both is None or both.gain is None:
        return f"No row was created: your {mine.mine:,} alone score {_percent(mine)} on {_rows(mine)}."
    said = f"{_gained(mine, both, both.gain)} {_percent(both)} against {_percent(mine)} on {_rows(mine)}"
    said += f", paired {p(both.gain.test)}."
    return " ".join([said, *_worth(found, both.gain), *_alone(found), *_few(mine)])


def _gained(mine: Arm, both: Arm, gain: Gain) -> str:
    interval = f"95 % interval {100 * gain.low:.0f} to {100 * gain.high:.0f}"
    points = f"{abs(100 * gain.points):.1f} points"
    over = f"your {mine.mine:,} alone"
    if _shown(gain) and gain.points > 0:
        return f"{both.created:,} created rows added {points} over {over} ({interval}):"
    if _shown(gain):
        return f"{both.created:,} created rows cost {points} against {over} ({interval}):"
    sign = "+" if gain.points > 0 else "-" if gain.points < 0 else "±"
    return (
        f"No difference is shown between {over} and with {both.created:,} created rows: {sign}{points} ({interval}),"
    )


def _shown(gain: Gain) -> bool:
    """Whether there is a difference: by the interval and by the exact test, which few rows may part."""
    return gain.test.p < 0.05 and not gain.low <= 0 <= gain.high


def _worth(found: Compared, gain: Gain) -> list[str]:
    told = worth(found.curve, gain.points if _shown(gain) else 0.0)
    if told is None:
        return []
    slope, more = told
    doubling = f"each doubling of your own labels added about {100 * slope:.1f} points"
    if more:
        return [f"About {_round(more):,} more labels of yours would be worth as much: {doubling}."]
    if _shown(gain) and gain.points > 0:
        return [f"More than three times your labels again would be worth as much: {doubling}."]
    return [f"{doubling[0].upper()}{doubling[1:]}."]


def _alone(found: Compared) -> list[str]:
    """What created rows are without a person's."""
    arm = found.arm(CREATED)
    if arm is None or arm.gain is None:
        return []
    constant = ", which a constant answer gets too" if is_majority(arm.score) else ""
    return [f"Created rows alone: {_percent(arm)} ({p(arm.gain.test)} against yours){constant}."]


def _few(mine: Arm) -> list[str]:
    least = 100 * TELLS / mine.score.n
    if mine.score.n <= TELLS:
        return [f"{_rows(mine).capitalize()} can show no difference at all: label more, or give a test file."]
    if least > 3:
        return [f"{_rows(mine).capitalize()} can show no difference below {least:.0f} points."]
    return []


def p(test: McNemar) -> str:
    """A paired test's p in words."""
    return "p < 0.001" if test.p < 0.001 else f"p = {test.p:.3f}" if test.p < 0.1 else f"p = {test.p:.2f}"


def _percent(arm: Arm) -> str:
    return f"{100 * arm.score.accuracy:.1f} %"


def _rows(arm: Arm) -> str:
    return f"{arm.score.n:,} held-out row" + "s" * (arm.score.n != 1)


def _round(number: int) -> int:
    """A rough figure is not told to the row."""
    return number if number < 20 else round(number, -1) if number < 500 else round(number, -2)
