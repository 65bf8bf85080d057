"""Parsers of command lines, which report a wrong flag as a UserError."""

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

from prompt_tuning.types import UserError, nearest


class RunFlags(NamedTuple):
    """Settings of a run from the command line, besides gin's.

    Attributes:
        dry_run: Whether to only print what the run needs.
        tfds_data_dir: Directory of TensorFlow Datasets.
        operative_config: The resolved configuration as a gin file, to save with the run.
    """

    dry_run: bool
    tfds_data_dir: str | None
    operative_config: str


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises a UserError, and prints descriptions without reflowing them.

    Args:
        settings: Arguments of `argparse.ArgumentParser`.
    """

    def __init__(self, **settings: Any):
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings
        )

    def parse_words(self, words: Sequence[str]) -> argparse.Namespace | None:
        """Parses a command line; prints the help and returns None if it asks for help.

        Raises:
            UserError: A flag is unknown or lacks its value, or an argument is missing.
        """
        try:
            return self.parse_args(words)
        except SystemExit:  # argparse exits only after printing help: `error` raises.
            return None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses all words, also those of a subcommand; raises if one is unknown."""
        flags, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            known = [option for action in self._actions for option in action.option_strings]
            self.error(f"unknown argument {flag!r}{nearest(flag, known)}")
        return flags, unknown

    def error(self, message: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Raises a UserError instead of exiting."""
        raise UserError(f"{message}; see {self.prog} --help")


def parse_gin_flags(name: str, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parses the flags of the command `name`.

    Returns:
        The flags (only `help` if the words ask for help), and the `NAME=VALUE` of every
        `--gin.NAME=VALUE`.
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
