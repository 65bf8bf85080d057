"""Prompt files saved by prompt tuning."""

import datetime
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.parameterizations.parameterization import Given, Parameterization, Trainable
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import ClassLabels, InitContext, init_key
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.results import ResultStore
from prompt_tuning.training.rows import Row
from prompt_tuning.training.run import Run
from prompt_tuning.training.running import RunningRow
from prompt_tuning.types import Array


class KeptPrompts:
    """Writes the prompts of a run's rows, `prompts/<row>/<name>.safetensors`.

    Args:
        rows: The rows of the run.
        run: The run.

    Attributes:
        results: The results of finished rows.

    Raises:
        UserError: As `ResultStore`.
    """

    def __init__(self, rows: Sequence[Row], run: Run):
        self._rows = rows
        self._run = run
        self._parameterization = run.config.parameterization
        self._prompt_of = _prompt_function(run.config.parameterization)
        run.directory.check_absent(run.directory.models)
        self.results = ResultStore(
            rows,
            run,
            folder=run.directory.row,
            digest_best=lambda folder: files.digest(files.load(folder / "best.safetensors").array),
        )

    def check_starts(self) -> None:
        """See `Kept`; prints the tasks that lack the class labels their rows start from."""
        unlabeled = {}
        for row in self._rows:
            if row.name not in self.results and row.start.after is None:
                self.first_prompt(row)
            if isinstance(row.start, ClassLabels) and row.start.falls_back(self._labels[row.task]):
                unlabeled[row.task] = None
        if unlabeled:
            self._run.console.print(
                f"No class labels: {', '.join(unlabeled)}; prompts start from sampled vocabulary.",
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
            UserError: The row cannot start from its `start`.
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

    def prune(self, running: RunningRow) -> None:
        """See `Kept`; does nothing, as checkpoints hold the best."""

    def clean(self) -> None:
        """See `Kept`; there is nothing to remove."""

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
            placement=self._run.config.placement_name,
            target_prefix=self._run.tasks[row.task].tasks[0].target_prefix,
            best_prompts={name: directory.row(name) / "best.safetensors" for name in self.results},
        )

    def _prompt(self, running: RunningRow, trainable: Trainable) -> np.ndarray:
        return np.asarray(self._prompt_of(trainable, running.given))

    def _save(self, running: RunningRow, name: str, trainable: Trainable) -> None:
        """Writes the prompt of a row's last evaluation to `<name>.safetensors`."""
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
            placement=self._run.config.placement_name,
            **self._task_fields(row.task),
            **self._trainable_fields(trainable),
        )
        path = self._run.directory.row(row.name) / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        files.save(path, prompt)

    def _task_fields(self, name: str) -> dict[str, Any]:
        """Returns the arguments of `files.describe` about a task and the model."""
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

    def _trainable_fields(self, trainable: Trainable) -> dict[str, Any]:
        """Returns the arguments of `files.describe` about a trainable other than a prompt."""
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
        """Returns the origin of a row's prompt: an initializer's name, or its source's digest."""
        if row.start.after is not None:
            return self.results[row.start.after].best
        described = row.start.describe()
        return described.get("digest", described["init"])


@functools.cache
def _prompt_function(parameterization: Parameterization) -> Callable[..., Array]:
    """Returns the jitted `prompt` of a parameterization, cached across phases."""
    return jax.jit(parameterization.prompt)
