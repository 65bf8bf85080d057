"""Models saved by model tuning."""

import dataclasses
import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prompt_tuning import storage
from prompt_tuning.models.weights import Backbone, open_backbone, save_backbone
from prompt_tuning.parameterizations.parameterization import Given
from prompt_tuning.prompts.initializers import FromRow, Pretrained, init_key
from prompt_tuning.training.open_model import load_sharded
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.results import ResultStore
from prompt_tuning.training.rows import Row
from prompt_tuning.training.run import Run
from prompt_tuning.training.running import RunningRow
from prompt_tuning.types import Params, UserError


class KeptModels:
    """Saves the models of a run's rows, each a directory usable as `INITIAL_CHECKPOINT_PATH`.

        models/<row>/            the model best on validation, and `row.json`; of a finished row
        models/<row>.step_<n>/   the model after n steps, for each n in `save_steps`
        models/.<row>.best_<n>/  candidates of a row in training: its best at each checkpoint that
                                 training could resume from, and any better one since

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
        self._directory = run.directory
        self._backbone = run.model.backbone
        self._parameterization = run.config.parameterization
        run.directory.check_absent(run.directory.prompts)
        self.results = ResultStore(
            rows,
            run,
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
        first, key = load_sharded(backbone, layout), init_key(row.seed)
        return self._parameterization.init(key, first, ()), ()

    def given(self, row: Row) -> Given:
        """See `Kept`; models have none."""
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
        """See `Kept`; raises `UserError` if the candidate is missing."""
        return load_sharded(self._open(self._best_candidate(running)), layout)

    def finish(self, running: RunningRow, last: None, metrics: dict[str, float]) -> None:
        """See `Kept`; moves the best candidate to `models/<row>`."""
        del last
        row, candidate = running.row, self._best_candidate(running)
        best = self._open(candidate).digest
        self.results.add(row, running.progress, metrics, folder=candidate, best=best)
        place = self._directory.model(row.name)
        shutil.rmtree(place, ignore_errors=True)  # Left by a row that did not finish.
        candidate.rename(place)
        self._drop_candidates(row, math.inf)

    def prune(self, running: RunningRow) -> None:
        """See `Kept`; spares the best of the last two checkpoints, as the newer may be damaged."""
        self._drop_candidates(running.row, running.checkpointed_best)
        running.checkpointed_best = running.progress.best_step or 0

    def clean(self) -> None:
        """See `Kept`."""
        for path in self._directory.models.glob(storage.TEMPORARIES):
            shutil.rmtree(path)
        for row in self._rows:
            if row.name in self.results:
                self._drop_candidates(row, math.inf)

    def _drop_candidates(self, row: Row, before: float) -> None:
        """Removes a row's candidates from steps before `before`."""
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
    """Checks that rows start from models, and that parameters are precise enough to tune.

    Raises:
        UserError: A row starts from a prompt, or parameters are not float32.
    """
    for row in rows:
        if not isinstance(row.start, Pretrained | FromRow):
            raise UserError(
                f"row '{row.name}' starts from {row.start.describe()['init']}, but this run "
                "tunes models; set train.start to @Pretrained()"
            )
    if param_dtype != "float32":
        raise UserError(
            f"PARAM_DTYPE is '{param_dtype}', too coarse for the small updates of model "
            "tuning; set it to 'float32' (COMPUTE_DTYPE may stay)"
        )
