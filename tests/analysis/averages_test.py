"""SPoT's tables of averages: ours beside the published ones, and those without a run of ours."""

import matplotlib.image

from prompt_tuning.analysis.averages import size_chart, size_table, source_table
from prompt_tuning.analysis.benchmarks import GLUE, SUPER_GLUE
from prompt_tuning.analysis.table import Table, markdown
from tests.analysis.rows import rows, runs

WHOLE = {task: [70.0, 72.0] for task in (*GLUE.tasks, *SUPER_GLUE.tasks)}
SUPER = {task: [60.0, 62.0] for task in SUPER_GLUE.tasks}
MNLI = {"method": "spot", "init": "file", "source": "glue_mnli", "steps": 262_144}


def body(table: Table | None) -> list[str]:
    assert table is not None
    return [line for line in markdown(table).splitlines() if line.startswith("|")]


def test_the_source_table_has_our_lines_then_the_rest_of_the_paper():
    found = runs(rows(WHOLE, **MNLI) + rows(SUPER, backbone="t5_mini"))
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
    found = rows(SUPER, backbone="t5_mini") + rows(SUPER) + rows(WHOLE, backbone="t5-base-lm-adapt")
    lines = body(size_table(runs(found)))
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
    part = runs(rows({task: [70.0] for task in list(SUPER_GLUE.tasks)[1:]}))
    assert source_table(part) is None
    assert size_table(part) is None


def test_the_chart_has_a_colour_for_each_method(tmp_path):
    size_chart(runs(rows(SUPER)), tmp_path / "sizes.png")
    image = matplotlib.image.imread(tmp_path / "sizes.png")
    colours = {tuple(pixel) for pixel in (image[:, :, :3] * 255).round().astype(int).reshape(-1, 3)}
    assert {(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)} <= colours
