"""The report of transfer from a library: retrieved prompts beside starts without transfer."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from prompt_tuning.analysis import figures
from prompt_tuning.analysis import table as rendering
from prompt_tuning.analysis.statistics import (
    PairedDifference,
    Row,
    Spread,
    mean_curve,
    mean_difference,
    spread,
)
from prompt_tuning.analysis.table import Column, Line, Score, Table


@dataclasses.dataclass(frozen=True, eq=False)
class StartRows:
    """The rows of one start, which differ in their seed.

    Attributes:
        name: What it starts from: for a retrieved prompt, the task it was tuned on.
        similarity: Of its prompt to the target; None for vanilla prompt tuning.
        rows: Rows of `results.json`.
    """

    name: str
    similarity: float | None
    rows: Sequence[Row]

    @property
    def validation(self) -> Spread:
        """The best validation scores."""
        return _spread([max(score for _, score in row["curve"]) for row in self.rows])

    @property
    def score(self) -> Spread:
        """The scores, on the split that is scored, of the checkpoints best on validation."""
        return _spread([row["score"] for row in self.rows])

    @property
    def curve(self) -> Mapping[int, float]:
        """Mean validation score over seeds, by step, where all of them have one."""
        return mean_curve(dict(row["curve"]) for row in self.rows)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The starts of a run, and which of them are compared.

    Attributes:
        starts: All of them.
        best: The one that is best on validation: the one that is kept.
        vanilla: The one of vanilla prompt tuning that is best on validation.
    """

    starts: Sequence[StartRows]
    best: StartRows
    vanilla: StartRows

    @property
    def split(self) -> str:
        """The split that is scored."""
        return self.vanilla.rows[0]["split"]

    def gain(self, start: StartRows) -> PairedDifference:
        """Returns the score of a start minus that of vanilla prompt tuning, over seeds."""
        baseline = {row["seed"]: row["score"] for row in self.vanilla.rows}
        gain = mean_difference([row["score"] - baseline[row["seed"]] for row in start.rows])
        assert gain is not None
        return gain

    @property
    def vanilla_steps(self) -> int:
        """Steps after which vanilla prompt tuning is at its best, by its mean curve."""
        curve = self.vanilla.curve
        return max(curve, key=lambda step: curve[step])

    def steps_to_match(self, start: StartRows) -> int | None:
        """Returns the steps after which a start first scores what vanilla does at best.

        Both by the means over seeds, on validation; None where it never does.
        """
        wanted = self.vanilla.curve[self.vanilla_steps]
        return next((step for step, score in start.curve.items() if score >= wanted), None)

    def speed_up(self, start: StartRows) -> float | None:
        """Returns the comparable-result speed-up (Su et al. 2022): vanilla's steps by the start's.

        None where the start never matches vanilla, or does before its first step.
        """
        steps = self.steps_to_match(start)
        return self.vanilla_steps / steps if steps else None


def compare(starts: Sequence[StartRows]) -> Comparison:
    """Compares starts, of which some are retrieved prompts and some vanilla prompt tuning.

    The best is that with the highest validation score, mean over seeds; of equal ones the first.
    """
    vanilla = [start for start in starts if start.similarity is None]
    return Comparison(starts, _best(starts), _best(vanilla))


def library_table(comparison: Comparison, task: str) -> Table:
    """Returns a line for each start; a star marks the one that is kept."""
    columns = [Column("start")]
    names = ("similarity", "validation", comparison.split, "over vanilla", "steps to match")
    columns += [Column(name, numeric=True) for name in names]
    lines = []
    for start in comparison.starts:
        cells = [
            f"{'* ' if start is comparison.best else ''}{start.name}",
            None if start.similarity is None else f"{start.similarity:.2f}",
            Score(start.validation),
            Score(start.score),
            None if start is comparison.vanilla else signed(comparison.gain(start)),
            _steps(comparison, start),
        ]
        lines.append(Line(cells))
    note = (
        "* is kept: best on validation. ± is the standard deviation over seeds, and the standard "
        f"error of a difference. Vanilla is {comparison.vanilla.name}, the better without transfer "
        "on validation; steps to match are those until the mean validation score is what vanilla "
        f"has at best, after {comparison.vanilla_steps} steps, and how many times fewer they are."
    )
    return Table(columns, lines, f"Starts of {task}", note)


def comma_separated(comparison: Comparison) -> str:
    """Returns the table as CSV, numbers unrounded."""
    names = ("start", "similarity", "validation", "score", "std", "n", "split")
    names += ("gain", "gain_standard_error", "steps_to_match", "speed_up", "kept")
    lines = []
    for start in comparison.starts:
        gain = comparison.gain(start)
        cells = [
            *(start.name, start.similarity, start.validation.mean),
            *(start.score.mean, start.score.std, start.score.n, comparison.split),
            *(gain.mean, gain.standard_error),
            *(
                comparison.steps_to_match(start),
                comparison.speed_up(start),
                start is comparison.best,
            ),
        ]
        lines.append(Line(cells))
    return rendering.comma_separated(Table([Column(name) for name in names], lines))


def verdict(comparison: Comparison) -> str:
    """Says in a sentence whether retrieval helped."""
    best, vanilla = comparison.best, comparison.vanilla
    if best is vanilla:
        closest = _best([start for start in comparison.starts if start.similarity is not None])
        return (
            f"No retrieved prompt helped: none is better on validation than {best.name}. The best "
            f"of them, {closest.name}, scores {_scored(comparison, closest)}."
        )
    gain = comparison.gain(best)
    if comparison.split == "validation":
        doubt = "; this split chose it, so expect less on new data"
    elif gain.mean <= 0:
        doubt = ": no better there, though it is on validation"
    elif gain.standard_error is None:
        doubt = "; one seed does not tell that from luck"
    elif gain.mean < 2 * gain.standard_error:
        doubt = "; less than two standard errors, so it may be luck"
    else:
        doubt = ""
    return f"{best.name} is best on validation, and scores {_scored(comparison, best)}{doubt}."


def curves_plot(comparison: Comparison, path: Path, *, title: str) -> None:
    """Draws validation score against step for each start, and writes a PNG 1200 pixels wide.

    A line is the mean over seeds, its band the range over seeds; lines of starts without transfer
    are dashed, that of the start that is kept is thick.
    """
    figure = figures.new_figure(12, 6)
    axes = figure.add_subplot()
    curves = [_curve(comparison, start, index) for index, start in enumerate(comparison.starts)]
    figures.draw_curves(axes, curves)
    figures.label_learning_curves(axes, title)
    figures.thin_frame(axes)
    axes.set_xlim(left=0)
    figure.legend(loc="outside right upper", frameon=False, fontsize=10)
    figures.save_png(figure, path)


def signed(difference: PairedDifference) -> str:
    """Returns a difference with its sign, and its standard error where there is one."""
    error = difference.standard_error
    return f"{difference.mean:+.1f}" + ("" if error is None else f" ± {error:.1f}")


def _scored(comparison: Comparison, start: StartRows) -> str:
    gain = comparison.gain(start)
    seeds = f"{gain.n} seed{'s' if gain.n > 1 else ''}"
    return (
        f"{start.score.mean:.1f} on {comparison.split}, {signed(gain)} over "
        f"{comparison.vanilla.name} ({seeds})"
    )


def _steps(comparison: Comparison, start: StartRows) -> str | None:
    steps, speed_up = comparison.steps_to_match(start), comparison.speed_up(start)
    if steps is None or start is comparison.vanilla:
        return None
    return str(steps) if speed_up is None else f"{steps} ({speed_up:.1f}x)"


def _best(starts: Sequence[StartRows]) -> StartRows:
    return max(starts, key=lambda start: start.validation.mean)


def _spread(values: Sequence[float]) -> Spread:
    of_seeds = spread(values)
    assert of_seeds is not None
    return of_seeds


def _curve(comparison: Comparison, start: StartRows, index: int) -> figures.Curve:
    best = start is comparison.best
    style = {
        **figures.numbered_style(index),
        "markersize": 4,
        "linestyle": "--" if start.similarity is None else "-",
        "linewidth": 3 if best else 1.6,
    }
    similarity = "" if start.similarity is None else f" ({start.similarity:.2f})"
    label = f"{start.name}{similarity}{' - kept' if best else ''}"
    steps = list(start.curve)
    by_seed = [dict(row["curve"]) for row in start.rows]
    reached = [{step: scores[step] for step in steps} for scores in by_seed]
    return figures.seed_curve(reached, label=label, style=style)
