"""`report` prints the tables of run directories and writes them in every form."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from prompt_tuning.analysis.report.published import published
from prompt_tuning.cli import gin_files
from tests.analysis.made_up_records import record, records
from tests.cli.conftest import flags, run_listing_modules, tree

TASKS = (
    "glue_cola glue_sst2 glue_mrpc glue_stsb super_glue_rte super_glue_cb super_glue_copa "
    "super_glue_wsc super_glue_boolq snli imdb_reviews cr gem_common_gen"
).split()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Returns a directory with a run over many tasks, and a sweep over two prompt lengths."""
    top = tmp_path / "runs"
    scores = {task: [50.0 + i, 52.0 + i] for i, task in enumerate(TASKS)}
    results.write_records(top / "all" / "results.json", records(scores, backbone="t5_mini"))
    for length in (1, 20):
        found = [record("snli", 40.0 + length, steps=9)]
        results.write_records(top / "sweep" / f"prompt_length={length}" / "results.json", found)
    return top


def test_every_table_with_rows_is_printed_and_written(runs: Path, tmp_path: Path):
    out = run_listing_modules(
        tmp_path / "modules", "report", "--gin_file=defaults.gin", *flags(REPORT_DIRS=str(runs))
    )
    for index, task in enumerate(TASKS):
        assert any(
            line.startswith(f"{task} ") and f"{51 + index}.0 ± 1.4" in line
            for line in out.splitlines()
        )
    assert "Scores by prompt_length" in out
    names = {"tasks", "glue", "super_glue", "sweep_prompt_length"}
    written = {f"{name}.{form}" for name in names for form in ("txt", "md", "csv", "tex")}
    assert set(tree(runs / "report")) == written | {"sweep_prompt_length.png"}
    assert (runs / "report" / "tasks.txt").read_text() in out
    modules = set(json.loads((tmp_path / "modules").read_text()))
    assert not modules & {"tensorflow", "tensorflow_datasets", "seqio"}


def test_some_tables_are_chosen_and_written_elsewhere(
    runs: Path, tmp_path: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    words = flags(REPORT_DIRS=(str(runs),), REPORT_TABLES="glue", REPORT_OUTPUT=str(tmp_path / "o"))
    before = tree(runs)
    assert here("report", "--gin_file=defaults.gin", *words) == 0
    assert capsys.readouterr().out.startswith("GLUE\n")
    assert len(tree(tmp_path / "o")) == 4
    assert tree(runs) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"REPORT_TABLES": ("glu",)}, "no table is called 'glu' (did you mean glue"),
        ({"REPORT_TABLES": ("sources",)}, "the runs have no rows for sources"),
        ({"REPORT_DIRS": ()}, "no run directories are given"),
        ({"REPORT_DIRS": "nowhere"}, "there is no directory 'nowhere'"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    runs: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    change: dict,
    message: str,
):
    before = tree(runs)
    words = flags(**{"REPORT_DIRS": str(runs), **change})
    assert here("report", "--gin_file=defaults.gin", *words) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count(os.linesep) == 1
    assert told.out == ""
    assert tree(runs) == before


def test_a_damaged_file_is_named(
    runs: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    (runs / "all" / "results.json").write_text('{"rows": [')
    assert here("report", "--gin_file=defaults.gin", *flags(REPORT_DIRS=str(runs))) == 2
    assert "all/results.json: not a results file" in capsys.readouterr().err


def test_the_run_of_table_1_has_every_published_source():
    statements = gin_files.read_gin_files(["runs/spot_table1.gin"], [], [])
    sweep = [each.value for each in statements.bindings if str(each.key) == "SWEEP"][-1]
    paper = {line.source or "none" for line in published() if line.table == "spot_table1"}
    assert {f"source={source}" for source in paper} == set(sweep)
