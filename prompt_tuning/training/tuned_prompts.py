"""What became of each row: its prompt files, its `row.json`, and whether it is done."""

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompt_tuning.data.cached_task import CachedMixture, CachedTask, scored_split
from prompt_tuning.data.metrics import metric_label
from prompt_tuning.models.weights import Backbone
from prompt_tuning.prompts import files
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.identity import Identities
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.run_directory import RunDirectory, write_json
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """Holds a finished row's result, as `prompts/<row>/row.json` keeps it.

    Attributes:
        row: The row as a JSON object.
        backbone: Name of the frozen model.
        digest: Identifies the row's settings, task and model.
        curve: `[step, validation score]` of each evaluation.
        step: Step of the checkpoint best on validation.
        validation: Validation score of that checkpoint, 0-100.
        split: The split it is scored on: `test`, or `validation` where test labels are not public.
        score: Its score there, 0-100.
        metrics: Its metrics there.
        seconds: Wall time in training.
        stopped: Why the row stopped early, or None.
        best: Digest of what is kept of that checkpoint: of the prompt in `best.safetensors`, or of
            the embedding table of the model.
    """

    row: dict[str, Any]
    backbone: str
    digest: str
    curve: list[list[float]]
    step: int
    validation: float
    split: str
    score: float
    metrics: dict[str, float]
    seconds: float
    stopped: str | None
    best: str

    @classmethod
    def of(
        cls,
        row: Row,
        progress: Progress,
        metrics: dict[str, float],
        *,
        backbone: str,
        digest: str,
        split: str,
        best: str,
    ) -> "Outcome":
        """Returns the outcome of a row whose training ended.

        Args:
            row: The row.
            progress: Its progress, evaluated at least once.
            metrics: Metrics of its best checkpoint, and their mean as `score`.
            backbone: Name of the model.
            digest: Identifies the row's settings, task and model.
            split: Split of the metrics.
            best: Digest of what is kept of the best checkpoint.
        """
        assert progress.best_step is not None and progress.best_score is not None
        return cls(
            row=row.describe(),
            backbone=backbone,
            digest=digest,
            curve=progress.curve,
            step=progress.best_step,
            validation=progress.best_score,
            split=split,
            score=metrics["score"],
            metrics={name: value for name, value in metrics.items() if name != "score"},
            seconds=progress.seconds,
            stopped=progress.stopped,
            best=best,
        )

    def result(self) -> dict[str, Any]:
        """Returns this row's entry in `results.json`."""
        return {
            "backbone": self.backbone,
            "method": self.row["method"],
            "init": self.row["start"]["init"],
            "source": self.row["source"],
            "target": self.row["task"],
            "seed": self.row["seed"],
            "metric": metric_label(self.metrics),
            "split": self.split,
            "score": self.score,
            "step": self.step,
            "steps": self.row["schedule"]["steps"],
            "curve": self.curve,
            "seconds": self.seconds,
        }


class Outcomes:
    """Knows the rows of a run that are finished, and writes what a row leaves.

    Args:
        rows: The rows of the run.
        directory: Where the run's files are.
        backbone: The frozen model.
        tasks: The tokenised tasks and mixtures by name.
        config: Settings that all rows share.

    Raises:
        UserError: The directory holds a finished row of the same name with other settings, or a
            row waits for one that is not there, or for itself.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        directory: RunDirectory,
        backbone: Backbone,
        tasks: Mapping[str, CachedTask | CachedMixture],
        config: TuneConfig,
    ):
        self._directory = directory
        self._backbone = backbone
        self._tasks = tasks
        self._identities = Identities(rows, backbone, tasks, config)
        self.finished: dict[str, Outcome] = {}
        for row in rows:
            digest, outcome = self.digest(row), self._read(row)
            if outcome is not None:
                if outcome.digest != digest:
                    raise UserError(self.conflict(row))
                self.finished[row.name] = outcome

    @property
    def best_prompts(self) -> dict[str, Path]:
        """The best prompt file of each finished row."""
        return {name: self._directory.row(name) / "best.safetensors" for name in self.finished}

    def digest(self, row: Row) -> str:
        """Returns what identifies a row's result; see `Identities`."""
        return self._identities.digest(row)

    def conflict(self, row: Row) -> str:
        """Returns the message for a row whose name is taken by one with other settings."""
        return (
            f"'{self._directory.row(row.name)}' holds a prompt of the same name with other "
            "settings, data or model; give another MODEL_DIR, or delete what is there"
        )

    def save_prompt(self, row: Row, name: str, array: np.ndarray, progress: Progress) -> None:
        """Writes a prompt `[P, H]` of a row as `<name>.safetensors`."""
        prompt = files.describe(
            array,
            name=row.name,
            task=row.task,
            backbone=self._backbone.config.name,
            backbone_digest=self._backbone.digest,
            step=progress.step,
            seed=row.seed,
            init=self._provenance(row),
            metrics={"validation": progress.curve[-1][1]},
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
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
        self.save_prompt(row, "last", last, progress)
        outcome = Outcome.of(
            row,
            progress,
            metrics,
            backbone=self._backbone.config.name,
            digest=self.digest(row),
            split=scored_split(self._tasks[row.task]),
            best=files.digest(best),
        )
        write_json(self._outcome_file(row), dataclasses.asdict(outcome))
        self.finished[row.name] = outcome

    def _provenance(self, row: Row) -> str:
        """Returns how the row's prompt began: an initialiser's name, or its source's digest."""
        if row.start.after is not None:
            return self.finished[row.start.after].best
        described = row.start.describe()
        return described.get("digest", described["init"])

    def _outcome_file(self, row: Row) -> Path:
        return self._directory.row(row.name) / "row.json"

    def _read(self, row: Row) -> Outcome | None:
        """Returns a row's outcome, if it is there and its prompt is the one it names."""
        try:
            values = json.loads(self._outcome_file(row).read_text(encoding="utf-8"))
            outcome = Outcome(**values)
            prompt = files.load(self._directory.row(row.name) / "best.safetensors")
        except (OSError, ValueError, TypeError, UserError):
            return None
        return outcome if files.digest(prompt.array) == outcome.best else None
