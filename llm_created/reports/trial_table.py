"""A trial in words: a table in 80 columns, and what may be concluded from it."""

from __future__ import annotations

from ..evaluation import demo_rows
from ..evaluation.scores import McNemar, Score, is_majority
from ..evaluation.trial import Scored, Trial
from ..utils.console import fit, wrap
from .table import table

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
    shown = [" ".join(head)] if len(" ".join(head)) <= WIDTH else head
    said = [*_leaks(test), _plain(whole), *_against_human(trial, test), *_enough(test)]
    if demo:
        said = [
            "None of the facts in these rows is in a training row, so a score near the commonest answer's is no "
            "fault. Figures that mean something need rows that people labelled."
        ]
    wrapped = (wrap(one, WIDTH, "  ", "    ") for one in said)
    return [*shown, *_scores(trial, test), *(line for one in wrapped for line in one)]


def _scores(trial: Trial, test: Scored) -> list[str]:
    """A line for each model: the learning curve, and the one trained on human rows."""
    kind, rows = trial.train.kind, len(trial.train.rows)
    models = [(kind if n == rows else f"{kind}, {100 * n / rows:.0f} %", n, score) for n, score in test.curve.items()]
    models += [("human", len(trial.human), test.human)] if test.human else []
    fixed = not trial.train.task.variable
    lines = [["trained on", "rows", "accuracy", "95 % interval", *["macro F1"] * fixed]]
    for name, n, score in models:
        figures = [f"{n:,}", f"{100 * score.accuracy:.1f}", f"{100 * score.low:.1f} to {100 * score.high:.1f}"]
        mark = ["constant"] if score.constant else ["= majority"] if is_majority(score) else []
        lines.append([name, *figures, *[f"{100 * score.macro_f1:.1f}"] * fixed, *mark])
    align = "<>><" + ">" * fixed + "<"
    return [f"  {line}" for line in table(lines, align, least=(16, 8, 9))]


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
    meant = "no difference is shown" if paired.p >= _ALPHA else f"human rows are {'worse' if gain > 0 else 'better'}"
    kind = trial.train.kind
    return [
        f"{kind.capitalize()} less human: {100 * gain:+.1f} points ({sizes}): only {kind} is right on "
        f"{paired.only_first:,}, only human on {paired.only_second:,}, {_p(paired)}: {meant}."
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
