"""The record of a run: how it goes on, and what is told of its rows."""

import io
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from rich.console import Console

from prompt_tuning.data.padding import Positions
from prompt_tuning.training.record import recording
from prompt_tuning.training.rows import Progress
from prompt_tuning.training.running import Done, Running
from prompt_tuning.training.step import StepMetrics
from prompt_tuning.training.tuned_prompts import TunedPrompts
from tests.training import toy

FINISHED, RESUMED, NEW = ROWS = [toy.row(name) for name in ("finished", "resumed", "new")]
METRICS = StepMetrics(*map(jnp.asarray, (6.0, 4, 2.0, False)))


def test_a_run_goes_on_where_its_rows_do(tmp_path: Path):
    out = io.StringIO()
    work = toy.work(tmp_path, console=Console(file=out))
    prompts, best = TunedPrompts(ROWS, work, toy.config()), np.ones((3, 16), np.float32)
    progress = Progress(step=12)
    progress.record(progress.step, 50.0)
    prompts.finish(FINISHED, best, best, progress, {"accuracy": 50.0, "score": 50.0})
    before = [("finished", 12), ("resumed", 4), ("resumed", 6), ("new", 0)]
    lines = [{"kind": "train", "row": row, "step": step} for row, step in before]
    work.directory.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))

    run = Running.open(RESUMED, work, Progress(step=5, curve=[[0, 25.0]]))
    with recording(ROWS, prompts.finished, [run], work=work, log_period=2) as record:
        record.train(run, Done(6, Positions(40, 10)), METRICS)
        record.train(run, Done(7, Positions(60, 10)), METRICS)
    assert out.getvalue() == "Resuming: 17 of 36 row-steps are done.\n"
    after = [json.loads(line) for line in work.directory.metrics.read_text().splitlines()]
    assert after[:2] == lines[:2]
    assert [(entry["row"], entry["step"]) for entry in after[2:]] == [("resumed", 6)]
    assert after[2]["loss_per_token"] == 1.5
    assert after[2]["padding_share"] == 0.25


def test_why_a_row_stopped_is_shown(tmp_path: Path):
    out = io.StringIO()
    work = toy.work(tmp_path, console=Console(file=out, width=200))
    finished = TunedPrompts(ROWS, work, toy.config()).finished
    work.directory.path.mkdir()
    sound, wild = (Running.open(row, work, Progress(step=5)) for row in (RESUMED, NEW))
    assert sound.passed(5, failed=False, what="update")
    assert not wild.passed(4, failed=True, what="update")
    assert not wild.passed(5, failed=False, what="update")
    assert wild.progress.step == 3
    with recording(ROWS, finished, [], work=work, log_period=2) as record:
        record.stopped(sound, "prompt")
        record.stopped(wild, "prompt")
    reason = "the loss or the update of step 4 was not finite"
    assert out.getvalue() == f"new stopped: {reason}; its best prompt is kept\n"


def test_how_much_was_padding_is_shown_at_the_end(tmp_path: Path):
    out = io.StringIO()
    work = toy.work(tmp_path, console=Console(file=out, width=200))
    finished = TunedPrompts(ROWS, work, toy.config()).finished
    work.directory.path.mkdir()
    with recording(ROWS, finished, [], work=work, log_period=2) as record:
        for row in (RESUMED, NEW):
            run = Running.open(row, work, Progress(step=5, best_step=4, positions=Positions(10, 1)))
            assert run.begun(Positions(20, 11)) == (6, (30, 12))
            record.test(run, {"score": 50.0})
    said = "were padding (prompts count as positions)"
    assert out.getvalue() == f"40.0 % of the encoder positions of training {said}\n"
