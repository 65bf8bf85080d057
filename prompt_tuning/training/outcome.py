"""The result of a row whose training ended."""

import dataclasses
from typing import Any

from prompt_tuning.data.metrics import metric_label
from prompt_tuning.training.rows import Progress, Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """Holds a finished row's result, as `row.json` keeps it.

    Attributes:
        row: The row as a JSON object.
        backbone: Name of the pretrained model.
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
            backbone: Name of the pretrained model.
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
