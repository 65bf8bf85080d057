"""The loop of model tuning: rows one after another on the whole machine, each a model of its own.

Model tuning is the baseline of the papers (Lester et al. 2021, section 3.1). Every weight is
trained, so that rows cannot share a forward pass as prompts do.
"""

import functools
import shutil
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from prompt_tuning.data.padding import count_positions
from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.family import prompted
from prompt_tuning.models.weights import Backbone, Outline
from prompt_tuning.prompts.bank import no_prompt
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.storage import write_text
from prompt_tuning.training import partitioning
from prompt_tuning.training.checkpoints import Checkpoints, flatten, unflatten
from prompt_tuning.training.config import ModelTuneConfig
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.model_step import init_model_state, model_step
from prompt_tuning.training.outcome import Outcome
from prompt_tuning.training.record import recording
from prompt_tuning.training.rows import Progress, Row, check_rows
from prompt_tuning.training.running import RunningModel
from prompt_tuning.training.starts import FromRow, Pretrained
from prompt_tuning.training.tuned_models import TunedModels
from prompt_tuning.training.work import Work
from prompt_tuning.types import Params, UserError


def tune_models(rows: Sequence[Row], work: Work, config: ModelTuneConfig) -> list[Outcome]:
    """Tunes a model for every row, and scores each at its checkpoint best on validation.

    Rows that an earlier run in the same directory finished are not trained again; an unfinished one
    goes on from the last checkpoint and ends as it would have without the interruption.

    Args:
        rows: What to train; a row may start from the best model of another.
        work: What to train with; `TunedModels` says what is kept of the models.
        config: Settings that all rows share.

    Returns:
        One outcome per row, in order.

    Raises:
        UserError: The directory holds a row of the same name with other settings, a row cannot
            start, or it waits for one that is not there. Nothing is written then.
    """
    check_model_rows(rows, work.backbone, config)
    check_rows(rows, save_steps=work.save_steps)
    work.directory.check_free_of(work.directory.prompts)
    layout = partitioning.layouts()[0]
    for row in rows:
        layout.check_batch(row.schedule.batch_size)
    return _Session(rows, work, config, layout).run()


def check_model_rows(
    rows: Sequence[Row], backbone: Backbone | Outline, config: ModelTuneConfig
) -> None:
    """Checks that rows start from models, and that the model is one to be tuned.

    Raises:
        UserError: A row starts as a prompt does, a batch cannot be cut, or parameters are not
            float32.
    """
    for row in rows:
        if not isinstance(row.start, Pretrained | FromRow):
            raise UserError(
                f"row '{row.name}' starts from {row.start.describe()['init']}, but a model is "
                "tuned; set train.start to @Pretrained()"
            )
        if row.schedule.batch_size % config.microbatches:
            raise UserError(
                f"row '{row.name}': a batch of {row.schedule.batch_size} examples cannot be cut "
                f"into {config.microbatches} equal microbatches; make one a multiple of the other"
            )
    if backbone.param_dtype != "float32":
        raise UserError(
            f"PARAM_DTYPE is '{backbone.param_dtype}', too coarse for the small updates of model "
            "tuning; set it to 'float32' (COMPUTE_DTYPE may stay)"
        )


class _Session:
    """Trains one row after another."""

    def __init__(
        self,
        rows: Sequence[Row],
        work: Work,
        config: ModelTuneConfig,
        layout: partitioning.Layout,
    ):
        self._rows = rows
        self._work = work
        self._config = config
        self._layout = layout
        model = prompted(work.backbone.config, prefix, remat=config.remat)
        self._bank = no_prompt(work.backbone.config.emb_dim)
        self._models = TunedModels(rows, work, config)
        self._finished = self._models.finished
        self._checkpoints = Checkpoints(work.directory.checkpoints)
        self._evaluator = Evaluator(
            model,
            {},
            [layout],
            work.vocabulary,
            Greedy(),
            batch_size=config.eval_batch_size,
            shapes=work.shapes,
        )
        init = functools.partial(init_model_state, optimizer=config.step.optimizer)
        self._state_shapes = jax.eval_shape(init, work.backbone.shapes)
        self._state_sharding = jax.tree.map(lambda x: layout.spread(x.shape), self._state_shapes)
        self._init = jax.jit(init, out_shardings=self._state_sharding)
        self._step_function = jax.jit(
            functools.partial(
                model_step, model=model, config=config.step, microbatches=config.microbatches
            ),
            donate_argnums=0,
            out_shardings=(self._state_sharding, None),
        )
        self._tick = self._saved = 0

    # The run, from start to end.

    def run(self) -> list[Outcome]:
        resumed = self._restore()
        self._models.clean(self._rows)
        write_text(self._work.directory.path / "operative_config.gin", self._work.operative_config)
        try:
            with recording(
                self._rows,
                self._finished,
                [resumed] if resumed else [],
                work=self._work,
                log_period=self._config.log_period,
            ) as self._record:
                while len(self._finished) < len(self._rows):
                    run = resumed or self._start(self._next())
                    resumed = None
                    while run.row.name not in self._finished:
                        self._turn(run)
        finally:
            self._checkpoints.close()
        # They hold models that nothing goes on from.
        shutil.rmtree(self._work.directory.checkpoints, ignore_errors=True)
        return [self._finished[row.name] for row in self._rows]

    def _turn(self, run: RunningModel) -> None:
        """Evaluates, finishes or saves the row if that is due, and takes a step of it."""
        began = time.monotonic()
        saving = self._tick - self._saved >= self._config.checkpoint_period
        if saving or run.is_due(self._work.save_steps):
            # Whatever is decided below is decided on the metrics of every step so far, so that a
            # resumed run decides the same.
            self._read(run, len(run.unread))
        if run.is_due(self._work.save_steps):
            self._evaluate(run)
        if run.ended:
            self._finish(run)
            return
        if saving:
            self._save(run)
        self._step(run)
        run.progress.seconds += time.monotonic() - began

    # Starting.

    def _next(self) -> Row:
        """Returns the first row that is not finished and whose source is."""
        waiting = (row for row in self._rows if row.name not in self._finished)
        return next(row for row in waiting if row.start.after in (None, *self._finished))

    def _start(self, row: Row) -> RunningModel:
        state = self._init(self._load(self._models.start(row)))
        return RunningModel.open(row, self._work, Progress(), state=state)

    def _load(self, model: Backbone) -> Params:
        (params,) = model.load([self._layout.spread])
        return params

    # Steps.

    def _step(self, run: RunningModel) -> None:
        batch = run.batches.next()
        tokens, targets = self._layout.put_batch((batch.encoder_tokens, batch.targets), axis=0)
        seed, rate = np.uint32(run.row.seed), np.float32(run.row.schedule.learning_rate)
        reading = len(run.unread)
        run.state, metrics = self._step_function(run.state, tokens, targets, seed, rate)
        width = batch.encoder_tokens.shape[1]
        done = run.begun(count_positions(batch.input_lengths, width, prompt_length=0))
        run.unread.append((done, metrics))
        self._tick += 1
        self._read(run, reading)
        done = len(self._finished)
        self._record.advance(1, f"{run.row.name}, {done} of {len(self._rows)} rows finished")

    def _read(self, run: RunningModel, count: int) -> None:
        """Reads the metrics of `count` earlier steps: the last one is still running."""
        for _ in range(count):
            done, metrics = run.unread.popleft()
            metrics = jax.device_get(metrics)
            if run.passed(done.step, failed=bool(metrics.failed), what="gradient"):
                self._record.train(run, done, metrics)

    # Evaluation.

    def _evaluate(self, run: RunningModel) -> None:
        params, step = run.state.params, run.progress.step
        metrics = self._score(params, run, "validation")
        if run.progress.record(step, metrics["score"]):
            self._models.save_best(run.row, params, step)
        if step in self._work.save_steps:
            self._models.save_step(run.row, params, step)
        self._record.validation(run, metrics)
        self._record.flush()

    def _score(self, params: Params, run: RunningModel, split: str | None) -> dict[str, float]:
        on_layout = {self._layout.name: params}
        (metrics,) = self._evaluator.score(self._bank, [(0, run.tasks)], split, on_layout)
        return metrics

    # Finishing.

    def _finish(self, run: RunningModel) -> None:
        del run.state  # Its memory is for the best model.
        best = self._load(self._models.best(run.row, run.progress))
        metrics = self._score(best, run, None)
        self._record.test(run, metrics)
        self._record.flush()
        self._models.finish(run.row, run.progress, metrics)
        self._record.stopped(run, "model")

    # Checkpoints.

    def _save(self, run: RunningModel) -> None:
        self._saved = self._tick
        self._record.flush()  # A run resumed from here writes later steps only.
        run.progress.data = run.batches.state()
        progress: dict[str, Any] = {
            "row": run.row.name,
            "row_digest": self._finished.digest(run.row),
            "progress": vars(run.progress),
        }
        self._checkpoints.save(self._tick, flatten(run.state), progress)
        # The checkpoint before this one is kept too, for when this one should be damaged.
        self._models.drop_candidates(run.row, run.saved_best)
        run.saved_best = run.progress.best_step or 0

    def _restore(self) -> RunningModel | None:
        """Returns the row of the newest sound checkpoint, where it was, unless it is finished."""
        latest = self._checkpoints.latest()
        if latest is None:
            return None
        self._tick, arrays, saved = latest
        self._saved = self._tick
        row = next((row for row in self._rows if row.name == saved["row"]), None)
        if row is None or row.name in self._finished:
            return None
        self._finished.check(row, saved["row_digest"])
        progress = Progress(**saved["progress"])
        if progress.best_step is not None:
            self._models.best(row, progress)  # It must be there.
        state = jax.device_put(unflatten(self._state_shapes, arrays), self._state_sharding)
        return RunningModel.open(row, self._work, progress, state=state)
