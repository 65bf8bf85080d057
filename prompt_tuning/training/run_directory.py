"""The files a run leaves under `MODEL_DIR`."""

from pathlib import Path

from prompt_tuning import storage
from prompt_tuning.types import UserError


class RunDirectory:
    """Gives the paths under a run's directory. What is written first makes the directory.

    Raises:
        UserError: If the directory cannot be made or written to.
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
        """Directory of the rows' models, where models are tuned."""
        return self.path / "models"

    @property
    def checkpoints(self) -> Path:
        """Directory of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """One JSON object per logged step and per evaluation."""
        return self.path / "metrics.jsonl"

    @property
    def results(self) -> Path:
        """The scores, machine-readable."""
        return self.path / "results.json"

    @property
    def report(self) -> Path:
        """Directory of tables and plots."""
        return self.path / "report"

    def check_free_of(self, folder: Path) -> None:
        """Checks that the directory is not of a run that leaves `folder`.

        Raises:
            UserError: It is.
        """
        if folder.exists():
            raise UserError(
                f"MODEL_DIR '{self.path}' holds {folder.name} of another run; give another one"
            )

    def row(self, name: str) -> Path:
        """Returns the directory of one row's prompts."""
        return self.prompts / name

    def model(self, name: str) -> Path:
        """Returns the directory of one row's model, a backbone to start from."""
        return self.models / name
