"""Times a process from its start to its first finished training step, here and in PEFT.

    python -m benchmarks.start
    python -m benchmarks.start --model t5_mini --no_peer

Our side is the command `prompt-tuning train` in a fresh process, with weights in a file and data in
a CSV file. It runs once beforehand, so that its compiled programs are cached.
"""

import argparse
import csv
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import backbones, cases, command, peer
from benchmarks.cases import Case
from benchmarks.report import Cell, Report, machine
from benchmarks.workers import ROOT
from prompt_tuning.types import UserError

_EXAMPLES = 200
_SECONDS_BETWEEN_LOOKS = 0.005


def main(words: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = command.Parser("start", __doc__)
    cases.add_flags(parser, "small")
    parser.number("--starts", 5, "starts of each side")
    peer.add_flags(parser)
    return command.run(parser, measure, words)


def measure(flags: argparse.Namespace) -> Report:
    """Starts both sides in turns, or this project alone."""
    case = cases.from_flags(flags)
    python = peer.find(flags)
    with tempfile.TemporaryDirectory() as name:
        words = _prepare(case, Path(name))
        sides = [lambda: _start_ours(words, Path(name))]
        if python is not None:
            sides.append(lambda: _start_peer(case, python))
        for side in sides:
            side()
        starts = [[_timed(side) for side in sides] for _ in range(flags.starts)]
    lines = [
        _line("process start to first step (s)", [[wall for wall, _ in each] for each in starts]),
        _line("the same (CPU s)", [[cpu for _, cpu in each] for each in starts]),
    ]
    note = "PEFT: skipped, as --no_peer asks" if python is None else "ratio: ours / PEFT's"
    return Report("start", machine(), cases.described(case), lines, note)


def _prepare(case: Case, folder: Path) -> list[str]:
    """Writes weights and data into a folder; returns the command that trains on them."""
    data = folder / "digits.csv"
    _write_data(case, data)
    settings: dict[str, Any] = {
        "TASK_FILE": str(data),
        "TaskFile.inputs": "input",
        "TaskFile.label": "answer",
        "TaskFile.answers": "text",
        "TASK_FEATURE_LENGTHS": {"inputs": case.inputs, "targets": case.targets},
        "CACHE_DIR": case.cache_dir,
        "COMPUTE_DTYPE": case.dtype,
        "PARAM_DTYPE": case.dtype,
        "PROMPT_LENGTH": case.prompt,
        "DROPOUT_RATE": case.dropout,
        "BATCH_SIZE": case.batch,
        "TuneConfig.log_period": 1,
    }
    files = ["defaults.gin", "prompts/sampled_vocab.gin"]
    if case.model == "t5_mini":
        files.append("models/t5_mini.gin")
    else:
        backbones.save(case, folder / "model")
        settings["INITIAL_CHECKPOINT_PATH"] = str(folder / "model")
    return [
        *(sys.executable, "-m", "prompt_tuning.cli.main", "train"),
        *(f"--gin_file={file}" for file in files),
        *(f"--gin.{name}={value!r}" for name, value in settings.items()),
    ]


def _write_data(case: Case, path: Path) -> None:
    """Writes examples whose inputs and targets have at least as many tokens as the case."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["input", "answer"])
        for _ in range(_EXAMPLES):
            lengths = (case.inputs, case.targets)
            rows.writerow([" ".join(draw.choices("123456789", k=length)) for length in lengths])


def _start_ours(words: Sequence[str], folder: Path) -> float:
    """Runs the command until its first step is in `metrics.jsonl`; returns the seconds it took."""
    with tempfile.TemporaryDirectory(dir=folder) as name, (Path(name) / "log").open("w+") as log:
        run = Path(name) / "run"
        began = time.perf_counter()
        process = subprocess.Popen(
            [*words, f"--gin.MODEL_DIR={str(run)!r}"], stdout=log, stderr=log, cwd=ROOT
        )
        try:
            while not _has_stepped(run / "metrics.jsonl"):
                if process.poll() is not None:
                    log.seek(0)
                    said = log.read().strip().splitlines()
                    raise UserError(f"the run ended early: {said[-1] if said else 'silent'}")
                time.sleep(_SECONDS_BETWEEN_LOOKS)
            return time.perf_counter() - began
        finally:
            process.kill()
            process.wait()


def _has_stepped(metrics: Path) -> bool:
    """Returns whether a run's metrics have those of its first step."""
    if not metrics.exists():
        return False
    lines = metrics.read_text(encoding="utf-8").split("\n")[:-1]  # the last may be incomplete
    return any(json.loads(line)["kind"] == "train" for line in lines)


def _start_peer(case: Case, python: Path) -> float:
    together = cases.answered_together(case)
    with peer.start(python, case, generated=1, answered_together=together) as worker:
        return worker.start_seconds


def _timed(side: Callable[[], float]) -> tuple[float, float]:
    """Returns the seconds that a side reports, and the CPU seconds of its process."""
    before = _cpu_seconds_of_children()
    return side(), _cpu_seconds_of_children() - before


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _line(measure: str, turns: Sequence[Sequence[float]]) -> dict[str, Cell]:
    """Returns a line of the table, from each side's value in every turn."""
    medians = [statistics.median(values) for values in zip(*turns, strict=True)]
    both = len(medians) == 2
    return {
        "measure": measure,
        "ours": medians[0],
        "PEFT": medians[1] if both else None,
        "ratio": statistics.median(ours / theirs for ours, theirs in turns) if both else None,
    }


if __name__ == "__main__":
    sys.exit(main())
