"""The report of transfer from a library: retrieved prompts beside starts without transfer."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from prompt_tuning.analysis import figures
from prompt_tuning.analysis import table as rendering
from prompt_tuning.analysis.statistics import (
    PairedDifference,
    Record,
    Spread,
    mean_curve,
    mean_difference,
    spread,
)
from prompt_tuning.analysis.table import Column, Line, Score, Table


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """One start and the records tuned from it, which differ in their seed.

    Attributes:
        name: Name of the start: for a retrieved prompt, the task it was tuned on.
        similarity: Similarity of the prompt to the target; None for vanilla prompt tuning.
        records: The records.
    """

    name: str
    similarity: float | None
    records: Sequence[Record]

    @property
    def validation(self) -> Spread:
        """The best validation scores."""
        return _spread([max(score for _, score in r["curve"]) for r in self.records])

    @property
    def score(self) -> Spread:
        """The scores of the checkpoints best on validation."""
        return _spread([r["score"] for r in self.records])

    @property
    def curve(self) -> Mapping[int, float]:
        """Mean validation score over seeds, by step, at the steps that all seeds share."""
        return mean_curve(dict(r["curve"]) for r in self.records)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The starts of a run, compared.

    Attributes:
        starts: All starts.
        best: The best start on validation, whose prompt is kept.
        vanilla: The best start without transfer, on validation.
    """

    starts: Sequence[Start]
    best: Start
    vanilla: Start

    @property
    def split(self) -> str:
        """The scored split."""
        return self.vanilla.records[0]["split"]

    def gain(self, start: Start) -> PairedDifference:
        """Returns the score of a start minus that of vanilla prompt tuning, paired by seed."""
        baseline = {r["seed"]: r["score"] for r in self.vanilla.records}
        gain = mean_difference([r["score"] - baseline[r["seed"]] for r in start.records])
        assert gain is not None
        return gain

    @property
    def vanilla_steps(self) -> int:
        """Steps after which vanilla prompt tuning is at its best, by its mean curve."""
        curve = self.vanilla.curve
        return max(curve, key=lambda step: curve[step])

    def steps_to_match(self, start: Start) -> int | None:
        """Returns the first step at which a start scores as well as vanilla at its best.

        Compares means over seeds on validation; None where the start never does.
        """
        wanted = self.vanilla.curve[self.vanilla_steps]
        return next((step for step, score in start.curve.items() if score >= wanted), None)

    def speed_up(self, start: Start) -> float | None:
        """Returns the comparable-result speed-up (Su et al. 2022): vanilla's steps by the start's.

        None where the start never matches vanilla, or matches it before its first step.
        """
        steps = self.steps_to_match(start)
        return self.vanilla_steps / steps if steps else None


def compare(starts: Sequence[Start]) -> Comparison:
    """Compares starts; some are retrieved prompts, at least one is vanilla prompt tuning.

    The best has the highest validation score, mean over seeds; the first of equals wins.
    """
    vanilla = [start for start in starts if start.similarity is None]
    return Comparison(starts, _best(starts), _best(vanilla))


def library_table(comparison: Comparison, task: str) -> Table:
    """Returns a line for each start, with a star for the one that is kept."""
    names = ("similarity", "validation", comparison.split, "over vanilla", "steps to match")
    columns = [Column("start"), *(Column(name, numeric=True) for name in names)]
    lines = []
    for start in comparison.starts:
        is_vanilla = start is comparison.vanilla
        cells = [
            f"{'* ' if start is comparison.best else ''}{start.name}",
            None if start.similarity is None else f"{start.similarity:.2f}",
            Score(start.validation),
            Score(start.score),
            None if is_vanilla else comparison.gain(start).text(1),
            None if is_vanilla else _steps(comparison, start),
        ]
        lines.append(Line(cells))
    note = (
        "* is kept: the best on validation. ± is the standard deviation over seeds, and the "
        f"standard error of a difference. Vanilla is {comparison.vanilla.name}, the best start "
        "without transfer on validation. Steps to match: steps until the mean validation score "
        f"reaches vanilla's best, which takes vanilla {comparison.vanilla_steps} steps, and the "
        "speed-up."
    )
    return Table(columns, lines, f"Starts of {task}", note)


def comma_separated(comparison: Comparison) -> str:
    """Returns the table as CSV, numbers unrounded."""
    lines = []
    for start in comparison.starts:
        score, gain = start.score, comparison.gain(start)
        cells = {
            "start": start.name,
            "similarity": start.similarity,
            "validation": start.validation.mean,
            "score": score.mean,
            "std": score.std,
            "n": score.n,
            "split": comparison.split,
            "gain": gain.mean,
            "gain_standard_error": gain.standard_error,
            "steps_to_match": comparison.steps_to_match(start),
            "speed_up": comparison.speed_up(start),
            "kept": start is comparison.best,
        }
        lines.append(cells)
    columns = [Column(name) for name in lines[0]]
    return rendering.comma_separated(Table(columns, [Line(list(x.values())) for x in lines]))


def verdict(comparison: Comparison) -> str:
    """Returns a sentence on whether retrieval helped."""
    best, vanilla = comparison.best, comparison.vanilla
    if best is vanilla:
        closest = _best([start for start in comparison.starts if start.similarity is not None])
        return (
            f"No retrieved prompt helped: none is better on validation than {best.name}. The best "
            f"of them, {closest.name}, scores {_scored(comparison, closest)}."
        )
    gain = comparison.gain(best)
    if comparison.split == "validation":
        doubt = "; it was chosen on this split, so expect less on new data"
    elif gain.mean <= 0:
        doubt = ": no better there, although best on validation"
    elif gain.standard_error is None:
        doubt = "; with one seed, this may be luck"
    elif gain.mean < 2 * gain.standard_error:
        doubt = "; less than two standard errors, so it may be luck"
    else:
        doubt = ""
    return f"{best.name} is best on validation, and scores {_scored(comparison, best)}{doubt}."


def draw_learning_curves(comparison: Comparison, path: Path, *, title: str) -> None:
    """Draws validation score against step for each start, as a PNG 1200 pixels wide.

    A line is the mean over seeds, its band the range over seeds. Starts without transfer are
    dashed, and the start that is kept is thick.
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


def _scored(comparison: Comparison, start: Start) -> str:
    gain = comparison.gain(start)
    return (
        f"{start.score.mean:.1f} on {comparison.split}, {gain.text(1)} over "
        f"{comparison.vanilla.name} ({gain.n} seed{'s' if gain.n > 1 else ''})"
    )


def _steps(comparison: Comparison, start: Start) -> str | None:
    steps, speed_up = comparison.steps_to_match(start), comparison.speed_up(start)
    if steps is None:
        return None
    return str(steps) if speed_up is None else f"{steps} ({speed_up:.1f}x)"


def _best(starts: Sequence[Start]) -> Start:
    return max(starts, key=lambda start: start.validation.mean)


def _spread(values: Sequence[float]) -> Spread:
    of_seeds = spread(values)
    assert of_seeds is not None
    return of_seeds


def _curve(comparison: Comparison, start: Start, index: int) -> figures.Curve:
    best = start is comparison.best
    style = {
        **figures.numbered_style(index),
        "markersize": 4,
        "linestyle": "--" if start.similarity is None else "-",
        "linewidth": 3 if best else 1.6,
    }
    similarity = "" if start.similarity is None else f" ({start.similarity:.2f})"
    label = f"{start.name}{similarity}{' - kept' if best else ''}"
    by_seed = [dict(r["curve"]) for r in start.records]
    shared = [{step: scores[step] for step in start.curve} for scores in by_seed]
    return figures.seed_curve(shared, label=label, style=style)
