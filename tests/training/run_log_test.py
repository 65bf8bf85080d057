"""The log of a run: how it goes on, and what it shows of its rows."""

import io
import json
import math
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from prompt_tuning.data.batches.padding import Positions
from prompt_tuning.training import run_log
from prompt_tuning.training.kept_prompts import KeptPrompts
from prompt_tuning.training.rows import Progress
from prompt_tuning.training.run_log import MetricsFile, ProgressDisplay, open_log
from prompt_tuning.training.running import StepDone
from prompt_tuning.training.step import StepMetrics
from tests.training import toy

FINISHED, RESUMED, NEW = ROWS = [toy.row(name) for name in ("finished", "resumed", "new")]


METRICS = StepMetrics(*map(jnp.asarray, (6.0, 4, 2.0, False)))


def test_a_run_goes_on_where_its_rows_do(tmp_path: Path):
    out = io.StringIO()
    run = toy.run(tmp_path, config=toy.config(log_period=2), console=Console(file=out))
    prompts, best = KeptPrompts(ROWS, run), np.ones((3, 16), np.float32)
    progress = Progress(step=12)
    progress.record(progress.step, 50.0)
    finished = toy.running(FINISHED, progress, best)
    prompts.finish(finished, best, {"accuracy": 50.0, "score": 50.0})
    before = [("finished", 12), ("resumed", 4), ("resumed", 6), ("new", 0)]
    lines = [{"kind": "train", "row": row, "step": step} for row, step in before]
    run.directory.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))

    resumed = toy.running(RESUMED, Progress(step=5, curve=[[0, 25.0]]))
    with open_log(ROWS, prompts.results, [resumed], run) as log:
        log.train(resumed, StepDone(6, Positions(40, 10)), METRICS)
        log.train(resumed, StepDone(7, Positions(60, 10)), METRICS)
    assert out.getvalue() == "Resuming: 17 of 36 row-steps are done.\n"
    after = [json.loads(line) for line in run.directory.metrics.read_text().splitlines()]
    assert after[:2] == lines[:2]
    assert [(entry["row"], entry["step"]) for entry in after[2:]] == [("resumed", 6)]
    assert after[2]["loss_per_token"] == 1.5
    assert after[2]["padding_share"] == 0.25


def test_why_a_row_stopped_is_shown(tmp_path: Path):
    out = io.StringIO()
    run = toy.run(tmp_path, config=toy.config(log_period=2), console=Console(file=out, width=200))
    results = KeptPrompts(ROWS, run).results
    run.directory.path.mkdir()
    sound, wild = (toy.running(row, Progress(step=5)) for row in (RESUMED, NEW))
    assert sound.check_step(5, failed=False)
    assert not wild.check_step(4, failed=True)
    assert not wild.check_step(5, failed=False)
    assert wild.progress.step == 3
    with open_log(ROWS, results, [], run) as log:
        log.show_stop(sound)
        log.show_stop(wild)
    reason = "the loss or the update of step 4 was not finite"
    assert out.getvalue() == f"new stopped: {reason}; its best is kept\n"


def test_how_much_was_padding_is_shown_at_the_end(tmp_path: Path):
    out = io.StringIO()
    run = toy.run(tmp_path, config=toy.config(log_period=2), console=Console(file=out, width=200))
    results = KeptPrompts(ROWS, run).results
    run.directory.path.mkdir()
    with open_log(ROWS, results, [], run) as log:
        for row in (RESUMED, NEW):
            progress = Progress(step=5, best_step=4, positions=Positions(10, 1))
            running = toy.running(row, progress)
            assert running.count_step(Positions(20, 11)) == (6, (30, 12))
            log.test(running, {"score": 50.0})
    assert out.getvalue().startswith("40.0 % of the encoder positions of training were padding")


def test_a_log_file_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch):
    clock = iter([90.0, 100.0, 110.0, 120.0, 130.0, 140.0])  # the first two steps do not count
    monkeypatch.setattr(run_log.time, "monotonic", lambda: next(clock))
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, width=100), total=300, done=100) as display:
        display.advance(5, "5 rows running")
        display.advance(5, "5 rows running")
        display.advance(10, "5 rows running")
        display.advance(20, "5 rows [running]")
        display.advance(60, "5 rows running")
        display.advance(60, "5 rows running")
    assert out.getvalue().splitlines() == [
        "5 rows [running]: 140 of 300 row-steps, 1.5 a second, about 107 s left",
        "5 rows running: 260 of 300 row-steps, 6.0 a second, about 7 s left",
    ]


# The file.

ENTRIES = [
    {"kind": "train", "row": "half", "step": 4, "loss": 1.5},
    {"kind": "validation", "row": "half", "step": 6, "score": 50.0},
    {"kind": "train", "row": "half", "step": 8, "loss": 1.25},
    {"kind": "test", "row": "half", "step": 2, "score": 40.0},
    {"kind": "test", "row": "done", "step": 8, "score": 60.0},
    {"kind": "validation", "row": "fresh", "step": 0, "score": 0.0},
    {"kind": "test", "row": "of another run", "step": 2, "score": 70.0},
]


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_entries_are_json_lines_with_tensorboard_files_beside_them(tmp_path: Path):
    metrics = MetricsFile(tmp_path / "metrics.jsonl", {})
    for entry in ENTRIES[:2]:
        rest = {name: entry[name] for name in entry if name not in ("kind", "row", "step")}
        metrics.write(entry["kind"], entry["row"], entry["step"], rest)
    metrics.flush()
    assert _lines(tmp_path / "metrics.jsonl") == ENTRIES[:2]
    metrics.close()
    events = list((tmp_path / "tensorboard" / "half").iterdir())
    assert len(events) == 1 and b"validation/score" in events[0].read_bytes()


def test_what_will_run_again_is_dropped_and_the_rest_is_kept(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    cut_short = '{"kind": "train", "row": "done", "st'
    path.write_text("".join(json.dumps(entry) + "\n" for entry in ENTRIES) + cut_short)
    MetricsFile(path, {"half": 6, "done": math.inf, "fresh": -1}).close()
    assert _lines(path) == [ENTRIES[0], ENTRIES[1], ENTRIES[4], ENTRIES[6]]
