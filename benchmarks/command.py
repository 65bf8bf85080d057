"""The command line of a benchmark: flags, a report, and one-line errors."""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.report import Report
from prompt_tuning.cli.flags import Parser as FlagParser
from prompt_tuning.types import UserError


class Parser(FlagParser):
    """Parses the flags of a benchmark.

    Args:
        name: The benchmark's module.
        description: What it measures, for `--help`.
    """

    def __init__(self, name: str, description: str | None):
        super().__init__(prog=f"python -m benchmarks.{name}", description=description)

    def number(self, flag: str, default: int, meaning: str) -> None:
        """Adds a flag for a positive whole number."""
        self.add_argument(
            flag,
            type=positive,
            default=default,
            metavar="N",
            help=f"{meaning} (default {default})",
        )

    def seconds(self, flag: str, default: float, meaning: str) -> None:
        """Adds a flag for a positive number of seconds."""
        self.add_argument(
            flag,
            type=_seconds,
            default=default,
            metavar="SECONDS",
            help=f"{meaning} (default {default:g})",
        )


def run(
    parser: Parser,
    measure: Callable[[argparse.Namespace], Report],
    words: Sequence[str] | None = None,
) -> int:
    """Runs a benchmark, prints its table, and returns the exit status: 2 for bad input.

    Args:
        parser: Its flags, to which `--output` is added.
        measure: Does the work.
        words: The command line; None takes the process's.
    """
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write JSON there")
    try:
        flags = parser.parse_args(words)
        if flags.output is not None and not flags.output.parent.is_dir():
            raise UserError(f"--output: {flags.output.parent} is not a directory; make it first")
        report = measure(flags)
        report.show(Console())
        if flags.output is not None:
            report.write(flags.output)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def positive(text: str) -> int:
    """Reads a positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value
