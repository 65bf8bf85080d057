"""The training loop: moves rows through slots, evaluates, checkpoints and resumes."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import flax.serialization
import jax
import numpy as np

from prompt_tuning.models.decoding import Greedy
from prompt_tuning.parameterizations.parameterization import Parameterization, Variables
from prompt_tuning.prompts.bank import Bank, no_prompt
from prompt_tuning.storage import write_text
from prompt_tuning.training.checkpoints import Checkpoints
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.kept import open_kept
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.rows import Progress, Row, check_rows, open_batches
from prompt_tuning.training.run import Run
from prompt_tuning.training.run_log import open_log
from prompt_tuning.training.running import RunningRow
from prompt_tuning.training.slots import DeviceSlots, Slot, make_slots, stack_rows
from prompt_tuning.training.step import RowState, StepMetrics, as_one_bank
from prompt_tuning.types import UserError


def tune(
    rows: Sequence[Row],
    mixtures: Mapping[str, tuple[str, ...]] | None = None,
    *,
    run: Run,
) -> list[RowResult]:
    """Trains every row, and scores its checkpoint that is best on validation.

    Skips rows that an earlier run in the same directory finished. Resumes unfinished ones from the
    last checkpoint, with the same results as without the interruption.

    Args:
        rows: The rows to train; a row may start from the best of another.
        mixtures: Further mixtures that rows train on: the names of their tasks, keyed by name.
        run: The run.

    Returns:
        One result per row, in order.

    Raises:
        UserError: The directory holds a row of the same name with other settings, a row cannot
            start, or it starts from a row that does not exist. Nothing is written then.
    """
    check_rows(rows, save_steps=run.save_steps)
    trainer = Trainer(rows, run.with_mixtures(mixtures or {}))
    with trainer.open():
        while trainer.unfinished:
            trainer.settle()
            trainer.step()
    return trainer.results


class Trainer:
    """Moves rows from waiting to running to finished.

    Args:
        rows: The rows to train.
        run: The run.

    Raises:
        UserError: As `tune`.
    """

    def __init__(self, rows: Sequence[Row], run: Run):
        self._rows = rows
        self._run = run
        config = run.config
        self._parameterization = config.parameterization
        self._kept = open_kept(rows, run)
        self._results = self._kept.results
        self._kept.check_starts()
        self._checkpoints = Checkpoints(run.directory.checkpoints)
        self._layouts = run.model.layouts[: min(len(rows), config.slots_in_use)]
        self._slots = make_slots(rows, run.model, config, run.shapes, self._layouts)
        self._evaluator = Evaluator(
            run.model.prompted(config.placement_name),
            run.model.frozen_for(self._parameterization),
            self._layouts,
            run.model.vocabulary,
            Greedy(),
            batch_size=config.eval_batch_size,
            shapes=run.shapes,
        )
        self._variables = _variables_function(self._parameterization)
        self._running: list[RunningRow] = []
        self._unread: collections.deque = collections.deque()
        self._tick = self._saved = 0

    # The run.

    @property
    def unfinished(self) -> bool:
        """Whether any row is not finished."""
        return len(self._results) < len(self._rows)

    @property
    def results(self) -> list[RowResult]:
        """The results of all rows, in order; call once all are finished."""
        return [self._results[row.name] for row in self._rows]

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Resumes from the newest checkpoint, compiles, and logs while the context is open."""
        self._restore()
        self._kept.clean()
        write_text(self._run.directory.path / "operative_config.gin", self._run.operative_config)
        self._compile()
        try:
            with open_log(self._rows, self._results, self._running, self._run) as self._log:
                yield
        finally:
            self._checkpoints.close()
        if self._parameterization.tunes_model:  # Large, and no longer needed.
            shutil.rmtree(self._run.directory.checkpoints, ignore_errors=True)

    def settle(self) -> None:
        """Evaluates, finishes, starts and checkpoints rows as due between two steps."""
        self._began = time.monotonic()
        saving = self._tick - self._saved >= self._run.config.checkpoint_period
        if saving or self._due:
            # The decisions below see the metrics of every step so far, so that a resumed run makes
            # the same ones.
            self._read_metrics(len(self._unread))
        self._evaluate(self._due)
        ended = [running for running in self._running if running.ended]
        self._finish(ended)
        # Before saving, so that a resumed run steps the same rows together.
        self._start_ready()
        if saving or ended:
            self._save()

    def step(self) -> None:
        """Takes one step of every running row."""
        if not self._running:
            return
        by_device: dict[DeviceSlots, list[RunningRow]] = collections.defaultdict(list)
        for running in self._running:
            by_device[running.slot.device].append(running)
        reading = len(self._unread)
        for device, rows in by_device.items():
            batches = {running.slot.number: running.batches.next() for running in rows}
            metrics, positions = device.step(batches)
            done = [running.count_step(positions[running.slot.number]) for running in rows]
            self._unread.append((metrics, list(zip(rows, done, strict=True))))
        self._tick += 1
        self._read_metrics(reading)
        running, finished, rows = len(self._running), len(self._results), len(self._rows)
        self._log.advance(running, f"{running} rows running, {finished} of {rows} finished")
        self._evaluate_first()
        for running in self._running:
            running.progress.seconds += (time.monotonic() - self._began) / len(self._running)

    # Opening.

    def _compile(self) -> None:
        """Compiles for all layouts in parallel, if there are several."""
        waiting = [row for row in self._rows if row.name not in self._results]
        if len(self._layouts) == 1 or not waiting:
            return
        self._run.console.print(
            f"Compiling for {len(self._layouts)} devices; the result is cached for later starts.",
            highlight=False,
        )
        if self._running:
            trainable, given = self._running[0].best, self._running[0].given
        else:
            startable = (None, *self._results)
            row = next(row for row in waiting if row.start.after in startable)
            trainable, given = self._kept.start(row, self._layouts[0])
        bank, _ = self._read_variables([trainable], [given])

        def compile_for(device: DeviceSlots) -> None:
            device.compile(trainable, given)
            self._evaluator.compile(bank, device.layout)

        with concurrent.futures.ThreadPoolExecutor(len(self._layouts)) as pool:
            list(pool.map(compile_for, self._slots.devices))

    # Waiting -> running.

    def _start_ready(self) -> None:
        """Starts rows whose sources are finished, while slots are free."""
        started = {running.row.name for running in self._running} | set(self._results)
        for row in self._rows:
            source = row.start.after
            if row.name in started or not (source is None or source in self._results):
                continue
            slot = self._slots.free()
            if slot is None:
                break
            trainable, given = self._kept.start(row, slot.device.layout)
            best = self._kept.copy(trainable)
            self._place(row, slot, slot.device.start(trainable), given, Progress(), best)
        # Without a copy of its start (models), a row is scored now, before the first step.
        self._evaluate([r for r in self._running if r.best is None and not r.progress.curve])

    def _place(
        self, row: Row, slot: Slot, state: RowState, given: Any, progress: Progress, best: Any
    ) -> None:
        slot.device.load(slot.number, row, state, given)
        task = self._run.tasks[row.task]
        batches = open_batches(row, task, self._run.shapes)
        if progress.data:
            batches.restore(progress.data)
        self._running.append(
            RunningRow(
                row=row,
                tasks=task.tasks,
                progress=progress,
                batches=batches,
                slot=slot,
                given=given,
                best=best,
            )
        )

    def _read_metrics(self, count: int) -> None:
        """Reads the metrics of the oldest `count` unread steps; blocks until those are done."""
        for _ in range(count):
            metrics, rows = self._unread.popleft()
            values = jax.device_get(metrics)
            for running, done in rows:
                row_metrics = StepMetrics(*(value[running.slot.number] for value in values))
                if running.check_step(done.step, bool(row_metrics.failed)):
                    self._log.train(running, done, row_metrics)

    # Evaluation.

    @property
    def _due(self) -> list[RunningRow]:
        begun = [running for running in self._running if running.progress.curve]
        return [running for running in begun if running.needs_evaluation(self._run.save_steps)]

    def _evaluate_first(self) -> None:
        """Scores new rows' starts, after their first step so that its failures show early."""
        new = [running for running in self._running if not running.progress.curve]
        if new:
            self._read_metrics(len(self._unread))
            self._log.flush()
            self._evaluate(new, [running.best for running in new], step=0)

    def _evaluate(
        self,
        due: Sequence[RunningRow],
        trainables: Sequence[Any] | None = None,
        step: int | None = None,
    ) -> None:
        """Scores rows on validation, and saves the best and `save_steps`.

        Args:
            due: The rows.
            trainables: Their trainables; None for the current ones.
            step: The step of `trainables`; None for each row's current step.
        """
        if not due:
            return
        trainables = trainables or [running.trainable for running in due]
        if not self._parameterization.tunes_model:
            trainables = [jax.device_get(trainable) for trainable in trainables]
        scores = self._score(due, trainables, "validation")
        for running, trainable, metrics in zip(due, trainables, scores, strict=True):
            scored_step = running.progress.step if step is None else step
            if running.progress.record(scored_step, metrics["score"]):
                self._kept.save_best(running, trainable)
            if scored_step in self._run.save_steps:
                self._kept.save_step(running, trainable)
            self._log.validation(running, metrics)
        self._log.flush()

    def _score(
        self, rows: Sequence[RunningRow], trainables: Sequence[Any], split: str | None
    ) -> list[dict[str, float]]:
        """Scores rows on a split of their tasks; None for each task's `scored_split`."""
        if self._parameterization.tunes_model:
            (running,), (params,) = rows, trainables
            layout = running.slot.device.layout
            bank = no_prompt(self._run.model.width)
            items = [(0, running.tasks)]
            return self._evaluator.score(bank, items, split, params={layout.name: params})
        bank, prompts = self._read_variables(trainables, [running.given for running in rows])
        items = [
            (i if prompts == 1 else range(i * prompts, (i + 1) * prompts), running.tasks)
            for i, running in enumerate(rows)
        ]
        return self._evaluator.score(bank, items, split)

    def _read_variables(self, trainables: Sequence[Any], given: Sequence[Any]) -> tuple[Bank, int]:
        """Returns the prompts of rows as one bank, and the number of prompts per row.

        The bank is padded to the number of slots, so that its shape is fixed.
        """
        rows = list(zip(trainables, given, strict=True))
        rows += [jax.tree.map(np.zeros_like, rows[0])] * (len(self._slots) - len(rows))
        variables = self._variables(*stack_rows(rows))
        return as_one_bank(jax.device_get(variables.bank))

    # Running -> finished.

    def _finish(self, ended: Sequence[RunningRow]) -> None:
        if not ended:
            return
        lasts = [self._kept.copy(running.trainable) for running in ended]
        for running in ended:
            running.slot.device.unload(running.slot.number)
            self._running.remove(running)
        bests = [self._kept.best(running, running.slot.device.layout) for running in ended]
        scores = self._score(ended, bests, None)
        for running, last, metrics in zip(ended, lasts, scores, strict=True):
            self._log.test(running, metrics)
            self._log.flush()
            self._kept.finish(running, last, metrics)
            self._log.show_stop(running)

    # Checkpoints.

    def _save(self) -> None:
        """Writes a checkpoint of every row in training; without any, one that says so."""
        self._saved = self._tick
        self._log.flush()  # A run resumed from here logs only later steps.
        rows = [
            {
                "name": running.row.name,
                "digest": self._results.digest(running.row),
                "layout": running.slot.device.layout.name,
                "slot": running.slot.number,
                "progress": dataclasses.asdict(
                    dataclasses.replace(running.progress, data=running.batches.state())
                ),
            }
            for running in self._running
        ]
        trees = [{"state": running.state, **_best_entry(running)} for running in self._running]
        # Orbax cannot write an empty tree.
        tree = stack_rows(jax.device_get(trees)) if trees else {"none": np.zeros(1)}
        self._checkpoints.save(self._tick, tree, {"rows": rows})
        for running in self._running:
            self._kept.prune(running)

    def _restore(self) -> None:
        """Restores the rows of the newest undamaged checkpoint, each to its old slot."""
        saved = self._checkpoints.latest()
        if saved is None:
            return
        self._tick = self._saved = saved.number
        rows = {row.name: row for row in self._rows}
        for i, entry in enumerate(saved.progress["rows"]):
            row = rows.get(entry["name"])
            if row is None:
                continue
            self._results.check(row, entry["digest"])
            self._results.reopen(row)
            slot = self._slots.find(entry["layout"], entry["slot"])
            if slot is None:
                raise UserError(
                    f"{len(saved.progress['rows'])} rows were in training when the run stopped, "
                    f"and there are {len(self._slots)} slots now; "
                    "set TuneConfig.slots to at least that many"
                )
            given = self._kept.given(row)
            shapes = self._kept.shapes(row, given)
            like = {"state": jax.eval_shape(slot.device.start, shapes), "best": shapes}
            tree = jax.tree.map(lambda leaf, i=i: leaf[i], saved.tree)
            tree = {
                name: flax.serialization.from_state_dict(like[name], part)
                for name, part in tree.items()
            }
            progress = Progress(**entry["progress"])
            self._place(row, slot, tree["state"], given, progress, tree.get("best"))


@functools.cache
def _variables_function(parameterization: Parameterization) -> Callable[..., Variables]:
    """Returns the jitted `variables` of stacked rows, cached across phases."""
    return jax.jit(jax.vmap(parameterization.variables))


def _best_entry(running: RunningRow) -> dict[str, Any]:
    """Returns a row's best as an entry of a checkpoint; none where it is only on disk."""
    return {} if running.best is None else {"best": running.best}
