"""The training loop: rows through lanes, with evaluation, checkpoints and resume."""

import collections
import concurrent.futures
import time
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.family import prompted
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.placement import find_placement
from prompt_tuning.storage import write_text
from prompt_tuning.training import partitioning, snapshot
from prompt_tuning.training.checkpoints import Checkpoints
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.first_prompts import FirstPrompts
from prompt_tuning.training.lanes import Lane, Stepper
from prompt_tuning.training.outcome import Outcome
from prompt_tuning.training.pool import make_pool
from prompt_tuning.training.record import recording
from prompt_tuning.training.rows import Progress, Row, check_rows
from prompt_tuning.training.running import Place, RunningPrompt
from prompt_tuning.training.state import RowState, init_state
from prompt_tuning.training.step import StepMetrics
from prompt_tuning.training.tuned_prompts import TunedPrompts
from prompt_tuning.training.work import Work
from prompt_tuning.types import UserError


def tune(rows: Sequence[Row], work: Work, config: TuneConfig) -> list[Outcome]:
    """Tunes a prompt for every row, and scores each at its checkpoint best on validation.

    Rows that an earlier run in the same directory finished are not trained again; unfinished ones
    go on from the last checkpoint and end as they would have without the interruption.

    Args:
        rows: What to train; a row may start from the best prompt of another.
        work: What to train with.
        config: Settings that all rows share.

    Returns:
        One outcome per row, in order.

    Raises:
        UserError: The directory holds a row of the same name with other settings, a row cannot
            start, or it waits for one that is not there. Nothing is written then.
    """
    check_rows(rows, save_steps=work.save_steps)
    work.directory.check_free_of(work.directory.models)
    layouts = partitioning.layouts()[: min(len(rows), config.slots)]
    session = _Session(rows, work, config, layouts)
    session.check_starts()
    session.restore()
    write_text(work.directory.path / "operative_config.gin", work.operative_config)
    session.compile()
    return session.run()


class _Session:
    """Moves rows from waiting to running to finished."""

    def __init__(
        self,
        rows: Sequence[Row],
        work: Work,
        config: TuneConfig,
        layouts: Sequence[partitioning.Layout],
    ):
        self._rows = rows
        self._work = work
        self._config = config
        self._layouts = layouts
        model = prompted(work.backbone.config, find_placement(config.placed), remat=config.remat)
        frozen = partitioning.load(work.backbone, layouts)
        self._evaluator = Evaluator(
            model,
            frozen,
            layouts,
            work.vocabulary,
            Greedy(),
            batch_size=config.eval_batch_size,
            shapes=work.shapes,
        )
        self._prompts = TunedPrompts(rows, work, config)
        self._finished = self._prompts.finished
        self._checkpoints = Checkpoints(work.directory.checkpoints)
        embeddings = model.embedding(frozen[layouts[0].name])
        self._first = FirstPrompts(work, embeddings, config.prompt_length, config.placed)
        stepper = Stepper(model, frozen, config.step)
        self._pool = make_pool(stepper, layouts, rows, work.backbone.outline, config, work.shapes)
        self._running: list[RunningPrompt] = []
        self._unread: collections.deque = collections.deque()
        self._tick = self._saved = 0

    # The run, from start to end.

    def run(self) -> list[Outcome]:
        try:
            with recording(
                self._rows,
                self._finished,
                self._running,
                work=self._work,
                log_period=self._config.log_period,
            ) as self._record:
                while len(self._finished) < len(self._rows):
                    self._turn()
        finally:
            self._checkpoints.close()
        return [self._finished[row.name] for row in self._rows]

    def _turn(self) -> None:
        """Evaluates, finishes, starts and saves what is due, then takes one step of every row."""
        began = time.monotonic()
        saving = self._tick - self._saved >= self._config.checkpoint_period
        if saving or self._due:
            # Whatever is decided below is decided on the metrics of every step so far, so that a
            # resumed run decides the same.
            self._read(len(self._unread))
        due = self._due
        self._evaluate(due, [run.prompt for run in due])
        ended = [run for run in self._running if run.ended]
        self._finish(ended)
        # Before saving, so that the same rows step together from here on in a resumed run.
        self._start_ready()
        if saving or ended:
            self._save()
        self._step()
        for run in self._running:
            run.progress.seconds += (time.monotonic() - began) / len(self._running)

    def compile(self) -> None:
        """Compiles for all devices at the same time, where there are several."""
        if len(self._layouts) == 1 or len(self._finished) == len(self._rows):
            return
        self._work.console.print(
            f"Compiling for {len(self._layouts)} devices; the next start finds it done.",
            highlight=False,
        )
        bank = np.zeros((self._pool.slots, *self._first.shape), np.float32)

        def compile_in(lane: Lane) -> None:
            lane.compile()
            self._evaluator.compile(PromptBank(bank), lane.layout)

        with concurrent.futures.ThreadPoolExecutor(len(self._layouts)) as pool:
            list(pool.map(compile_in, self._pool.lanes))

    # Waiting -> running.

    def check_starts(self) -> None:
        """Makes the first prompt of every row that waits for no other, to find what is wrong."""
        for row in self._rows:
            if row.name not in self._finished and row.start.after is None:
                self._first.make(row, {})
        self._first.tell_of_fallbacks(self._rows)

    def _start_ready(self) -> None:
        started = {run.row.name for run in self._running} | set(self._finished)
        for row in self._rows:
            source = row.start.after
            if row.name in started or not (source is None or source in self._finished):
                continue
            place = self._pool.free()
            if place is None:
                return
            prompt = self._first.make(row, self._prompts.best)
            state = init_state(jnp.asarray(prompt), self._config.step.optimizer)
            self._place(row, place, state, progress=Progress(), best=prompt)

    def _place(
        self, row: Row, place: Place, state: RowState, *, progress: Progress, best: np.ndarray
    ) -> None:
        place.lane.load(place.slot, row, state)
        self._running.append(RunningPrompt.open(row, self._work, progress, best=best, place=place))

    # Steps.

    def _step(self) -> None:
        if not self._running:
            return
        by_lane: dict[Lane, list[RunningPrompt]] = collections.defaultdict(list)
        for run in self._running:
            by_lane[run.place.lane].append(run)
        reading = len(self._unread)
        for lane, runs in by_lane.items():
            batches = {run.place.slot: run.batches.next() for run in runs}
            metrics, positions = lane.step(batches)
            done = [run.begun(positions[run.place.slot]) for run in runs]
            self._unread.append((metrics, list(zip(runs, done, strict=True))))
        self._tick += 1
        self._read(reading)
        running, finished, rows = len(self._running), len(self._finished), len(self._rows)
        self._record.advance(running, f"{running} rows running, {finished} of {rows} finished")
        self._evaluate_first()

    def _read(self, count: int) -> None:
        """Reads the metrics of `count` earlier passes: those of this step are still running."""
        for _ in range(count):
            metrics, runs = self._unread.popleft()
            values = jax.device_get(metrics)
            for run, done in runs:
                of_row = StepMetrics(*(value[run.place.slot] for value in values))
                if run.passed(done.step, failed=bool(of_row.failed), what="update"):
                    self._record.train(run, done, of_row)

    # Evaluation.

    @property
    def _due(self) -> list[RunningPrompt]:
        begun = [run for run in self._running if run.progress.curve]
        return [run for run in begun if run.is_due(self._work.save_steps)]

    def _evaluate_first(self) -> None:
        """Scores first prompts once a step is done: whether steps work shows before a long wait."""
        new = [run for run in self._running if not run.progress.curve]
        if new:
            self._read(len(self._unread))
            self._record.flush()
            self._evaluate(new, [run.best for run in new], step=0)

    def _evaluate(
        self, due: Sequence[RunningPrompt], prompts: Sequence[np.ndarray], step: int | None = None
    ) -> None:
        """Scores prompts of rows, as they are after the steps done, or after `step`."""
        if not due:
            return
        bank = self._bank(prompts)
        items = [(i, run.tasks) for i, run in enumerate(due)]
        scores = self._evaluator.score(PromptBank(bank), items, "validation")
        for run, prompt, metrics in zip(due, bank, scores, strict=False):
            of_step = run.progress.step if step is None else step
            if run.progress.record(of_step, metrics["score"]):
                run.best = prompt.copy()
                self._prompts.save(run.row, "best", prompt, run.progress)
            if of_step in self._work.save_steps:
                self._prompts.save(run.row, f"step_{of_step}", prompt, run.progress)
            self._record.validation(run, metrics)
        self._record.flush()

    def _bank(self, prompts: Sequence[np.ndarray]) -> np.ndarray:
        """Stacks prompts into a bank of as many as there are slots, so that its shape is fixed."""
        bank = np.zeros((self._pool.slots, *prompts[0].shape), np.float32)
        bank[: len(prompts)] = prompts
        return bank

    # Running -> finished.

    def _finish(self, ended: Sequence[RunningPrompt]) -> None:
        if not ended:
            return
        bank = self._bank([run.best for run in ended])
        items = [(i, run.tasks) for i, run in enumerate(ended)]
        for run, metrics in zip(
            ended, self._evaluator.score(PromptBank(bank), items, None), strict=True
        ):
            self._record.test(run, metrics)
            self._prompts.finish(run.row, run.prompt, run.best, run.progress, metrics)
            self._record.stopped(run, "prompt")
            run.place.lane.unload(run.place.slot)
            self._running.remove(run)

    # Checkpoints.

    def _save(self) -> None:
        self._saved = self._tick
        self._record.flush()  # A run resumed from here writes later steps only.
        snapshot.save(self._checkpoints, self._tick, self._running, self._finished.digest)

    def restore(self) -> None:
        """Puts back the rows of the newest sound checkpoint, each where it was."""
        saved = snapshot.load(self._checkpoints, self._config.step.optimizer)
        if saved is None:
            return
        self._tick = self._saved = saved.tick
        rows = {row.name: row for row in self._rows}
        for entry in saved.rows:
            row = rows.get(entry.name)
            if row is None:
                continue
            self._finished.check(row, entry.digest)
            self._finished.reopen(row)
            place = self._pool.find(entry.layout, entry.slot)
            if place is None:
                raise UserError(
                    f"{len(saved.rows)} rows were in training when the run stopped, and there are "
                    f"{self._pool.slots} slots now; set TuneConfig.slots to at least that many"
                )
            self._place(row, place, entry.state, progress=entry.progress, best=entry.best)
