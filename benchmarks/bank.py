"""Compares training N prompts at once on one frozen model with training them one after another.

    python -m benchmarks.bank
    python -m benchmarks.bank --model small --rows 1,4,16

Both sides step as a run does, from the input pipeline's batches to the previous step's metrics. One
after another, each row has the whole machine, and its time does not depend on how many wait. So a
process that trains one row stands for that side, without its start.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence

from benchmarks import cases, command
from benchmarks.cases import Case, Task
from benchmarks.report import Cell, Report, machine
from benchmarks.workers import Timing, Worker, alternate, cpu_seconds_each, warmed_up
from prompt_tuning.types import UserError


def main(words: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = command.Parser("bank", __doc__)
    cases.add_flags(parser, "t5_mini")
    parser.add_argument(
        "--rows", default="1,4,16,64", metavar="N,N", help="numbers of rows (default 1,4,16,64)"
    )
    parser.seconds("--seconds", 2, "of a turn, roughly; at least one step of all rows")
    parser.number("--starts", 2, "starts of each side, as compiling takes memory; the last counts")
    parser.number("--turns", 5, "turns of each side")
    return command.run(parser, measure, words)


def measure(flags: argparse.Namespace) -> Report:
    """Measures every number of rows against one row at a time."""
    case = cases.from_flags(flags)
    numbers = _numbers(flags.rows)
    with _worker(case, 1, flags.starts) as alone:
        one = warmed_up(alone, "train", flags.seconds)
        lines = []
        for rows in numbers:
            with _worker(case, rows, flags.starts) as together:
                sides = [warmed_up(together, "train", flags.seconds), one]
                lines.append(_line(rows, *alternate(sides, flags.turns)))
    return Report(
        "bank",
        machine(alone.facts["card"]),
        cases.described(case),
        lines,
        "1/s, CPU ms: of row-steps, updates of one row; ratio: at once / one by one, above 1 is "
        "better at once",
    )


def _worker(case: Case, rows: int, starts: int) -> Worker:
    """Returns the last of several starts of a worker, which finds its programs compiled."""
    task = Task(case=case, rows=rows, generated=1)
    for _ in range(starts - 1):
        Worker(f"{rows} rows", "benchmarks.our_worker", task.to_json()).stop()
    return Worker(f"{rows} rows", "benchmarks.our_worker", task.to_json())


def _line(rows: int, together: Sequence[Timing], alone: Sequence[Timing]) -> dict[str, Cell]:
    """Returns the line of a number of rows, from the turns of both sides."""
    of_bank = [rows * turn.count / turn.seconds for turn in together]
    of_one = [turn.count / turn.seconds for turn in alone]
    return {
        "rows": rows,
        "at once (1/s)": statistics.median(of_bank),
        "one by one (1/s)": statistics.median(of_one),
        "ratio": statistics.median(a / b for a, b in zip(of_bank, of_one, strict=True)),
        "at once (CPU ms)": 1000 * cpu_seconds_each(together) / rows,
        "one by one (CPU ms)": 1000 * cpu_seconds_each(alone),
        "at once (MB)": together[-1].peak_bytes / 1e6,
        "one by one (MB)": alone[-1].peak_bytes / 1e6,
    }


def _numbers(text: str) -> list[int]:
    try:
        return [command.positive(part) for part in text.split(",")]
    except argparse.ArgumentTypeError as error:
        raise UserError(f"--rows: {error}; give numbers such as 1,4,16") from error


if __name__ == "__main__":
    sys.exit(main())
