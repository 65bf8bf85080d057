"""The training loop: rows through lanes, with evaluation, checkpoints and resume."""

import collections
import concurrent.futures
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.models.t5 import T5
from prompt_tuning.models.weights import Backbone
from prompt_tuning.prompts.placement import find_placement
from prompt_tuning.training import partitioning, snapshot
from prompt_tuning.training.checkpoints import Checkpoints
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.decoders import Greedy
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.journal import Journal
from prompt_tuning.training.lanes import Lane, Stepper
from prompt_tuning.training.outcomes import Outcome, Outcomes
from prompt_tuning.training.pool import Pool
from prompt_tuning.training.progress import ProgressDisplay
from prompt_tuning.training.rows import Progress, Row, check_rows
from prompt_tuning.training.run_directory import RunDirectory, write_text
from prompt_tuning.training.running import Place, Running, place
from prompt_tuning.training.starts import ClassLabels, StartContext, start_key
from prompt_tuning.training.state import init_state
from prompt_tuning.training.step import StepMetrics
from prompt_tuning.types import UserError


def tune(
    rows: Sequence[Row],
    *,
    backbone: Backbone,
    tasks: Mapping[str, CachedTask | CachedMixture],
    shapes: Sequence[tuple[int, int]],
    vocabulary: Vocabulary,
    directory: RunDirectory,
    config: TuneConfig,
    save_steps: Sequence[int],
    operative_config: str,
    console: Console,
) -> list[Outcome]:
    """Trains every row to its end, and scores each on test at its checkpoint best on validation.

    Rows that an earlier run in the same directory finished are not trained again; unfinished ones
    go on from the last checkpoint and end as they would have without the interruption.

    Args:
        rows: What to train; a row may start from the best prompt of another.
        backbone: The frozen model.
        tasks: The tokenised tasks and mixtures by name.
        shapes: Pairs (T, L) that batches are padded to, each covered by the last.
        vocabulary: The frozen model's vocabulary.
        directory: Where the run's files are.
        config: Settings that all rows share.
        save_steps: Steps after which a row's prompt is also kept as `step_<n>.safetensors`.
        operative_config: What runs, as text that is kept in the directory.
        console: Where to show progress.

    Returns:
        One outcome per row, in order.

    Raises:
        UserError: The directory holds a row of the same name with other settings, a row cannot
            start, or it waits for one that is not there. Nothing is written then.
    """
    check_rows(rows, microbatches=config.step.microbatches, save_steps=save_steps)
    directory.check_free_of(directory.models)
    model = PromptedT5(T5(backbone.config), find_placement(config.placement))
    layouts = partitioning.layouts()[: len(rows)]
    for layout in layouts:
        for row in rows:
            layout.check_batch(row.schedule.batch_size)
    stepper = Stepper(model, partitioning.load(backbone, layouts), config.step, shapes)
    evaluator = Evaluator(
        model,
        stepper.frozen,
        layouts,
        vocabulary,
        Greedy(),
        batch_size=config.eval_batch_size,
        shapes=shapes,
    )
    outcomes = Outcomes(rows, directory, backbone, tasks, config)
    checkpoints = Checkpoints(directory.checkpoints)
    session = _Session(
        rows=rows,
        backbone=backbone,
        tasks=tasks,
        vocabulary=vocabulary,
        config=config,
        save_steps=save_steps,
        stepper=stepper,
        layouts=layouts,
        evaluator=evaluator,
        outcomes=outcomes,
        checkpoints=checkpoints,
    )
    session.check_starts(console)
    session.restore()
    write_text(directory.path / "operative_config.gin", operative_config)
    session.compile(console)
    try:
        session.run(console, directory)
    finally:
        checkpoints.close()
    return [outcomes.finished[row.name] for row in rows]


class _Session:
    """Moves rows from waiting to running to finished."""

    def __init__(
        self,
        *,
        rows: Sequence[Row],
        backbone: Backbone,
        tasks: Mapping[str, CachedTask | CachedMixture],
        vocabulary: Vocabulary,
        config: TuneConfig,
        save_steps: Sequence[int],
        stepper: Stepper,
        layouts: Sequence[partitioning.Layout],
        evaluator: Evaluator,
        outcomes: Outcomes,
        checkpoints: Checkpoints,
    ):
        self._rows = rows
        self._backbone = backbone
        self._tasks = tasks
        self._vocabulary = vocabulary
        self._config = config
        self._save_steps = save_steps
        self._stepper = stepper
        self._layouts = layouts
        self._evaluator = evaluator
        self._outcomes = outcomes
        self._checkpoints = checkpoints
        self._running: list[Running] = []
        slots = partitioning.rows_per_pass(len(rows))
        self._pool = Pool(stepper, layouts, slots, self._prompt_shape)
        self._tick = self._saved = 0
        self._unread: collections.deque = collections.deque()

    @property
    def _prompt_shape(self) -> tuple[int, int]:
        return self._config.prompt_length, self._backbone.config.emb_dim

    # The run, from start to end.

    def run(self, console: Console, directory: RunDirectory) -> None:
        finished = self._outcomes.finished
        restored: dict[str, float] = {row.name: -1 for row in self._rows}
        restored |= dict.fromkeys(finished, math.inf)
        restored |= {run.row.name: run.progress.step for run in self._running}
        done = sum(row.steps for row in self._rows if row.name in finished)
        done += sum(run.progress.step for run in self._running)
        total = sum(row.steps for row in self._rows)
        if done:
            console.print(f"Resuming: {done} of {total} row-steps are done.", highlight=False)
        self._journal = Journal(directory.metrics, restored)
        try:
            with ProgressDisplay(console, total, done) as self._display:
                while len(finished) < len(self._rows):
                    self._turn()
        finally:
            self._journal.close()

    def _turn(self) -> None:
        """Starts, evaluates, finishes and saves what is due, then takes one step of every row."""
        began = time.monotonic()
        self._start_ready()
        saving = self._tick - self._saved >= self._config.checkpoint_period
        if saving or any(self._is_due(run) for run in self._running):
            # Whatever is decided below is decided on the metrics of every step so far, so that a
            # resumed run decides the same.
            self._read(len(self._unread))
        due = [run for run in self._running if self._is_due(run)]
        self._evaluate(due)
        ended = [run for run in self._running if run.ended]
        self._finish(ended)
        if saving or ended:
            self._save()
        self._step()
        for run in self._running:
            run.progress.seconds += (time.monotonic() - began) / len(self._running)

    def compile(self, console: Console) -> None:
        """Compiles for all devices at the same time, where there are several."""
        waiting = [row for row in self._rows if row.name not in self._outcomes.finished]
        if len(self._layouts) == 1 or not waiting:
            return
        console.print(
            f"Compiling for {len(self._layouts)} devices; the next start finds it done.",
            highlight=False,
        )
        bank = np.zeros((len(self._rows), *self._prompt_shape), np.float32)

        def compile_on(layout: partitioning.Layout) -> None:
            for batch_size in {row.schedule.batch_size for row in waiting}:
                self._pool.make(layout, batch_size).compile()
            self._evaluator.compile(bank, layout)

        with concurrent.futures.ThreadPoolExecutor(len(self._layouts)) as pool:
            list(pool.map(compile_on, self._layouts))

    # Waiting -> running.

    def check_starts(self, console: Console) -> None:
        """Makes the first prompt of every row that waits for no other, to find what is wrong."""
        for row in self._rows:
            if row.name not in self._outcomes.finished and row.start.after is None:
                self._first_prompt(row)
        unlabelled = {
            row.task: None
            for row in self._rows
            if isinstance(row.start, ClassLabels) and row.start.falls_back(self._labels(row))
        }
        if unlabelled:
            console.print(
                f"No class labels: {', '.join(unlabelled)}; prompts start from sampled vocabulary.",
                highlight=False,
            )

    def _start_ready(self) -> None:
        started = {run.row.name for run in self._running} | set(self._outcomes.finished)
        for row in self._rows:
            after = row.start.after
            if row.name not in started and (after is None or after in self._outcomes.finished):
                prompt = self._first_prompt(row)
                state = init_state(jnp.asarray(prompt), self._config.step.optimizer)
                self._place(
                    row,
                    self._pool.free(row.schedule.batch_size),
                    state=state,
                    progress=Progress(),
                    best=prompt,
                )

    def _place(self, row: Row, where: Place, **state: Any) -> None:
        run = place(row, self._tasks[row.task], self._stepper.shapes, where, **state)
        self._running.append(run)

    def _first_prompt(self, row: Row) -> np.ndarray:
        context = StartContext(
            embeddings=self._stepper.frozen[self._layouts[0].name]["token_embedder"]["embedding"],
            vocabulary=self._vocabulary,
            labels=self._labels(row),
            backbone=self._backbone.config.name,
            backbone_digest=self._backbone.digest,
            best_prompts=self._outcomes.best_prompts,
        )
        return row.start.prompt(start_key(row.seed), self._prompt_shape, context)

    def _labels(self, row: Row) -> tuple[str, ...]:
        """Returns the label words of a row's task, or of all tasks of its mixture."""
        parts = self._tasks[row.task].parts
        return tuple(dict.fromkeys(label for part, _ in parts for label in part.labels))

    # Steps.

    def _step(self) -> None:
        if not self._running:
            return
        by_lane: dict[Lane, list[Running]] = collections.defaultdict(list)
        for run in self._running:
            by_lane[run.place.lane].append(run)
        reading = len(self._unread)
        for lane, runs in by_lane.items():
            metrics = lane.step({run.place.slot: run.batches.next() for run in runs})
            for run in runs:
                run.progress.step += 1
            self._unread.append((metrics, [(run, run.progress.step) for run in runs]))
        self._tick += 1
        self._read(reading)
        self._display.advance(len(self._running), self._status())

    def _read(self, count: int) -> None:
        """Reads the metrics of `count` earlier passes: those of this step are still running."""
        for _ in range(count):
            metrics, runs = self._unread.popleft()
            values = jax.device_get(metrics)
            for run, step in runs:
                self._log(run, step, StepMetrics(*(value[run.place.slot] for value in values)))

    def _log(self, run: Running, step: int, metrics: StepMetrics) -> None:
        if run.progress.stopped is not None:
            return
        if metrics.failed:
            run.progress.stopped = f"the loss or the update of step {step} was not finite"
            run.progress.step = step - 1
        elif step % self._config.log_period == 0:
            values = metrics.entry(run.row.schedule.learning_rate)
            self._journal.write("train", run.row.name, step, values)

    def _status(self) -> str:
        ended = len(self._outcomes.finished)
        return f"{len(self._running)} rows running, {ended} of {len(self._rows)} finished"

    # Evaluation.

    def _is_due(self, run: Running) -> bool:
        step, curve = run.progress.step, run.progress.curve
        if curve and curve[-1][0] == step:
            return False
        return run.ended or run.row.evaluates_at(step) or step in self._save_steps

    def _evaluate(self, due: Sequence[Running]) -> None:
        if not due:
            return
        bank = self._bank([np.asarray(run.state.prompt) for run in due])
        items = [(i, run.tasks) for i, run in enumerate(due)]
        scores = self._evaluator.score(bank, items, "validation")
        for run, prompt, metrics in zip(due, bank, scores, strict=False):
            if run.progress.record(metrics["score"]):
                run.best = prompt.copy()
                self._outcomes.save_prompt(run.row, "best", prompt, run.progress)
            if run.progress.step in self._save_steps:
                name = f"step_{run.progress.step}"
                self._outcomes.save_prompt(run.row, name, prompt, run.progress)
            self._journal.write("validation", run.row.name, run.progress.step, metrics)
        self._journal.flush()

    def _bank(self, prompts: Sequence[np.ndarray]) -> np.ndarray:
        """Stacks prompts into a bank of as many rows as the run has, so that its shape is fixed."""
        bank = np.zeros((len(self._rows), *prompts[0].shape), np.float32)
        bank[: len(prompts)] = prompts
        return bank

    # Running -> finished.

    def _finish(self, ended: Sequence[Running]) -> None:
        if not ended:
            return
        bank = self._bank([run.best for run in ended])
        items = [(i, run.tasks) for i, run in enumerate(ended)]
        for run, metrics in zip(ended, self._evaluator.score(bank, items, None), strict=True):
            best_step = run.progress.best_step
            assert best_step is not None
            self._journal.write("test", run.row.name, best_step, metrics)
            self._journal.finish(run.row.name)
            last = np.asarray(run.state.prompt)
            self._outcomes.finish(run.row, last, run.best, run.progress, metrics)
            if run.progress.stopped:
                self._display.note(
                    f"{run.row.name} stopped: {run.progress.stopped}; its best prompt is kept"
                )
            run.place.lane.unload(run.place.slot)
            self._running.remove(run)
        self._pool.drop_empty()

    # Checkpoints.

    def _save(self) -> None:
        self._saved = self._tick
        self._journal.flush()  # A run resumed from here writes later steps only.
        lanes, digest = self._pool.lanes, self._outcomes.digest
        snapshot.save(self._checkpoints, self._tick, lanes, self._running, digest)

    def restore(self) -> None:
        """Puts back the rows of the newest sound checkpoint, each where it was."""
        saved = snapshot.load(self._checkpoints, self._config.step.optimizer)
        if saved is None:
            return
        self._tick = self._saved = saved.tick
        rows = {row.name: row for row in self._rows}
        lanes = [self._pool.add(name, batch_size) for name, batch_size in saved.lanes]
        for entry in saved.rows:
            row = rows.get(entry.name)
            if row is None:
                continue
            if entry.digest != self._outcomes.digest(row):
                raise UserError(self._outcomes.conflict(row))
            self._outcomes.finished.pop(row.name, None)
            where = Place(lanes[entry.lane], entry.slot)
            self._place(row, where, state=entry.state, progress=entry.progress, best=entry.best)
        self._pool.drop_empty()
