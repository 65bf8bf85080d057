"""The table by task: any task, with its split and metric."""

import io

from rich.console import Console

from prompt_tuning.analysis.report.by_task import summary_table, task_table
from prompt_tuning.analysis.table import markdown
from tests.analysis.made_up_records import record, results_of


def test_every_task_has_its_line_under_its_whole_name():
    found = results_of(
        [
            record("glue_mrpc_unprefixed", 80.0, metric="f1+accuracy"),
            record("glue_mrpc_unprefixed", 84.0, metric="f1+accuracy", seed=1),
            record("snli", 70.0, split="test"),
            record("gem_common_gen", None, metric="rouge"),
        ]
    )
    assert markdown(task_table(found, "Scores", ("method", "init", "split"))) == (
        "Scores:\n\n"
        "| task | method | init | split | metric | score | seeds |\n"
        "| --- | --- | --- | --- | --- | ---: | ---: |\n"
        "| glue_mrpc_unprefixed | prompt_tuning | class_labels | validation | f1+accuracy | "
        "82.0 ± 2.8 [87.5] | 2 |\n"
        "| snli | prompt_tuning | class_labels | test | accuracy | 70.0 | 1 |\n"
        "| gem_common_gen | prompt_tuning | class_labels | validation | rouge | - | 0 |\n"
        "\nAll lines: model t5_1_1_lm100k_base, steps 30000.\n"
    )


def test_a_run_says_once_what_its_rows_share():
    screen = io.StringIO()
    records = [record("snli", 70.0), record("cr", 80.0)]
    Console(file=screen, width=80).print(summary_table(records, "Scores"))
    assert [line.rstrip() for line in screen.getvalue().splitlines()] == [
        "Scores",
        "task  metric    score  seeds",
        "─────────────────────────────",
        "snli  accuracy   70.0      1",
        "cr    accuracy   80.0      1",
        "All lines: model t5_1_1_lm100k_base, method prompt_tuning, init class_labels,",
        "steps 30000, split validation.",
    ]
