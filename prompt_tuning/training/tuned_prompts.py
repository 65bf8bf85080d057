"""The prompts that rows of a run leave on disk."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.prompts import files
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.finished import FinishedRows
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.work import Work


class TunedPrompts:
    """Writes the prompts of a run's rows, `prompts/<row>/<name>.safetensors`.

    Args:
        rows: The rows of the run.
        work: What they are trained with.
        config: Settings that all rows share.

    Attributes:
        finished: The finished rows.

    Raises:
        UserError: As `FinishedRows`.
    """

    def __init__(self, rows: Sequence[Row], work: Work, config: TuneConfig):
        self._directory = work.directory
        self._backbone = work.backbone
        self._work = work
        self._placement = config.placed
        self.finished = FinishedRows(
            rows,
            work,
            config,
            place=work.directory.row,
            best=lambda folder: files.digest(files.load(folder / "best.safetensors").array),
            holding="holds a prompt",
        )

    @property
    def best(self) -> dict[str, Path]:
        """The best prompt file of each finished row."""
        return {name: self._directory.row(name) / "best.safetensors" for name in self.finished}

    def save(self, row: Row, name: str, array: np.ndarray, progress: Progress) -> None:
        """Writes the prompt `[P, H]` that a row was last scored with, as `<name>.safetensors`."""
        step, score = progress.curve[-1]
        prompt = files.describe(
            array,
            name=row.name,
            task=row.task,
            backbone=self._backbone.config.name,
            backbone_digest=self._backbone.digest,
            step=int(step),
            seed=row.seed,
            init=self._provenance(row),
            metrics={"validation": score},
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            placement=self._placement,
            **used_with(self._work, row.task),
        )
        path = self._directory.row(row.name) / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        files.save(path, prompt)

    def finish(
        self,
        row: Row,
        last: np.ndarray,
        best: np.ndarray,
        progress: Progress,
        metrics: dict[str, float],
    ) -> None:
        """Writes a row's last prompt and its outcome; the row is finished from here on.

        Args:
            row: The row.
            last: Its prompt after the last step, `[P, H]`.
            best: Its prompt best on validation, `[P, H]`.
            progress: Its progress.
            metrics: Metrics of `best` on the scored split, and their mean as `score`.
        """
        self.save(row, "last", last, progress)
        folder = self._directory.row(row.name)
        self.finished.add(row, progress, metrics, folder=folder, best=files.digest(best))

    def _provenance(self, row: Row) -> str:
        """Returns how the row's prompt began: an initialiser's name, or its source's digest."""
        if row.start.after is not None:
            return self.finished[row.start.after].best
        described = row.start.describe()
        return described.get("digest", described["init"])


def used_with(work: Work, name: str) -> dict[str, Any]:
    """Returns what `files.describe` records of a task and a model that a prompt is tuned with.

    Args:
        work: What the prompt is tuned with.
        name: Its task or mixture.
    """
    task = work.tasks[name]
    part, _ = task.parts[0]
    prefix = len(work.vocabulary.encode(part.target_prefix)) if part.target_prefix else 0
    return {
        "target_prefix": part.target_prefix,
        "label_words": work.labels[name],
        "input_template": task.template if isinstance(task, CachedTask) else None,
        "feature_lengths": {**part.lengths, "targets": part.lengths["targets"] - prefix},
        "compute_dtype": work.backbone.config.dtype,
        "param_dtype": work.backbone.param_dtype,
    }
