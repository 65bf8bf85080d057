"""Compares this project with PEFT: a training step, start-up, memory and greedy generation.

    python -m benchmarks.vs_peft
    python -m benchmarks.vs_peft --dtype bfloat16 --dropout 0.1

Both sides have a T5 1.1 of the same shape with random weights, a soft prompt before the encoder's
input, Adafactor, and the same padded shapes. Each is a separate process; they take turns.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import cases, command, peer
from benchmarks.cases import Case, Task
from benchmarks.report import Cell, Report, machine
from benchmarks.workers import (
    Timing,
    Worker,
    alternate,
    cpu_seconds_each,
    ratio,
    seconds_each,
    warmed_up,
)

_NOTE = "ratio: ours / PEFT's; below 1 is better for ours, but above 1 in examples/s"


def main(words: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = command.Parser("vs_peft", __doc__)
    cases.add_flags(parser, "small")
    parser.seconds("--seconds", 4, "of a turn, roughly")
    parser.number("--turns", 5, "turns of each side")
    parser.number("--starts", 2, "starts of each side; the last is reported")
    parser.number("--generated", 64, "examples of a generation")
    peer.add_flags(parser)
    return command.run(parser, measure, words)


def measure(flags: argparse.Namespace) -> Report:
    """Measures both sides, or this project alone."""
    case = cases.from_flags(flags)
    python = peer.find(flags)
    with contextlib.ExitStack() as running:
        workers, starts = _start(case, flags, python, running)
        training = _turns(workers, "train", flags)
        generation = _turns(workers, "generate", flags)
    facts = {name: fact for worker in workers for name, fact in worker.facts.items()}
    speeds = (flags.generated / seconds_each(turns) for turns in generation)
    inverse = ratio(generation)
    lines = [
        _line("training step (s)", map(seconds_each, training), ratio(training)),
        _line("training step (CPU s)", map(cpu_seconds_each, training)),
        _line("process start to first step (s)", (each[-1] for each in starts)),
        _line("peak memory of training (MB)", (turns[-1].peak_bytes / 1e6 for turns in training)),
        _line("generation (examples/s)", speeds, None if inverse is None else 1 / inverse),
    ]
    return Report(
        "vs_peft",
        machine(facts["card"], facts.get("versions")),
        {**cases.described(case), "generated": flags.generated},
        lines,
        "PEFT: skipped, as --no_peer asks" if python is None else _NOTE,
    )


def _start(
    case: Case,
    flags: argparse.Namespace,
    python: Path | None,
    running: contextlib.ExitStack,
) -> tuple[list[Worker], list[list[float]]]:
    """Starts each side several times, one after the other; returns the last workers."""
    task = Task(case=case, rows=1, generated=flags.generated)
    together = cases.answered_together(case)
    workers: list[Worker] = []
    starts: list[list[float]] = [[] for _ in range(1 if python is None else 2)]
    for _ in range(flags.starts):
        running.close()
        workers = [running.enter_context(Worker("ours", "benchmarks.our_worker", task.to_json()))]
        if python is not None:
            theirs = peer.start(python, case, generated=flags.generated, answered_together=together)
            workers.append(running.enter_context(theirs))
        for worker, seconds in zip(workers, starts, strict=True):
            seconds.append(worker.start_seconds)
    return workers, starts


def _turns(
    workers: Sequence[Worker], activity: str, flags: argparse.Namespace
) -> list[list[Timing]]:
    sides = [warmed_up(worker, activity, flags.seconds) for worker in workers]
    return alternate(sides, flags.turns)


def _line(measure: str, values: Iterable[float], of_turns: float | None = None) -> dict[str, Cell]:
    """Returns a line of the table: the value of each side, and their ratio.

    Args:
        measure: What was measured, and its unit.
        values: Ours, then PEFT's if it was measured.
        of_turns: The median ratio over turns, if it was measured by turns.
    """
    found = list(values)
    of_medians = found[0] / found[1] if len(found) == 2 else None
    return {
        "measure": measure,
        "ours": found[0],
        "PEFT": found[1] if len(found) == 2 else None,
        "ratio": of_turns or of_medians,
    }


if __name__ == "__main__":
    sys.exit(main())
