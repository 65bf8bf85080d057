"""The loop of model tuning: rows one after another on the whole machine, each a model of its own.

Model tuning is the baseline of the papers (Lester et al. 2021, section 3.1). Every weight is
trained, so that rows cannot share a forward pass as prompts do.
"""

import collections
import functools
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from rich.console import Console

from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.models.t5 import T5
from prompt_tuning.models.weights import Backbone, Outline
from prompt_tuning.prompts.bank import no_prompt
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training import partitioning
from prompt_tuning.training.checkpoints import Checkpoints, flatten, unflatten
from prompt_tuning.training.config import ModelTuneConfig
from prompt_tuning.training.decoders import Greedy
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.journal import Journal
from prompt_tuning.training.model_step import ModelState, init_model_state, model_step
from prompt_tuning.training.outcomes import Outcome
from prompt_tuning.training.progress import ProgressDisplay
from prompt_tuning.training.rows import Progress, Row, check_rows
from prompt_tuning.training.run_directory import RunDirectory, write_text
from prompt_tuning.training.running import training_batches
from prompt_tuning.training.starts import FromRow, Pretrained
from prompt_tuning.training.tuned_models import TunedModels
from prompt_tuning.types import Params, UserError


def tune_models(
    rows: Sequence[Row],
    *,
    backbone: Backbone,
    tasks: Mapping[str, CachedTask | CachedMixture],
    shapes: Sequence[tuple[int, int]],
    vocabulary: Vocabulary,
    directory: RunDirectory,
    config: ModelTuneConfig,
    save_steps: Sequence[int],
    operative_config: str,
    console: Console,
) -> list[Outcome]:
    """Tunes a model for every row, and scores each at its checkpoint best on validation.

    Rows that an earlier run in the same directory finished are not trained again; an unfinished one
    goes on from the last checkpoint and ends as it would have without the interruption.

    Args:
        rows: What to train; a row may start from the best model of another.
        backbone: The pretrained model.
        tasks: The tokenised tasks and mixtures by name.
        shapes: Pairs (T, L) that batches are padded to, each covered by the last.
        vocabulary: The model's vocabulary.
        directory: Where the run's files are; `TunedModels` says what is kept of the models.
        config: Settings that all rows share.
        save_steps: Steps after which a row's model is also kept as `<row>.step_<n>`.
        operative_config: What runs, as text that is kept in the directory.
        console: Where to show progress.

    Returns:
        One outcome per row, in order.

    Raises:
        UserError: The directory holds a row of the same name with other settings, a row cannot
            start, or it waits for one that is not there. Nothing is written then.
    """
    check_model_rows(rows, backbone)
    check_rows(rows, microbatches=config.step.microbatches, save_steps=save_steps)
    directory.check_free_of(directory.prompts)
    layout = partitioning.layouts()[0]
    for row in rows:
        layout.check_batch(row.schedule.batch_size)
    session = _Session(
        rows=rows,
        tasks=tasks,
        vocabulary=vocabulary,
        config=config,
        save_steps=save_steps,
        layout=layout,
        model=PromptedT5(T5(backbone.config), prefix),
        shapes=shapes,
        models=TunedModels(rows, directory, backbone, tasks, config),
        checkpoints=Checkpoints(directory.checkpoints),
    )
    return session.run(console, directory, operative_config)


def check_model_rows(rows: Sequence[Row], backbone: Backbone | Outline) -> None:
    """Checks that rows start from models, and that the model is one to be tuned.

    Raises:
        UserError: A row starts as a prompt does, or parameters are not float32.
    """
    for row in rows:
        if not isinstance(row.start, Pretrained | FromRow):
            raise UserError(
                f"row '{row.name}' starts from {row.start.describe()['init']}, but a model is "
                "tuned; set train.start to @Pretrained()"
            )
    if backbone.param_dtype != "float32":
        raise UserError(
            f"PARAM_DTYPE is '{backbone.param_dtype}', too coarse for the small updates of model "
            "tuning; set it to 'float32' (COMPUTE_DTYPE may stay)"
        )


class _Run:
    """The row in training.

    Attributes:
        row: The row.
        tasks: Its task, or those of its mixture.
        progress: How far it is.
        batches: Its training data.
        state: Its model and optimizer, on the devices.
        unread: Steps whose metrics were not read yet, with these.
        saved_best: Step of the best model of the last checkpoint of this process.
    """

    def __init__(
        self,
        row: Row,
        task: CachedTask | CachedMixture,
        shapes: Sequence[tuple[int, int]],
        progress: Progress,
        state: ModelState,
    ):
        self.row = row
        self.tasks = tuple(part for part, _ in task.parts)
        self.progress = progress
        self.state = state
        self.batches = training_batches(row, task, shapes, progress)
        self.unread: collections.deque = collections.deque()
        self.saved_best = 0

    @property
    def ended(self) -> bool:
        """Whether all its steps are done, or it stopped early."""
        return self.progress.step >= self.row.steps or self.progress.stopped is not None


class _Session:
    """Trains one row after another."""

    def __init__(
        self,
        *,
        rows: Sequence[Row],
        tasks: Mapping[str, CachedTask | CachedMixture],
        vocabulary: Vocabulary,
        config: ModelTuneConfig,
        save_steps: Sequence[int],
        layout: partitioning.Layout,
        model: PromptedT5,
        shapes: Sequence[tuple[int, int]],
        models: TunedModels,
        checkpoints: Checkpoints,
    ):
        self._rows = rows
        self._tasks = tasks
        self._config = config
        self._save_steps = save_steps
        self._layout = layout
        self._bank = no_prompt(model.model.config.emb_dim)
        self._shapes = shapes
        self._models = models
        self._checkpoints = checkpoints
        self._on_layout: dict[str, Params] = {}  # The parameters to evaluate.
        self._evaluator = Evaluator(
            model,
            self._on_layout,
            [layout],
            vocabulary,
            Greedy(),
            batch_size=config.eval_batch_size,
            shapes=shapes,
        )
        init = functools.partial(init_model_state, optimizer=config.step.optimizer)
        self._state_shapes = jax.eval_shape(init, models.shapes)
        self._state_sharding = jax.tree.map(lambda x: layout.spread(x.shape), self._state_shapes)
        self._init = jax.jit(init, out_shardings=self._state_sharding)
        self._step_function = jax.jit(
            functools.partial(model_step, model=model, config=config.step),
            donate_argnums=0,
            out_shardings=(self._state_sharding, None),
        )
        self._tick = self._saved = 0

    # The run, from start to end.

    def run(self, console: Console, directory: RunDirectory, config: str) -> list[Outcome]:
        resumed = self._restore()
        self._models.clean(self._rows)
        write_text(directory.path / "operative_config.gin", config)
        finished = self._models.finished
        restored: dict[str, float] = {row.name: -1 for row in self._rows}
        restored |= dict.fromkeys(finished, math.inf)
        if resumed:
            restored[resumed.row.name] = resumed.progress.step
        done = sum(row.steps for row in self._rows if row.name in finished)
        done += resumed.progress.step if resumed else 0
        total = sum(row.steps for row in self._rows)
        if done:
            console.print(f"Resuming: {done} of {total} row-steps are done.", highlight=False)
        self._journal = Journal(directory.metrics, restored)
        try:
            with ProgressDisplay(console, total, done) as self._display:
                while len(finished) < len(self._rows):
                    run = resumed or self._start(self._next())
                    resumed = None
                    while run.row.name not in finished:
                        self._turn(run)
        finally:
            self._journal.close()
            self._checkpoints.close()
        # They hold models that nothing goes on from.
        shutil.rmtree(directory.checkpoints, ignore_errors=True)
        return [finished[row.name] for row in self._rows]

    def _turn(self, run: _Run) -> None:
        """Evaluates, finishes or saves the row if that is due, and takes a step of it."""
        began = time.monotonic()
        saving = self._tick - self._saved >= self._config.checkpoint_period
        if saving or self._is_due(run):
            # Whatever is decided below is decided on the metrics of every step so far, so that a
            # resumed run decides the same.
            self._read(run, len(run.unread))
        if self._is_due(run):
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
        finished = self._models.finished
        waiting = (row for row in self._rows if row.name not in finished)
        return next(row for row in waiting if row.start.after in (None, *finished))

    def _start(self, row: Row) -> _Run:
        state = self._init(self._load(self._models.start(row)))
        return _Run(row, self._tasks[row.task], self._shapes, Progress(), state)

    def _load(self, model: Backbone) -> Params:
        (params,) = model.load([self._layout.spread])
        return params

    # Steps.

    def _step(self, run: _Run) -> None:
        batch = run.batches.next()
        tokens, targets = self._layout.put_batch((batch.encoder_tokens, batch.targets), axis=0)
        seed, rate = np.uint32(run.row.seed), np.float32(run.row.schedule.learning_rate)
        reading = len(run.unread)
        run.state, metrics = self._step_function(run.state, tokens, targets, seed, rate)
        run.progress.step += 1
        run.unread.append((run.progress.step, metrics))
        self._tick += 1
        self._read(run, reading)
        done = len(self._models.finished)
        self._display.advance(1, f"{run.row.name}, {done} of {len(self._rows)} rows finished")

    def _read(self, run: _Run, count: int) -> None:
        """Reads the metrics of `count` earlier steps: the last one is still running."""
        for _ in range(count):
            step, metrics = run.unread.popleft()
            metrics = jax.device_get(metrics)
            if run.progress.stopped is not None:
                continue
            if metrics.failed:
                run.progress.stopped = f"the loss or the gradient of step {step} was not finite"
                run.progress.step = step - 1
            elif step % self._config.log_period == 0:
                values = metrics.entry(run.row.schedule.learning_rate)
                self._journal.write("train", run.row.name, step, values)

    # Evaluation.

    def _is_due(self, run: _Run) -> bool:
        step, curve = run.progress.step, run.progress.curve
        if curve and curve[-1][0] == step:
            return False
        return run.ended or run.row.evaluates_at(step) or step in self._save_steps

    def _evaluate(self, run: _Run) -> None:
        params, step = run.state.params, run.progress.step
        metrics = self._score(params, run, "validation")
        if run.progress.record(metrics["score"]):
            self._models.save_best(run.row, params, step)
        if step in self._save_steps:
            self._models.save_step(run.row, params, step)
        self._journal.write("validation", run.row.name, step, metrics)
        self._journal.flush()

    def _score(self, params: Params, run: _Run, split: str | None) -> dict[str, float]:
        self._on_layout[self._layout.name] = params
        (metrics,) = self._evaluator.score(self._bank, [(0, run.tasks)], split)
        self._on_layout.clear()
        return metrics

    # Finishing.

    def _finish(self, run: _Run) -> None:
        best_step = run.progress.best_step
        assert best_step is not None
        del run.state  # Its memory is for the best model.
        best = self._load(self._models.best(run.row, run.progress))
        metrics = self._score(best, run, None)
        self._journal.write("test", run.row.name, best_step, metrics)
        self._journal.finish(run.row.name)
        self._journal.flush()
        self._models.finish(run.row, run.progress, metrics)
        if run.progress.stopped:
            self._display.note(
                f"{run.row.name} stopped: {run.progress.stopped}; its best model is kept"
            )

    # Checkpoints.

    def _save(self, run: _Run) -> None:
        self._saved = self._tick
        self._journal.flush()  # A run resumed from here writes later steps only.
        run.progress.data = run.batches.state()
        progress: dict[str, Any] = {
            "row": run.row.name,
            "row_digest": self._models.digest(run.row),
            "progress": vars(run.progress),
        }
        self._checkpoints.save(self._tick, flatten(run.state), progress)
        # The checkpoint before this one is kept too, for when this one should be damaged.
        self._models.drop_candidates(run.row, run.saved_best)
        run.saved_best = run.progress.best_step or 0

    def _restore(self) -> _Run | None:
        """Returns the row of the newest sound checkpoint, where it was, unless it is finished."""
        latest = self._checkpoints.latest()
        if latest is None:
            return None
        self._tick, arrays, saved = latest
        self._saved = self._tick
        row = next((row for row in self._rows if row.name == saved["row"]), None)
        if row is None or row.name in self._models.finished:
            return None
        if saved["row_digest"] != self._models.digest(row):
            raise UserError(self._models.conflict(row))
        progress = Progress(**saved["progress"])
        if progress.best_step is not None:
            self._models.best(row, progress)  # It must be there.
        state = jax.device_put(unflatten(self._state_shapes, arrays), self._state_sharding)
        return _Run(row, self._tasks[row.task], self._shapes, progress, state)
