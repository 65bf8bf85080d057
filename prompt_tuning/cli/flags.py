"""The flags of commands; one that is wrong is told in a line."""

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

from prompt_tuning.types import UserError, nearest


class RunFlags(NamedTuple):
    """What the command line sets of a run beside gin.

    Attributes:
        dry_run: Whether to print what the run needs, and stop.
        tfds_data_dir: Where TensorFlow Datasets are kept.
        operative_config: The resolved configuration, kept in the run's directory.
    """

    dry_run: bool
    tfds_data_dir: str | None
    operative_config: str


class Parser(argparse.ArgumentParser):
    """Parses the words after a command's name; raises a UserError where they are wrong.

    Its descriptions and epilogs are printed as they are written.

    Args:
        settings: As of `argparse.ArgumentParser`.
    """

    def __init__(self, **settings: Any):
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings
        )

    def flags(self, words: Sequence[str]) -> argparse.Namespace | None:
        """Parses all words; where they ask for help, prints it and returns None.

        Raises:
            UserError: A flag is unknown or lacks its value, or a word is missing.
        """
        try:
            return self.parse_args(words)
        except SystemExit:  # argparse leaves after it has printed help, and then alone.
            return None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses all words, also those of a subcommand; none may be unknown."""
        flags, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            known = [option for action in self._actions for option in action.option_strings]
            self.error(f"unknown argument {flag!r}{nearest(flag, known)}")
        return flags, unknown

    def error(self, message: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Raises a UserError in place of leaving."""
        raise UserError(f"{message}; see {self.prog} --help")


def of_gin_command(name: str, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Returns T5X's flags and our own, and the `NAME=VALUE` of every `--gin.NAME=VALUE`.

    Where the words ask for help, nothing else matters, and only `help` is set.
    """
    if not {"-h", "--help"}.isdisjoint(words):
        return argparse.Namespace(help=True), []
    parser = Parser(prog=f"prompt-tuning {name}", add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--gin_file", action="append", default=[], metavar="FILE")
    parser.add_argument("--gin_search_paths", action="append", default=[], metavar="DIRECTORIES")
    parser.add_argument("--tfds_data_dir", metavar="DIRECTORY")
    parser.add_argument("--library", metavar="DIRECTORY")
    parser.add_argument("--dry_run", action="store_true")
    bindings = [word.removeprefix("--gin.") for word in words if word.startswith("--gin.")]
    rest = [word for word in words if not word.startswith("--gin.")]
    return parser.parse_args(rest), bindings
