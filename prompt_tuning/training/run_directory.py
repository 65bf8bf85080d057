"""The files of a run, under `MODEL_DIR`."""

from pathlib import Path

from prompt_tuning import storage
from prompt_tuning.types import UserError


class RunDirectory:
    """Paths under a run's directory, which is created by the first write.

    Raises:
        UserError: The directory cannot be created or written to.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()
        try:
            there = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
            storage.check_writable(there)
        except OSError as error:
            raise UserError(
                f"cannot write to MODEL_DIR '{path}': {error.strerror}; give a directory you own"
            ) from None

    @property
    def prompts(self) -> Path:
        """Directory of the rows' prompts."""
        return self.path / "prompts"

    @property
    def models(self) -> Path:
        """Directory of the rows' models, in model tuning."""
        return self.path / "models"

    @property
    def checkpoints(self) -> Path:
        """Directory of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """JSON lines, one object per logged step and per evaluation."""
        return self.path / "metrics.jsonl"

    @property
    def results(self) -> Path:
        """JSON file of the scores."""
        return self.path / "results.json"

    @property
    def report(self) -> Path:
        """Directory of tables and plots."""
        return self.path / "report"

    def check_absent(self, folder: Path) -> None:
        """Checks that the directory does not hold `folder`, of a run of the other kind.

        Raises:
            UserError: It does.
        """
        if folder.exists():
            raise UserError(
                f"MODEL_DIR '{self.path}' holds {folder.name} of another run; give another one"
            )

    def row(self, name: str) -> Path:
        """Returns the directory of one row's prompts."""
        return self.prompts / name

    def model(self, name: str) -> Path:
        """Returns the directory of one row's model, usable as a backbone."""
        return self.models / name
