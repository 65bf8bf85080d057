"""Tables of GLUE and SuperGLUE averages: by source of the prompt, and by size of the model."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from prompt_tuning.analysis.benchmarks import GLUE, NOTE, SUPER_GLUE, Benchmark
from prompt_tuning.analysis.chart import Series, line_chart
from prompt_tuning.analysis.papers import SIZES, Published, adapted_size, published
from prompt_tuning.analysis.runs import Run, Setting, average, by_setting, differing
from prompt_tuning.analysis.statistics import Spread
from prompt_tuning.analysis.table import Cell, Column, Line, Score, Table

Averages = Mapping[Setting, Mapping[str, Spread]]
"""By setting, the average of each benchmark that a seed has whole."""

PAPER_MODEL = "T5 1.1 LM-adapted"


def averages(runs: Sequence[Run], benchmarks: Sequence[Benchmark]) -> Averages:
    """Returns the averages that some seed has whole; see `runs.average`."""
    found: dict[Setting, dict[str, Spread]] = {}
    for setting, group in by_setting(runs).items():
        for benchmark in benchmarks:
            mean = average(group, tuple(benchmark.tasks))
            if mean is not None:
                found.setdefault(setting, {})[benchmark.name] = mean
    return found


def source_table(runs: Sequence[Run]) -> Table | None:
    """Returns GLUE and SuperGLUE averages by source of the prompt (Vu et al. 2022, Table 1).

    Published lines that no run repeats stand below ours. Returns None where no benchmark is whole.
    """
    both = (GLUE, SUPER_GLUE)
    ours = averages(runs, both)
    if not ours:
        return None
    cells: dict[Setting, list[Cell]] = {}
    paper = [line for line in published() if line.table == "spot_table1"]
    repeated = [line for line in paper if any(line.matches(setting) for setting in ours)]
    for setting, found in ours.items():
        figures = next((line.scores for line in paper if line.matches(setting)), {})
        cells[setting] = [Score(found.get(b.name), figures.get(b.name)) for b in both]
    for line in paper:
        if line not in repeated:
            cells[_setting_of(line)] = [Score(None, line.scores[b.name]) for b in both]
    return _table(cells, [b.title for b in both], "GLUE and SuperGLUE by source of the prompt")


def size_table(runs: Sequence[Run]) -> Table | None:
    """Returns SuperGLUE averages by method and size of the model (Vu et al. 2022, Table 4).

    Columns are the published sizes, and our other models. Published lines that no run repeats stand
    below ours. Returns None where no run has all of SuperGLUE.
    """
    lines, models = _size_lines(runs)
    if not any(score.found for by_model in lines.values() for score in by_model.values()):
        return None
    cells: dict[Setting, list[Cell]] = {
        setting: [by_model.get(model, Score(None)) for model in models]
        for setting, by_model in lines.items()
    }
    return _table(cells, models, "SuperGLUE by size of the model")


def size_chart(runs: Sequence[Run], path: Path) -> None:
    """Draws the lines of `size_table`, ours and the published ones (Figure 1 of the paper)."""
    lines, models = _size_lines(runs)
    headings, _ = differing(list(lines))
    series = []
    for setting, by_model in lines.items():
        described = setting.described()
        label = ", ".join(described[name] for name in headings if described[name] != "-")
        ours = {model: score.found for model, score in by_model.items() if score.found}
        paper = {
            model: Spread(score.published, None, 1)
            for model, score in by_model.items()
            if score.published is not None
        }
        series += [Series(label, ours)] if ours else []
        series += [Series(label, paper, published=True)] if paper else []
    line_chart(series, models, path, title="SuperGLUE by size of the model", axis="model")


def _setting_of(line: Published) -> Setting:
    """Returns the setting that stands for a published line; what the paper leaves open is empty."""
    sized = line.table == "spot_table1"
    return Setting(
        backbone=f"{PAPER_MODEL} {line.size}" if sized else "",
        method=line.method,
        source=line.source,
        steps=line.steps,
        split="validation",
        prefixed=line.prefixed,
    )


def _table(cells: Mapping[Setting, Sequence[Cell]], names: Sequence[str], title: str) -> Table:
    headings, shared = differing(list(cells))
    lines = [
        Line([*(setting.described().get(name, "-") for name in headings), *scores])
        for setting, scores in cells.items()
    ]
    columns = [*map(Column, headings), *(Column(name, numeric=True) for name in names)]
    return Table(columns, lines, title, f"{shared} {NOTE}".strip())


def _size_lines(runs: Sequence[Run]) -> tuple[dict[Setting, dict[str, Score]], list[str]]:
    """Returns, by setting (with no backbone), the SuperGLUE score of each model; and the models.

    A model is one of `SIZES` for T5 1.1 LM-adapted, and has its own name otherwise.
    """
    ours = averages(runs, (SUPER_GLUE,))
    paper = [line for line in published() if line.table == "spot_table4"]
    lines: dict[Setting, dict[str, Score]] = {}
    repeated: list[Published] = []
    for setting, found in ours.items():
        anywhere = dataclasses.replace(setting, backbone="")
        if anywhere not in lines:
            same = [line for line in paper if line.matches_method(anywhere)]
            repeated += same
            lines[anywhere] = {x.size: Score(None, x.scores[SUPER_GLUE.name]) for x in same}
        scores = lines[anywhere]
        model = adapted_size(setting.backbone) or setting.backbone
        if model in scores and scores[model].found is not None:
            model = setting.backbone  # The same weights under two names.
        figure = scores.get(model, Score(None)).published
        scores[model] = Score(found[SUPER_GLUE.name], figure)
    for line in paper:
        if line not in repeated:
            scores = lines.setdefault(_setting_of(line), {})
            scores[line.size] = Score(None, line.scores[SUPER_GLUE.name])
    others = {model for scores in lines.values() for model in scores} - set(SIZES)
    return lines, [*sorted(others), *SIZES]
