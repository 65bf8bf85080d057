"""Results of finished rows, stored as `row.json`, and the digests that identify them."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prompt_tuning.data.metrics import metric_label
from prompt_tuning.storage import write_json
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.run import Run
from prompt_tuning.types import UserError

_FORMAT = 3
_NO_EFFECT = (
    *("eval_batch_size", "log_period", "checkpoint_period"),
    *("slots", "microbatch_positions", "remat"),
)
"""Settings that change results by rounding at most, and are left out of digests."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowResult:
    """The result of a finished row, as stored in `row.json`.

    Attributes:
        row: The row as a JSON object.
        backbone: Name of the pretrained model.
        digest: Digest of the row's settings, task and model.
        curve: `[step, validation score]` of each evaluation.
        step: Step of the checkpoint best on validation.
        validation: Validation score of that checkpoint, 0-100.
        split: The split it was scored on: `test`, or `validation` where test labels are not public.
        score: Its score there, 0-100.
        metrics: Its metrics there.
        seconds: Wall time in training; rows trained together share it.
        stopped: Why the row stopped early, or None.
        best: Digest of the saved best: of the prompt in `best.safetensors`, or of the embedding
            table of the model.
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

    def record(self) -> dict[str, Any]:
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


class ResultStore(Mapping[str, RowResult]):
    """Maps the name of each finished row of a run to its result.

    A row is finished if its directory holds `row.json` and the best whose digest that records.

    Args:
        rows: The rows of the run.
        run: The run.
        folder: Returns the directory of a row, by its name.
        digest_best: Returns the digest of the saved best in such a directory; raises `OSError`,
            `ValueError` or `UserError` if it is damaged.

    Raises:
        UserError: The directory holds a finished row of the same name with other settings, or a
            row starts from one that does not exist, or from itself.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        run: Run,
        *,
        folder: Callable[[str], Path],
        digest_best: Callable[[Path], str],
    ):
        self._run = run
        self._rows = {row.name: row for row in rows}
        self._shared = _shared_settings(run)
        self._digests: dict[str, str] = {}
        self._folder = folder
        self._digest_best = digest_best
        self._results: dict[str, RowResult] = {}
        for row in rows:
            self.digest(row)  # Refuses cycles, whether or not the row is finished.
            result = self._read(folder(row.name))
            if result is not None:
                self.check(row, result.digest)
                self._results[row.name] = result

    def __getitem__(self, name: str) -> RowResult:
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def digest(self, row: Row) -> str:
        """Returns the digest of a row's settings, task, model and source.

        Raises:
            UserError: The row starts from one that does not exist, or from itself.
        """
        if row.name not in self._digests:
            self._digests[row.name] = "waiting"
            source = None
            if row.start.after is not None:
                if row.start.after not in self._rows:
                    raise UserError(f"row '{row.name}' starts from unknown row '{row.start.after}'")
                source = self.digest(self._rows[row.start.after])
                if source == "waiting":
                    raise UserError(f"row '{row.name}' starts from itself; give it another start")
            context = [_FORMAT, self._run.tasks[row.task].digest, self._shared, source]
            self._digests[row.name] = row.digest(json.dumps(context))
        return self._digests[row.name]

    def check(self, row: Row, digest: str) -> None:
        """Checks that files saved under a row's name and with a digest belong to this row.

        Raises:
            UserError: They belong to a row with other settings.
        """
        if digest != self.digest(row):
            raise UserError(
                f"'{self._folder(row.name)}' is of a row of the same name with other settings, "
                "data or model; give another MODEL_DIR, or delete that directory"
            )

    def add(
        self, row: Row, progress: Progress, metrics: dict[str, float], *, folder: Path, best: str
    ) -> None:
        """Writes a row's `row.json`.

        Args:
            row: A row that has ended.
            progress: Its progress, evaluated at least once.
            metrics: Metrics of its best checkpoint on the scored split, and their mean as `score`.
            folder: Where to write it: the row's directory, or one that will be moved there.
            best: Digest of the saved best.
        """
        assert progress.best_step is not None and progress.best_score is not None
        result = RowResult(
            row=row.describe(),
            backbone=self._run.model.name,
            digest=self.digest(row),
            curve=progress.curve,
            step=progress.best_step,
            validation=progress.best_score,
            split=self._run.tasks[row.task].scored_split,
            score=metrics["score"],
            metrics={name: value for name, value in metrics.items() if name != "score"},
            seconds=progress.seconds,
            stopped=progress.stopped,
            best=best,
        )
        write_json(folder / "row.json", dataclasses.asdict(result))
        self._results[row.name] = result

    def reopen(self, row: Row) -> None:
        """Marks a row as not finished."""
        self._results.pop(row.name, None)

    def _read(self, folder: Path) -> RowResult | None:
        """Returns the result in a directory, or None unless its best is there too."""
        try:
            result = RowResult(**json.loads((folder / "row.json").read_text(encoding="utf-8")))
            best = self._digest_best(folder)
        except (OSError, ValueError, TypeError, UserError):
            return None
        return result if best == result.best else None


def _shared_settings(run: Run) -> dict[str, Any]:
    """Returns the model and the settings that the results of all rows depend on."""
    config, backbone = run.config, run.model.backbone
    shared = {name: value for name, value in vars(config).items() if name not in _NO_EFFECT}
    return {
        **shared,
        "placement": config.placement_name,
        "parameterization": config.parameterization.describe(),
        "step": dataclasses.asdict(config.step),
        "model": [dataclasses.asdict(backbone.config), run.model.digest, backbone.param_dtype],
    }
