"""The flags of commands; one that is wrong is told in a line."""

import argparse
from collections.abc import Sequence

from prompt_tuning.types import UserError, nearest


class Parser(argparse.ArgumentParser):
    """Parses the words after a command's name.

    Args:
        command: The command.
    """

    def __init__(self, command: str):
        super().__init__(prog=f"prompt-tuning {command}", add_help=False, allow_abbrev=False)
        self.add_argument("-h", "--help", action="store_true")

    def flags(self, words: Sequence[str]) -> argparse.Namespace:
        """Parses all words; where one asks for help, nothing else matters, and only `help` is set.

        Raises:
            UserError: A flag is unknown or lacks its value, or a word is missing.
        """
        if not {"-h", "--help"}.isdisjoint(words):
            return argparse.Namespace(help=True)
        flags, unknown = self.parse_known_args(words)
        if unknown:
            flag = unknown[0].partition("=")[0]
            known = [option for action in self._actions for option in action.option_strings]
            raise UserError(f"unknown argument {flag!r}{nearest(flag, known)}; see {self._help}")
        return flags

    def error(self, message: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Raises a UserError in place of leaving."""
        raise UserError(f"{message}; see {self._help}")

    @property
    def _help(self) -> str:
        return f"{self.prog} --help"


def of_gin_command(name: str, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Returns T5X's flags and our own, and the `NAME=VALUE` of every `--gin.NAME=VALUE`."""
    parser = Parser(name)
    parser.add_argument("--gin_file", action="append", default=[], metavar="FILE")
    parser.add_argument("--gin_search_paths", action="append", default=[], metavar="DIRECTORIES")
    parser.add_argument("--tfds_data_dir", metavar="DIRECTORY")
    parser.add_argument("--library", metavar="DIRECTORY")
    parser.add_argument("--dry_run", action="store_true")
    bindings = [word.removeprefix("--gin.") for word in words if word.startswith("--gin.")]
    return parser.flags([word for word in words if not word.startswith("--gin.")]), bindings
