"""A trial in words: a table in 80 columns, and what may be concluded from it."""

from __future__ import annotations

from ..evaluation import demo_rows
from ..evaluation.scores import McNemar, Score, is_majority
from ..evaluation.trial import Scored, Trial
from ..utils.console import fit, wrap

WIDTH = 80
# What is called a difference: one chance in twenty.
_ALPHA = 0.05


def lines(trial: Trial) -> list[str]:
    """The whole trial, at most 80 columns wide."""
    train, rows = trial.train, f"{len(trial.train.rows):,} of {trial.whole:,} rows"
    rows = f"{trial.whole:,} rows" if len(train.rows) == trial.whole else rows
    about = f"{train.task.name}: linear models ({trial.features.about}), {rows} of {fit(train.name, 40)}"
    found = wrap(about, WIDTH)
    for test in trial.tests:
        found += ["", *_test(trial, test)]
    return found


def _test(trial: Trial, test: Scored) -> list[str]:
    *_, whole = test.curve.values()
    demo = test.name == demo_rows.NAME
    name = "held-out demo rows (a plumbing check, not a result)" if demo else fit(test.name, 40)
    out = ", out of distribution" if test.distribution == "out" else ""
    # Each part on a line of its own where both do not fit.
    head = [f"on {name}{out}:", f"{whole.n:,} rows, the commonest answer {100 * whole.majority:.1f} %"]
    table = [" ".join(head)] if len(" ".join(head)) <= WIDTH else head
    fixed = not trial.train.task.variable
    table.append(f"  {'trained on':<18}{'rows':>8}{'accuracy':>11}   95 % interval" + "  macro F1" * fixed)
    kind = trial.train.kind
    for size, score in test.curve.items():
        share = f"{kind}, {100 * size / len(trial.train.rows):.0f} %" if size < len(trial.train.rows) else kind
        table.append(_line(share, size, score, fixed))
    if test.human:
        table.append(_line("human", len(trial.human), test.human, fixed))
    said = [*_leaks(test), _plain(whole), *_against_human(trial, test), *_enough(test)]
    if demo:
        said = [
            "None of the facts in these rows is in a training row, so a score near the commonest answer's is no "
            "fault. Figures that mean something need rows that people labelled."
        ]
    wrapped = (wrap(one, WIDTH, "  ", "    ") for one in said)
    return [*table, *(line for one in wrapped for line in one)]


def _line(name: str, size: int, score: Score, fixed: bool) -> str:
    interval = f"{100 * score.low:.1f} to {100 * score.high:.1f}"
    mark = "  constant" if score.constant else "  = majority" if is_majority(score) else ""
    macro = f"{100 * score.macro_f1:>10.1f}" if fixed else ""
    return f"  {name:<18}{size:>8,}{100 * score.accuracy:>11.1f}   {interval:<13}{macro}{mark}".rstrip()


def _plain(score: Score) -> str:
    if score.constant and score.n > 1:
        return "It always gives the same answer: nothing was learnt."
    if score.low > score.majority:
        return "Better than always giving the commonest answer."
    if score.high < score.majority:
        return "Worse than always giving the commonest answer."
    return f"Not shown to be better than always giving the commonest answer: {_rows(score.n)} cannot tell."


def _leaks(test: Scored) -> list[str]:
    if not test.leaked:
        return []
    share = 100 * test.leaked / len(test.rows)
    return [f"{test.leaked:,} of its rows ({share:.1f} %) are in the training data: read what follows as too high."]


def _against_human(trial: Trial, test: Scored) -> list[str]:
    if test.human is None or test.against_human is None:
        return []
    paired, created, human = test.against_human, len(trial.train.rows), len(trial.human)
    sizes = (
        f"{created:,} rows each" if created == human else f"{created:,} rows against {human:,}, not the same number"
    )
    *_, whole = test.curve.values()
    gain = whole.accuracy - test.human.accuracy
    verdict = "no difference is shown" if paired.p >= _ALPHA else f"human rows are {'worse' if gain > 0 else 'better'}"
    kind = trial.train.kind
    return [
        f"{kind.capitalize()} less human: {100 * gain:+.1f} points ({sizes}): only {kind} is right on "
        f"{paired.only_first:,}, only human on {paired.only_second:,}, {_p(paired)}: {verdict}."
    ]


def _enough(test: Scored) -> list[str]:
    """What the last step of the learning curve gained, and whether that says anything."""
    if test.last_step is None:
        return []
    (fewer, before), (more, after) = list(test.curve.items())[-2:]
    gain = 100 * (after.accuracy - before.accuracy)
    head = f"Enough rows? From {fewer:,} to {more:,}: {gain:+.1f} points, {_p(test.last_step)}"
    if test.last_step.p >= _ALPHA:
        return [f"{head}: no change that {_rows(after.n)} can show."]
    return [f"{head}: still gaining, so more should help." if gain > 0 else f"{head}: the last rows made it worse."]


def _rows(n: int) -> str:
    return f"{n:,} test row" + "s" * (n != 1)


def _p(test: McNemar) -> str:
    return "p < 0.001" if test.p < 0.001 else f"p = {test.p:.3f}" if test.p < 0.1 else f"p = {test.p:.2f}"
