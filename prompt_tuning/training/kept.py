"""What rows leave on disk: prompt files, or models."""

import dataclasses
import datetime
import functools
import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.models.weights import Backbone, open_backbone, save_backbone
from prompt_tuning.parameterizations.parameterization import Given, Trainable
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import (
    ClassLabels,
    FromRow,
    InitContext,
    Pretrained,
    init_key,
)
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.open_model import read_spread
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.results import ResultStore
from prompt_tuning.training.rows import Row
from prompt_tuning.training.run import Run
from prompt_tuning.training.running import RunningRow
from prompt_tuning.types import Params, UserError


class Kept(Protocol):
    """Keeps what rows train, and starts rows from what was kept.

    Attributes:
        results: The results of finished rows.
    """

    results: ResultStore

    def check_starts(self) -> None:
        """Checks how rows start, before anything is written.

        Raises:
            UserError: A row cannot start as it says.
        """
        ...

    def start(self, row: Row, layout: Layout) -> tuple[Trainable, Given]:
        """Returns what a row trains before its first step, and its constants."""
        ...

    def given(self, row: Row) -> Given:
        """Returns the constants of a row."""
        ...

    def shapes(self, row: Row, given: Given) -> Trainable:
        """Returns the shapes of what a row trains."""
        ...

    def copy(self, trainable: Trainable) -> Trainable | None:
        """Returns a copy on the host, or None where the best is kept on disk alone."""
        ...

    def save_best(self, running: RunningRow, trainable: Trainable) -> None:
        """Keeps what a row trains, as it was when its last evaluation was the best so far."""
        ...

    def save_step(self, running: RunningRow, trainable: Trainable) -> None:
        """Keeps what a row trains, as it was at its last evaluation, as `step_<n>`."""
        ...

    def best(self, running: RunningRow, layout: Layout) -> Trainable:
        """Returns what a row trained when it was best on validation."""
        ...

    def finish(
        self, running: RunningRow, last: Trainable | None, metrics: dict[str, float]
    ) -> None:
        """Writes a row's result; the row is finished from here on.

        Args:
            running: The row.
            last: What it trains after its last step, as `copy` gives it.
            metrics: Metrics of the best on the scored split, and their mean as `score`.
        """
        ...

    def checkpointed(self, running: RunningRow) -> None:
        """Removes what no checkpoint needs, after a row was written to one."""
        ...

    def clean(self) -> None:
        """Removes what a killed run left half written, and the candidates of finished rows."""
        ...


def open_kept(rows: Sequence[Row], run: Run, config: TuneConfig) -> Kept:
    """Returns what keeps what rows train.

    Args:
        rows: The rows of the run.
        run: What they share.
        config: Settings that all rows share.

    Raises:
        UserError: As `ResultStore`; or the directory is of a run that left the other kind.
    """
    if config.parameterization.tunes_model:
        return KeptModels(rows, run, config)
    return KeptPrompts(rows, run, config)


class KeptPrompts:
    """Writes the prompts of a run's rows, `prompts/<row>/<name>.safetensors`.

    Args:
        rows: The rows of the run.
        run: What they share.
        config: Settings that all rows share.

    Attributes:
        results: The results of finished rows.

    Raises:
        UserError: As `ResultStore`.
    """

    def __init__(self, rows: Sequence[Row], run: Run, config: TuneConfig):
        self._rows = rows
        self._run = run
        self._config = config
        self._parameterization = config.parameterization
        self._prompt_of = jax.jit(config.parameterization.prompt)
        run.directory.check_free_of(run.directory.models)
        self.results = ResultStore(
            rows,
            run,
            config,
            folder=run.directory.row,
            digest_best=lambda folder: files.digest(files.load(folder / "best.safetensors").array),
        )

    def check_starts(self) -> None:
        """See `Kept`; also names the tasks without the labels that their rows would start from."""
        unlabelled = {}
        for row in self._rows:
            if row.name not in self.results and row.start.after is None:
                self.first_prompt(row)
            if isinstance(row.start, ClassLabels) and row.start.falls_back(self._labels[row.task]):
                unlabelled[row.task] = None
        if unlabelled:
            self._run.console.print(
                f"No class labels: {', '.join(unlabelled)}; prompts start from sampled vocabulary.",
                highlight=False,
            )

    def start(self, row: Row, layout: Layout) -> tuple[Trainable, Given]:
        """See `Kept`."""
        del layout
        given, key = self.given(row), jax.random.fold_in(init_key(row.seed), 1)
        return self._parameterization.init(key, self.first_prompt(row), given), given

    def given(self, row: Row) -> Given:
        """See `Kept`."""
        return self._parameterization.given(self._context(row))

    def shapes(self, row: Row, given: Given) -> Trainable:
        """See `Kept`."""
        first = jax.ShapeDtypeStruct(self._first_shape, np.dtype(np.float32))
        return jax.eval_shape(self._parameterization.init, init_key(row.seed), first, given)

    def first_prompt(self, row: Row) -> np.ndarray:
        """Returns a row's first prompt, `[P, H]`.

        Raises:
            UserError: The row cannot start as it says.
        """
        return row.start.prompt(init_key(row.seed), self._first_shape, self._context(row))

    def copy(self, trainable: Trainable) -> Trainable:
        """See `Kept`."""
        return jax.tree.map(np.array, jax.device_get(trainable))

    def save_best(self, running: RunningRow, trainable: Trainable) -> None:
        """See `Kept`."""
        running.best = self.copy(trainable)
        self._save(running, "best", running.best)

    def save_step(self, running: RunningRow, trainable: Trainable) -> None:
        """See `Kept`."""
        step, _ = running.progress.curve[-1]
        self._save(running, f"step_{int(step)}", trainable)

    def best(self, running: RunningRow, layout: Layout) -> Trainable:
        """See `Kept`."""
        del layout
        return running.best

    def finish(self, running: RunningRow, last: Trainable, metrics: dict[str, float]) -> None:
        """See `Kept`."""
        self._save(running, "last", last)
        self.results.add(
            running.row,
            running.progress,
            metrics,
            folder=self._run.directory.row(running.row.name),
            best=files.digest(self._prompt(running, running.best)),
        )

    def checkpointed(self, running: RunningRow) -> None:
        """See `Kept`: checkpoints hold the best."""

    def clean(self) -> None:
        """See `Kept`: there is nothing to remove."""

    @property
    def _first_shape(self) -> tuple[int, int]:
        return self._parameterization.length, self._run.model.width

    @functools.cached_property
    def _labels(self) -> dict[str, tuple[str, ...]]:
        return self._run.labels

    def _context(self, row: Row) -> InitContext:
        model, directory = self._run.model, self._run.directory
        return InitContext(
            embeddings=model.embeddings,
            vocabulary=model.vocabulary,
            labels=self._labels[row.task],
            backbone=model.name,
            backbone_digest=model.digest,
            placement=self._config.placed,
            target_prefix=self._run.tasks[row.task].tasks[0].target_prefix,
            best_prompts={name: directory.row(name) / "best.safetensors" for name in self.results},
        )

    def _prompt(self, running: RunningRow, trainable: Trainable) -> np.ndarray:
        return np.asarray(self._prompt_of(trainable, running.given))

    def _save(self, running: RunningRow, name: str, trainable: Trainable) -> None:
        """Writes the prompt that a row was last scored with, as `<name>.safetensors`."""
        row, (step, score) = running.row, running.progress.curve[-1]
        prompt = files.describe(
            self._prompt(running, trainable),
            name=row.name,
            task=row.task,
            backbone=self._run.model.name,
            backbone_digest=self._run.model.digest,
            step=int(step),
            seed=row.seed,
            init=self._provenance(row),
            metrics={"validation": score},
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            placement=self._config.placed,
            **self._used_with(row.task),
            **self._trained(trainable),
        )
        path = self._run.directory.row(row.name) / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        files.save(path, prompt)

    def _used_with(self, name: str) -> dict[str, Any]:
        """Returns what `files.describe` records of a task and the model."""
        task, model = self._run.tasks[name], self._run.model
        part = task.tasks[0]
        prefix = len(model.vocabulary.encode(part.target_prefix)) if part.target_prefix else 0
        return {
            "target_prefix": part.target_prefix,
            "label_words": self._labels[name],
            "input_template": task.template if isinstance(task, CachedTask) else None,
            "task_digest": task.digest,
            "feature_lengths": {**part.lengths, "targets": part.lengths["targets"] - prefix},
            "compute_dtype": model.backbone.config.dtype,
            "param_dtype": model.backbone.param_dtype,
        }

    def _trained(self, trainable: Trainable) -> dict[str, Any]:
        """Returns what `files.describe` records of what is trained beside the prompt itself."""
        if isinstance(self._parameterization, PromptTable):
            return {}
        leaves = jax.tree_util.tree_flatten_with_path(trainable)[0]
        return {
            "parameterization": type(self._parameterization).__name__,
            "trainable": {
                jax.tree_util.keystr(path, simple=True, separator=".") or "array": np.asarray(leaf)
                for path, leaf in leaves
            },
        }

    def _provenance(self, row: Row) -> str:
        """Returns how the row's prompt began: an initializer's name, or its source's digest."""
        if row.start.after is not None:
            return self.results[row.start.after].best
        described = row.start.describe()
        return described.get("digest", described["init"])


class KeptModels:
    """Keeps the models of a run's rows, each a directory that `INITIAL_CHECKPOINT_PATH` takes.

        models/<row>/            the model best on validation, and `row.json`, once the row is done
        models/<row>.step_<n>/   the model after n steps, where the run asks for it
        models/.<row>.best_<n>/  candidates of a row in training: the best of the checkpoints that
                                 training could resume from, and better ones since

    Args:
        rows: The rows of the run.
        run: What they share.
        config: Settings that all rows share.

    Attributes:
        results: The results of finished rows.

    Raises:
        UserError: As `ResultStore`.
    """

    def __init__(self, rows: Sequence[Row], run: Run, config: TuneConfig):
        self._rows = rows
        self._directory = run.directory
        self._backbone = run.model.backbone
        self._parameterization = config.parameterization
        run.directory.check_free_of(run.directory.prompts)
        self.results = ResultStore(
            rows,
            run,
            config,
            folder=run.directory.model,
            digest_best=lambda folder: self._open(folder).digest,
        )

    def check_starts(self) -> None:
        """See `Kept`."""
        check_model_starts(self._rows, self._backbone.param_dtype)

    def start(self, row: Row, layout: Layout) -> tuple[Params, Given]:
        """See `Kept`."""
        after = row.start.after
        backbone = self._backbone if after is None else self._open(self._directory.model(after))
        first, key = read_spread(backbone, layout), init_key(row.seed)
        return self._parameterization.init(key, first, ()), ()

    def given(self, row: Row) -> Given:
        """See `Kept`: there are none."""
        del row
        return ()

    def shapes(self, row: Row, given: Given) -> Params:
        """See `Kept`."""
        del row, given
        return self._backbone.shapes

    def copy(self, trainable: Params) -> None:
        """See `Kept`."""
        del trainable

    def save_best(self, running: RunningRow, trainable: Params) -> None:
        """See `Kept`."""
        step = int(running.progress.curve[-1][0])
        self._save(self._candidate(running.row, step), running.row, trainable)

    def save_step(self, running: RunningRow, trainable: Params) -> None:
        """See `Kept`."""
        name = f"{running.row.name}.step_{int(running.progress.curve[-1][0])}"
        self._save(self._directory.model(name), running.row, trainable)

    def best(self, running: RunningRow, layout: Layout) -> Params:
        """See `Kept`; raises `UserError` where the candidate is not there."""
        return read_spread(self._open(self._best_candidate(running)), layout)

    def finish(self, running: RunningRow, last: None, metrics: dict[str, float]) -> None:
        """See `Kept`: moves the best candidate to its place."""
        del last
        row, candidate = running.row, self._best_candidate(running)
        best = self._open(candidate).digest
        self.results.add(row, running.progress, metrics, folder=candidate, best=best)
        place = self._directory.model(row.name)
        shutil.rmtree(place, ignore_errors=True)  # What is there is no finished row.
        candidate.rename(place)
        self._drop_candidates(row, math.inf)

    def checkpointed(self, running: RunningRow) -> None:
        """See `Kept`: the checkpoint before the last is kept too, should that one be damaged."""
        self._drop_candidates(running.row, running.checkpointed_best)
        running.checkpointed_best = running.progress.best_step or 0

    def clean(self) -> None:
        """See `Kept`."""
        for ending in ("tmp", "old"):
            for path in self._directory.models.glob(f".*.{ending}"):
                shutil.rmtree(path)
        for row in self._rows:
            if row.name in self.results:
                self._drop_candidates(row, math.inf)

    def _drop_candidates(self, row: Row, before: float) -> None:
        """Removes the candidates of a row that are of steps before `before`."""
        pattern = re.compile(rf"\.{re.escape(row.name)}\.best_(\d+)")
        for path in self._directory.models.glob(".*.best_*"):
            match = pattern.fullmatch(path.name)
            if match and int(match[1]) < before:
                shutil.rmtree(path)

    def _best_candidate(self, running: RunningRow) -> Path:
        assert running.progress.best_step is not None
        return self._candidate(running.row, running.progress.best_step)

    def _candidate(self, row: Row, step: int) -> Path:
        return self._directory.model(f".{row.name}.best_{step}")

    def _save(self, path: Path, row: Row, params: Params) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        frozen = self._backbone
        config = dataclasses.replace(frozen.config, name=f"{frozen.config.name}.{row.name}")
        save_backbone(path, config, params, frozen.vocabulary_file, frozen.extra_ids)

    def _open(self, path: Path) -> Backbone:
        opened = open_backbone(path, model=None, vocabulary=None, param_dtype="float32")
        config = dataclasses.replace(opened.config, dtype=self._backbone.config.dtype)
        return dataclasses.replace(opened, config=config)


def check_model_starts(rows: Sequence[Row], param_dtype: Any) -> None:
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
    if param_dtype != "float32":
        raise UserError(
            f"PARAM_DTYPE is '{param_dtype}', too coarse for the small updates of model "
            "tuning; set it to 'float32' (COMPUTE_DTYPE may stay)"
        )
