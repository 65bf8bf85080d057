"""Tables of GLUE and SuperGLUE: by task, by source of the prompt, and by size of the model."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from prompt_tuning.analysis.figures import Series, line_chart
from prompt_tuning.analysis.report.published import (
    SIZES,
    Published,
    adapted_size,
    published,
    published_score,
)
from prompt_tuning.analysis.report.result_groups import (
    Result,
    Setting,
    average,
    by_setting,
    differing,
    task_score,
)
from prompt_tuning.analysis.statistics import Spread
from prompt_tuning.analysis.table import Cell, Column, Line, Score, Table


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A benchmark: its name, its title in tables, and its tasks with their headings."""

    name: str
    title: str
    tasks: Mapping[str, str]


GLUE = Benchmark(
    "glue",
    "GLUE",
    {
        "glue_cola": "CoLA",
        "glue_sst2": "SST-2",
        "glue_mrpc": "MRPC",
        "glue_stsb": "STS-B",
        "glue_qqp": "QQP",
        "glue_mnli": "MNLI",
        "glue_qnli": "QNLI",
        "glue_rte": "RTE",
    },
)
"""GLUE without WNLI, as in T5 and SPoT."""

SUPER_GLUE = Benchmark(
    "super_glue",
    "SuperGLUE",
    {
        "super_glue_boolq": "BoolQ",
        "super_glue_cb": "CB",
        "super_glue_copa": "COPA",
        "super_glue_multirc": "MultiRC",
        "super_glue_record": "ReCoRD",
        "super_glue_rte": "RTE",
        "super_glue_wic": "WiC",
        "super_glue_wsc": "WSC",
    },
)

_PAPER_MODEL = "T5 1.1 LM-adapted"
_NOTE = (
    "Scores 0-100, the mean of a task's metrics, as mean ± standard deviation over seeds; in "
    "brackets the published score for the same model, method, source, steps and inputs. An average "
    "is over the seeds that have every task."
)


def benchmark_table(results: Sequence[Result], benchmark: Benchmark) -> Table | None:
    """Returns a line for each setting, a column for each task and their average.

    Returns None where no result is on the benchmark.
    """
    on_benchmark = [result for result in results if result.task in benchmark.tasks]
    if not on_benchmark:
        return None
    tasks = tuple(benchmark.tasks)
    scores: dict[Setting, list[Score]] = {}
    for setting, group in by_setting(on_benchmark).items():
        ours = [*(task_score(group, task) for task in tasks), average(group, tasks)]
        theirs = [published_score(setting, name) for name in (*tasks, benchmark.name)]
        scores[setting] = [Score(*pair) for pair in zip(ours, theirs, strict=True)]
    return _table(scores, [*benchmark.tasks.values(), "average"], benchmark.title)


def source_table(results: Sequence[Result]) -> Table | None:
    """Returns GLUE and SuperGLUE averages by source of the prompt (Vu et al. 2022, Table 1).

    Published lines that no result reproduces come last. Returns None without a complete benchmark.
    """
    both = (GLUE, SUPER_GLUE)
    ours = _averages(results, both)
    if not ours:
        return None
    scores: dict[Setting, list[Score]] = {}
    paper = [line for line in published() if line.table == "spot_table1"]
    for setting, means in ours.items():
        theirs = next((line.scores for line in paper if line.matches(setting)), {})
        scores[setting] = [Score(means.get(b.name), theirs.get(b.name)) for b in both]
    for line in paper:
        if not any(line.matches(setting) for setting in ours):
            scores[_setting_of(line)] = [Score(None, line.scores[b.name]) for b in both]
    return _table(scores, [b.title for b in both], "GLUE and SuperGLUE by source of the prompt")


def size_table(results: Sequence[Result]) -> Table | None:
    """Returns SuperGLUE averages by method and size of the model (Vu et al. 2022, Table 4).

    The columns are our other models, then the published sizes. Published lines that no result
    reproduces come last. Returns None where no result has all of SuperGLUE.
    """
    lines, models = _size_lines(results)
    if not any(score.ours for by_model in lines.values() for score in by_model.values()):
        return None
    scores = {
        setting: [by_model.get(model, Score(None)) for model in models]
        for setting, by_model in lines.items()
    }
    return _table(scores, models, "SuperGLUE by size of the model")


def size_chart(results: Sequence[Result], path: Path) -> None:
    """Draws the lines of `size_table`, ours and the published ones (Vu et al. 2022, Figure 1)."""
    lines, models = _size_lines(results)
    headings, _ = differing(list(lines))
    series = []
    for setting, by_model in lines.items():
        described = setting.described()
        label = ", ".join(described[name] for name in headings if described[name] != "-")
        ours = {model: score.ours for model, score in by_model.items() if score.ours}
        paper = {
            model: Spread(score.published, None, 1)
            for model, score in by_model.items()
            if score.published is not None
        }
        series += [Series(label, ours)] if ours else []
        series += [Series(label, paper, published=True)] if paper else []
    line_chart(series, models, path, title="SuperGLUE by size of the model", axis="model")


def _averages(
    results: Sequence[Result], benchmarks: Sequence[Benchmark]
) -> dict[Setting, dict[str, Spread]]:
    """Returns, by setting, the average of each benchmark that some seed has completely."""
    averages: dict[Setting, dict[str, Spread]] = {}
    for setting, group in by_setting(results).items():
        for benchmark in benchmarks:
            mean = average(group, tuple(benchmark.tasks))
            if mean is not None:
                averages.setdefault(setting, {})[benchmark.name] = mean
    return averages


def _setting_of(line: Published) -> Setting:
    """Returns the setting of a published line; fields the paper leaves open are empty."""
    sized = line.table == "spot_table1"
    return Setting(
        backbone=f"{_PAPER_MODEL} {line.size}" if sized else "",
        method=line.method,
        source=line.source,
        steps=line.steps,
        split="validation",
        prefixed=line.prefixed,
    )


def _table(scores: Mapping[Setting, Sequence[Score]], names: Sequence[str], title: str) -> Table:
    """Returns a line for each setting: the cells that tell it apart, then its scores."""
    headings, shared = differing(list(scores))
    lines = []
    for setting, of_setting in scores.items():
        described = setting.described()
        cells: list[Cell] = [described.get(name, "-") for name in headings]
        lines.append(Line([*cells, *of_setting]))
    columns = [*map(Column, headings), *(Column(name, numeric=True) for name in names)]
    return Table(columns, lines, title, f"{shared} {_NOTE}".strip())


def _size_lines(results: Sequence[Result]) -> tuple[dict[Setting, dict[str, Score]], list[str]]:
    """Returns the SuperGLUE score of each model by setting (without backbone), and the models.

    T5 1.1 LM-adapted goes by its size, one of `SIZES`; any other model by its own name.
    """
    paper = [line for line in published() if line.table == "spot_table4"]
    lines: dict[Setting, dict[str, Score]] = {}
    reproduced: list[Published] = []
    for setting, means in _averages(results, (SUPER_GLUE,)).items():
        any_model = dataclasses.replace(setting, backbone="")
        if any_model not in lines:
            same = [line for line in paper if line.matches_method(any_model)]
            reproduced += same
            lines[any_model] = {x.size: Score(None, x.scores[SUPER_GLUE.name]) for x in same}
        scores = lines[any_model]
        model = adapted_size(setting.backbone) or setting.backbone
        if model in scores and scores[model].ours is not None:
            model = setting.backbone  # The same weights under two names.
        published_mean = scores.get(model, Score(None)).published
        scores[model] = Score(means[SUPER_GLUE.name], published_mean)
    for line in paper:
        if line not in reproduced:
            scores = lines.setdefault(_setting_of(line), {})
            scores[line.size] = Score(None, line.scores[SUPER_GLUE.name])
    others = {model for scores in lines.values() for model in scores} - set(SIZES)
    return lines, [*sorted(others), *SIZES]
