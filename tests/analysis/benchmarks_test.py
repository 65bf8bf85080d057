"""The tables of GLUE and SuperGLUE, whole, against numbers worked out by hand."""

from prompt_tuning.analysis.benchmarks import GLUE, SUPER_GLUE, benchmark_table
from prompt_tuning.analysis.table import markdown
from tests.analysis.rows import row, rows, runs


def body(table) -> list[str]:
    return [line for line in markdown(table).splitlines() if line.startswith("|")]


def test_glue_has_a_line_for_each_setting_and_averages_of_whole_seeds():
    # Task i scores 60 + i at seed 0 and 62 + i at seed 1: averages 63.5 and 65.5.
    whole = rows({task: [60.0 + i, 62.0 + i] for i, task in enumerate(GLUE.tasks)})
    part = rows({"glue_cola_unprefixed": [50.0], "glue_sst2_unprefixed": [90.0]})
    part += [row("glue_wnli", 99.0), row("snli", 99.0), row("glue_rte_unprefixed", None)]
    table = benchmark_table(runs(whole + part), GLUE)
    assert body(table) == [
        "| method | inputs | CoLA | SST-2 | MRPC | STS-B | QQP | MNLI | QNLI | RTE | average |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| prompt_tuning | prefixed | 61.0 ± 1.4 | 62.0 ± 1.4 | 63.0 ± 1.4 | 64.0 ± 1.4 | "
        "65.0 ± 1.4 | 66.0 ± 1.4 | 67.0 ± 1.4 | 68.0 ± 1.4 | 64.5 ± 1.4 [78.4] |",
        "| prompt_tuning | unprefixed | 50.0 | 90.0 [95.1] | - [87.5] | - | - | - | - | "
        "- [68.6] | - |",
    ]


def test_wnli_alone_is_no_line_of_glue():
    assert benchmark_table(runs([row("glue_wnli", 99.0)]), GLUE) is None


def test_super_glue_tells_models_and_starts_apart():
    scores = {task: [70.0] for task in SUPER_GLUE.tasks}
    found = rows(scores, backbone="t5_mini")
    found += rows(scores, method="spot", init="file", source="glue", steps=262_144)
    lines = body(benchmark_table(runs(found), SUPER_GLUE))
    assert lines[0].startswith("| model | method | source | init | steps | BoolQ | CB |")
    assert lines[2].startswith("| t5_mini | prompt_tuning | - | class_labels | 30000 | 70.0 |")
    assert lines[2].endswith("| 70.0 |")
    assert lines[3].startswith("| t5_1_1_lm100k_base | spot | glue | file | 262144 | 70.0 |")
    assert lines[3].endswith("| 70.0 [73.2] |")
