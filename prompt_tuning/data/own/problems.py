"""What is wrong with the rows of a file, gathered so that one message tells of them all."""

from pathlib import Path

from prompt_tuning.types import UserError

_SHOWN = 3


class Problems:
    """Gathers what is wrong with the rows of a file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path):
        self._path = path
        self._found: dict[int, str] = {}

    def add(self, line: int, what: str) -> None:
        """Notes what is wrong with the row that begins on a line; the first note counts."""
        self._found.setdefault(line, what)

    def check(self) -> None:
        """Raises if anything is wrong.

        Raises:
            UserError: It names the first rows with their lines, and how many more there are.
        """
        if not self._found:
            return
        (first, what), *others = self._found.items()
        parts = [f"{self._path}:{first}: {what}"]
        parts += [f"line {line}: {what}" for line, what in others[: _SHOWN - 1]]
        if len(others) >= _SHOWN:
            parts.append(f"and {len(others) - _SHOWN + 1:,} more rows")
        raise UserError(f"{'; '.join(parts)}; mend or remove {'them' if others else 'it'}")
