"""Which rows of a run are finished, by the `row.json` that each of them leaves."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from prompt_tuning.data.cached_task import scored_split
from prompt_tuning.storage import write_json
from prompt_tuning.training.config import ModelTuneConfig, TuneConfig
from prompt_tuning.training.identity import Identities
from prompt_tuning.training.outcome import Outcome
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.work import Work
from prompt_tuning.types import UserError


class FinishedRows(Mapping[str, Outcome]):
    """Maps the name of each finished row of a run to its outcome.

    A row is finished where its directory holds `row.json`, and what that names as its best.

    Args:
        rows: The rows of the run.
        work: What they are trained with.
        config: Settings that all rows share.
        place: Gives a row's directory by its name.
        best: Digests what is kept of the best checkpoint in such a directory; raises `OSError`,
            `ValueError` or `UserError` where that is not sound.
        holding: What the directory does for a row, in the message that it is another's.

    Raises:
        UserError: The directory holds a finished row of the same name with other settings, or a
            row waits for one that is not there, or for itself.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        work: Work,
        config: TuneConfig | ModelTuneConfig,
        *,
        place: Callable[[str], Path],
        best: Callable[[Path], str],
        holding: str,
    ):
        self._work = work
        self._identities = Identities(rows, work.backbone, work.tasks, config)
        self._place = place
        self._best = best
        self._holding = holding
        self._outcomes: dict[str, Outcome] = {}
        for row in rows:
            self.digest(row)  # A row that waits for itself is refused, finished or not.
            outcome = self._read(place(row.name))
            if outcome is not None:
                self.check(row, outcome.digest)
                self._outcomes[row.name] = outcome

    def __getitem__(self, name: str) -> Outcome:
        return self._outcomes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outcomes)

    def __len__(self) -> int:
        return len(self._outcomes)

    def digest(self, row: Row) -> str:
        """Returns what identifies a row's result; see `Identities`."""
        return self._identities.digest(row)

    def check(self, row: Row, digest: str) -> None:
        """Checks that what was kept with a digest, under a row's name, is of this row.

        Raises:
            UserError: It is of one with other settings.
        """
        if digest != self.digest(row):
            raise UserError(
                f"'{self._place(row.name)}' {self._holding} of the same name with other "
                "settings, data or model; give another MODEL_DIR, or delete what is there"
            )

    def add(
        self, row: Row, progress: Progress, metrics: dict[str, float], *, folder: Path, best: str
    ) -> None:
        """Writes a row's `row.json`.

        Args:
            row: The row, whose training ended.
            progress: Its progress, evaluated at least once.
            metrics: Metrics of its best checkpoint on the scored split, and their mean as `score`.
            folder: Where to write it: the row's directory, or what will be moved there.
            best: Digest of what is kept of the best checkpoint.
        """
        outcome = Outcome.of(
            row,
            progress,
            metrics,
            backbone=self._work.backbone.config.name,
            digest=self.digest(row),
            split=scored_split(self._work.tasks[row.task]),
            best=best,
        )
        write_json(folder / "row.json", dataclasses.asdict(outcome))
        self._outcomes[row.name] = outcome

    def reopen(self, row: Row) -> None:
        """Counts a row as not finished, if it was."""
        self._outcomes.pop(row.name, None)

    def _read(self, folder: Path) -> Outcome | None:
        """Returns the outcome in a directory, if it is there with the best that it names."""
        try:
            outcome = Outcome(**json.loads((folder / "row.json").read_text(encoding="utf-8")))
            best = self._best(folder)
        except (OSError, ValueError, TypeError, UserError):
            return None
        return outcome if best == outcome.best else None
