"""GLUE and SuperGLUE: their tasks, and the table of a benchmark by task."""

import dataclasses
from collections.abc import Mapping, Sequence

from prompt_tuning.analysis.papers import published_score
from prompt_tuning.analysis.runs import Run, average, by_setting, differing, task_score
from prompt_tuning.analysis.table import Column, Line, Score, Table


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A benchmark's name in results and in tables, and its tasks with their headings."""

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
"""Without WNLI, as T5 and SPoT count it."""

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

NOTE = (
    "Scores 0-100, the mean of a task's metrics: mean ± standard deviation over seeds; in brackets "
    "the published one, where the papers give it for the same model, method, source, steps and "
    "inputs. An average is over the seeds that have every task."
)


def benchmark_table(runs: Sequence[Run], benchmark: Benchmark) -> Table | None:
    """Returns a line for each setting, a column for each task and their average.

    Returns None where no run is of the benchmark.
    """
    mine = [run for run in runs if run.task in benchmark.tasks]
    if not mine:
        return None
    groups = by_setting(mine)
    headings, shared = differing(list(groups))
    lines = []
    for setting, group in groups.items():
        described = setting.described()
        scores = [
            Score(task_score(group, task), published_score(setting, task))
            for task in benchmark.tasks
        ]
        mean = Score(
            average(group, tuple(benchmark.tasks)), published_score(setting, benchmark.name)
        )
        lines.append(Line([*(described.get(name, "-") for name in headings), *scores, mean]))
    numeric = [*benchmark.tasks.values(), "average"]
    columns = [*map(Column, headings), *(Column(name, numeric=True) for name in numeric)]
    return Table(columns, lines, benchmark.title, f"{shared} {NOTE}".strip())
