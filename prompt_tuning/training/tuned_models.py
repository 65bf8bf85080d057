"""The models that rows of a run leave on disk."""

import dataclasses
import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.models.weights import Backbone, open_backbone, save_backbone
from prompt_tuning.training.config import ModelTuneConfig
from prompt_tuning.training.finished import FinishedRows
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.work import Work
from prompt_tuning.types import Params


class TunedModels:
    """Keeps the models of a run's rows.

    A model is a directory that `INITIAL_CHECKPOINT_PATH` takes:

        models/<row>/            the model best on validation, and `row.json`, once the row is done
        models/<row>.step_<n>/   the model after n steps, where the run asks for it
        models/.<row>.best_<n>/  candidates of a row in training: the best of the checkpoints that
                                 training could resume from, and better ones found since

    Args:
        rows: The rows of the run.
        work: What they are trained with.
        config: Settings that all rows share.

    Attributes:
        finished: The finished rows.

    Raises:
        UserError: As `FinishedRows`.
    """

    def __init__(self, rows: Sequence[Row], work: Work, config: ModelTuneConfig):
        self._directory = work.directory
        self._backbone = work.backbone
        self.finished = FinishedRows(
            rows,
            work,
            config,
            place=work.directory.model,
            best=lambda folder: self._open(folder).digest,
            holding="is of a row",
        )

    def start(self, row: Row) -> Backbone:
        """Returns the model that a row starts from: the pretrained one, or that of another row."""
        after = row.start.after
        return self._backbone if after is None else self._open(self._directory.model(after))

    def best(self, row: Row, progress: Progress) -> Backbone:
        """Returns the model of a row in training that is best on validation so far."""
        assert progress.best_step is not None
        return self._open(self._candidate(row, progress.best_step))

    def save_best(self, row: Row, params: Params, step: int) -> None:
        """Keeps the parameters after `step` steps, best on validation so far."""
        self._save(self._candidate(row, step), row, params)

    def save_step(self, row: Row, params: Params, step: int) -> None:
        """Keeps the parameters after `step` steps as `models/<row>.step_<n>/`."""
        self._save(self._directory.model(f"{row.name}.step_{step}"), row, params)

    def drop_candidates(self, row: Row, before: float) -> None:
        """Removes the candidates of a row that are of steps before `before`."""
        pattern = re.compile(rf"\.{re.escape(row.name)}\.best_(\d+)")
        for path in self._directory.models.glob(".*.best_*"):
            found = pattern.fullmatch(path.name)
            if found and int(found[1]) < before:
                shutil.rmtree(path)

    def clean(self, rows: Sequence[Row]) -> None:
        """Removes what a killed run left half written, and the candidates of finished rows."""
        for ending in ("tmp", "old"):
            for path in self._directory.models.glob(f".*.{ending}"):
                shutil.rmtree(path)
        for row in rows:
            if row.name in self.finished:
                self.drop_candidates(row, math.inf)

    def finish(self, row: Row, progress: Progress, metrics: dict[str, float]) -> None:
        """Moves a row's best model to its place; the row is finished from here on.

        Args:
            row: The row.
            progress: Its progress.
            metrics: Metrics of the best model on the scored split, and their mean as `score`.
        """
        assert progress.best_step is not None
        candidate = self._candidate(row, progress.best_step)
        best = self._open(candidate).digest
        self.finished.add(row, progress, metrics, folder=candidate, best=best)
        place = self._directory.model(row.name)
        shutil.rmtree(place, ignore_errors=True)  # What is there is no finished row.
        candidate.rename(place)
        self.drop_candidates(row, math.inf)

    def _candidate(self, row: Row, step: int) -> Path:
        return self._directory.model(f".{row.name}.best_{step}")

    def _save(self, path: Path, row: Row, params: Params) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        frozen = self._backbone
        name = f"{frozen.config.name}.{row.name}"
        config = dataclasses.replace(frozen.config, name=name)
        save_backbone(path, config, params, frozen.vocabulary_file, frozen.extra_ids)

    def _open(self, path: Path) -> Backbone:
        opened = open_backbone(path, model=None, vocabulary=None, param_dtype="float32")
        config = dataclasses.replace(opened.config, dtype=self._backbone.config.dtype)
        return dataclasses.replace(opened, config=config)
