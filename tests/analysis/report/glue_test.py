"""The tables of GLUE and SuperGLUE, against numbers worked out by hand and the published ones."""

from prompt_tuning.analysis.report.glue import (
    GLUE,
    SUPER_GLUE,
    benchmark_table,
    size_chart,
    size_table,
    source_table,
)
from prompt_tuning.analysis.table import Table, markdown
from tests.analysis import pictures
from tests.analysis.made_up_records import record, records, results_of

WHOLE = {task: [70.0, 72.0] for task in (*GLUE.tasks, *SUPER_GLUE.tasks)}
SUPER = {task: [60.0, 62.0] for task in SUPER_GLUE.tasks}
MNLI = {"method": "spot", "init": "file", "source": "glue_mnli", "steps": 262_144}


def body(table: Table | None) -> list[str]:
    assert table is not None
    return [line for line in markdown(table).splitlines() if line.startswith("|")]


def test_the_source_table_has_our_lines_then_the_rest_of_the_paper():
    found = results_of(records(WHOLE, **MNLI) + records(SUPER, backbone="t5_mini"))
    lines = body(source_table(found))
    assert lines[2:5] == [
        "| t5_1_1_lm100k_base | spot | glue_mnli | file | 262144 | 71.0 ± 1.4 [82.5] | "
        "71.0 ± 1.4 [72.6] |",
        "| t5_mini | prompt_tuning | - | class_labels | 30000 | - | 61.0 ± 1.4 |",
        "| T5 1.1 LM-adapted base | prompt_tuning | - | - | 262144 | - [81.2] | - [66.6] |",
    ]
    assert len(lines) == 2 + 2 + 16
    assert sum("glue_mnli" in line for line in lines) == 1


def test_the_size_table_joins_models_and_keeps_two_names_of_one_size_apart():
    found = (
        records(SUPER, backbone="t5_mini")
        + records(SUPER)
        + records(WHOLE, backbone="t5-base-lm-adapt")
    )
    lines = body(size_table(results_of(found)))
    assert lines[0] == (
        "| method | source | init | steps | t5-base-lm-adapt | t5_mini | small | base | large | "
        "xl | xxl |"
    )
    assert lines[2] == (
        "| prompt_tuning | - | class_labels | 30000 | 71.0 ± 1.4 | 61.0 ± 1.4 | - [59.8] | "
        "61.0 ± 1.4 [63.1] | - [74.5] | - [79.2] | - [88.8] |"
    )
    assert lines[3] == (
        "| model_tuning | - | - | - | - | - | - [62.8] | - [73.7] | - [81.3] | - [83.1] | "
        "- [89.9] |"
    )
    assert [line.split(" | ")[0] for line in lines[4:]] == ["| multi_task_model_tuning", "| spot"]


def test_without_a_whole_benchmark_there_is_no_table():
    part = results_of(records({task: [70.0] for task in list(SUPER_GLUE.tasks)[1:]}))
    assert source_table(part) is None
    assert size_table(part) is None


def test_the_chart_has_a_color_for_each_method(tmp_path):
    size_chart(results_of(records(SUPER)), tmp_path / "sizes.png")
    assert set(pictures.PALETTE) <= pictures.colors(tmp_path / "sizes.png")


def test_glue_has_a_line_for_each_setting_and_averages_of_whole_seeds():
    # Task i scores 60 + i at seed 0 and 62 + i at seed 1: averages 63.5 and 65.5.
    whole = records({task: [60.0 + i, 62.0 + i] for i, task in enumerate(GLUE.tasks)})
    part = records({"glue_cola_unprefixed": [50.0], "glue_sst2_unprefixed": [90.0]})
    part += [record("glue_wnli", 99.0), record("snli", 99.0), record("glue_rte_unprefixed", None)]
    table = benchmark_table(results_of(whole + part), GLUE)
    assert body(table) == [
        "| method | inputs | CoLA | SST-2 | MRPC | STS-B | QQP | MNLI | QNLI | RTE | average |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| prompt_tuning | prefixed | 61.0 ± 1.4 | 62.0 ± 1.4 | 63.0 ± 1.4 | 64.0 ± 1.4 | "
        "65.0 ± 1.4 | 66.0 ± 1.4 | 67.0 ± 1.4 | 68.0 ± 1.4 | 64.5 ± 1.4 [78.4] |",
        "| prompt_tuning | unprefixed | 50.0 | 90.0 [95.1] | - [87.5] | - | - | - | - | "
        "- [68.6] | - |",
    ]


def test_wnli_alone_is_no_line_of_glue():
    assert benchmark_table(results_of([record("glue_wnli", 99.0)]), GLUE) is None


def test_super_glue_tells_models_and_starts_apart():
    scores = {task: [70.0] for task in SUPER_GLUE.tasks}
    found = records(scores, backbone="t5_mini")
    found += records(scores, method="spot", init="file", source="glue", steps=262_144)
    lines = body(benchmark_table(results_of(found), SUPER_GLUE))
    assert lines[0].startswith("| model | method | source | init | steps | BoolQ | CB |")
    assert lines[2].startswith("| t5_mini | prompt_tuning | - | class_labels | 30000 | 70.0 |")
    assert lines[2].endswith("| 70.0 |")
    assert lines[3].startswith("| t5_1_1_lm100k_base | spot | glue | file | 262144 | 70.0 |")
    assert lines[3].endswith("| 70.0 [73.2] |")
