"""Times training on real lengths: padded to 512, to the longest of a batch, and as runs pad them.

    python -m benchmarks.lengths --data_dir ../shared/data
    python -m benchmarks.lengths --tasks glue_cola --no_peer

A few batches stand for an epoch: batches are sorted by length and cut into equal parts, and the
middle one of each part is timed.
"""

import argparse
import contextlib
import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import backbones, cases, command, ours, peer
from benchmarks.cases import Case
from benchmarks.report import Cell, Report, machine
from benchmarks.workers import ROOT, Side, Worker, alternate, seconds_each
from prompt_tuning.data.batches.padding import Positions
from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.data.cached_task import CachedSplit, in_memory
from prompt_tuning.data.datasets.catalog import DATASETS
from prompt_tuning.data.datasets.reader import Reader
from prompt_tuning.data.vocabulary import EOS_ID, Vocabulary
from prompt_tuning.models.vocabulary_file import check_vocabulary
from prompt_tuning.types import UserError, nearest

TASKS = ("super_glue_rte", "glue_cola", "glue_mrpc", "super_glue_boolq")
DATA_DIR = ROOT.parent / "shared" / "data"
OURS, LONGEST, PEFT = "ours", "to the longest", "PEFT, to the longest"
_NOTE = (
    "to the longest: of a batch; ours / this: examples/s of ours, divided by those of the line; "
    "padding: of encoder positions, prompts counted"
)
_MOST_BATCHES = 512  # to sample from


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to batch the examples of a task.

    Attributes:
        name: Its name in the table.
        shapes: The (T, L) that batches are padded to; None pads each to its longest example.
        batches: Batches that stand for an epoch.
    """

    name: str
    shapes: Sequence[tuple[int, int]] | None
    batches: Sequence[HostBatch]

    def shapes_for(self, batch: HostBatch) -> Sequence[tuple[int, int]]:
        """Returns the shapes that a batch may be padded to."""
        if self.shapes is not None:
            return self.shapes
        return [(batch.encoder_tokens.shape[1], batch.targets.shape[1])]

    def to_json(self) -> dict[str, Any]:
        """Returns what a worker reads."""
        batches = [[tokens.tolist() for tokens in batch] for batch in self.batches]
        return {"name": self.name, "shapes": self.shapes, "batches": batches}


def main(words: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = command.Parser("lengths", __doc__)
    cases.add_flags(parser, "small", sizes=["prompt"])
    parser.add_argument(
        "--data_dir",
        type=Path,
        default=DATA_DIR,
        metavar="DIRECTORY",
        help="published datasets as JSON lines (default ../shared/data beside the project)",
    )
    parser.add_argument(
        "--vocabulary",
        type=Path,
        metavar="FILE",
        help="the SentencePiece model of T5 (default t5/spiece.model in --data_dir)",
    )
    parser.add_argument(
        "--tasks", default=",".join(TASKS), metavar="NAME,NAME", help="(default %(default)s)"
    )
    parser.number("--padded_to", 512, "input tokens kept, and those of the first way")
    parser.number("--sample", 4, "batches that stand for an epoch")
    parser.number("--turns", 3, "turns of each way")
    peer.add_flags(parser)
    return command.run(parser, measure, words)


def measure(flags: argparse.Namespace) -> Report:
    """Measures all ways on every task."""
    case = cases.from_flags(flags)
    vocabulary = _vocabulary(flags, case)
    splits = {name: read(name, flags, vocabulary) for name in flags.tasks.split(",")}
    python = peer.find(flags)
    lines: list[dict[str, Cell]] = []
    facts: dict[str, Any] = {}
    for name, of_task in splits.items():
        speeds, found = _measure_task(case, flags, ways(case, flags, of_task), python)
        facts |= found
        lines += _lines(name, speeds, found["padding"])
    lines += all_tasks(lines)
    return Report(
        "lengths",
        machine(facts["card"], facts.get("versions")),
        {
            name: value
            for name, value in cases.described(case).items()
            if name not in ("inputs", "targets")
        },
        lines,
        _NOTE if python else f"{_NOTE}; PEFT: skipped, as --no_peer asks",
    )


def read(name: str, flags: argparse.Namespace, vocabulary: Vocabulary) -> list[CachedSplit]:
    """Reads and tokenizes a task: its training split, then its validation split.

    Raises:
        UserError: There is no such task, or its files are not there.
    """
    if name not in DATASETS:
        raise UserError(f"--tasks: no task {name!r}{nearest(name, DATASETS)}")
    dataset = DATASETS[name]
    if not (flags.data_dir / dataset.folder).is_dir():
        raise UserError(f"--data_dir {flags.data_dir}: no data of {name}; {dataset.files}")
    reader = Reader(dataset, str(flags.data_dir), None)
    prefix = f"{dataset.prefix} " if dataset.prefix else ""
    splits = []
    for split in ("train", "validation"):
        examples = list(reader.examples(split))
        keep = flags.padded_to - 1
        inputs = [vocabulary.encode(prefix + each["inputs"])[:keep] for each in examples]
        targets = [vocabulary.encode(each["targets"])[:keep] for each in examples]
        splits.append(
            in_memory([[*ids, EOS_ID] for ids in inputs], [[*ids, EOS_ID] for ids in targets])
        )
    return splits


def ways(case: Case, flags: argparse.Namespace, splits: Sequence[CachedSplit]) -> list[Way]:
    """Returns the ways to batch the training examples of a task, ours last."""
    training = splits[0]
    count = min(_MOST_BATCHES, max(1, len(training) // case.batch))
    order = np.random.default_rng(0).permutation(len(training))
    order = np.resize(order, (count, case.batch))  # a set below one batch repeats
    longest = [_padded(training, rows) for rows in order]
    sample = representative(longest, flags.sample)
    full = (flags.padded_to, int(training.targets.lengths.max()))
    shapes = cases.shapes_of(case, splits)
    batches = ours.batches(case, training, shapes, seed=0)
    own = representative([batches.next() for _ in range(count)], flags.sample)
    return [
        # Every batch costs the same here.
        Way(f"to {flags.padded_to}", [full], [_padded(training, order[0], full)]),
        Way(LONGEST, None, sample),
        Way(OURS, shapes, own),
    ]


def representative(batches: Sequence[HostBatch], count: int) -> list[HostBatch]:
    """Returns `count` batches that stand for all: sorted by length, the middle one of each part."""
    ranked = sorted(batches, key=lambda batch: (batch.encoder_tokens.size, batch.targets.size))
    parts = np.array_split(np.arange(len(ranked)), min(count, len(ranked)))
    return [ranked[part[len(part) // 2]] for part in parts]


def all_tasks(lines: Sequence[Mapping[str, Cell]]) -> list[dict[str, Cell]]:
    """Returns a line for each way over all tasks, with as many examples of each: harmonic means."""
    speeds: dict[str, list[float]] = {}
    for line in lines:
        speed = line["examples/s"]
        assert isinstance(speed, float)
        speeds.setdefault(str(line["padded"]), []).append(speed)
    means = {way: statistics.harmonic_mean(of_way) for way, of_way in speeds.items()}
    return [
        {
            "task": "all, equal parts",
            "padded": way,
            "examples/s": mean,
            "ours / this": means[OURS] / mean,
            "padding (%)": None,
        }
        for way, mean in means.items()
    ]


def _padded(
    split: CachedSplit, rows: np.ndarray, shape: tuple[int, int] | None = None
) -> HostBatch:
    """Returns examples padded to a shape, or to the longest of them."""
    inputs, targets = split.inputs.lengths[rows].max(), split.targets.lengths[rows].max()
    width, length = shape or (int(inputs), int(targets))
    padded = split.inputs.padded(rows, width), split.targets.padded(rows, length)
    return HostBatch(*padded, part=np.zeros(len(rows), np.int32))


def _measure_task(
    case: Case, flags: argparse.Namespace, of_task: Sequence[Way], python: Path | None
) -> tuple[dict[str, float], dict[str, Any]]:
    """Returns the examples/s of every way, and the facts that workers reported."""
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        file = folder / "ways.json"
        file.write_text(json.dumps([way.to_json() for way in of_task]), encoding="utf-8")
        settings = {"case": dataclasses.asdict(case), "ways_file": str(file)}
        mine = running.enter_context(Worker("ours", "benchmarks.lengths_worker", settings))
        sides = {way.name: Side(mine, way.name, 1) for way in of_task}
        examples = {way.name: case.batch * len(way.batches) for way in of_task}
        facts = dict(mine.facts)
        if python is not None:
            longest = next(way for way in of_task if way.name == LONGEST)
            theirs = running.enter_context(_peer(case, longest, python, folder))
            sides[PEFT] = Side(theirs, "train", len(longest.batches))
            examples[PEFT] = examples[LONGEST]
            facts |= {"versions": theirs.facts["versions"]}
            facts["padding"] = {**facts["padding"], PEFT: facts["padding"][LONGEST]}
        for side in sides.values():
            side.turn()  # warms up
        timings = alternate(list(sides.values()), flags.turns)
    speeds = {
        name: examples[name] / seconds_each([dataclasses.replace(turn, count=1) for turn in turns])
        for name, turns in zip(sides, timings, strict=True)
    }
    return speeds, facts


def _peer(case: Case, way: Way, python: Path, folder: Path) -> Worker:
    file = folder / "peer.json"
    batches = [tokens_and_targets[:2] for tokens_and_targets in way.to_json()["batches"]]
    file.write_text(json.dumps(batches), encoding="utf-8")
    return peer.start(python, case, generated=1, answered_together=1, batches_file=file)


def _lines(
    task: str, speeds: Mapping[str, float], padding: Mapping[str, Sequence[int]]
) -> list[dict[str, Cell]]:
    """Returns the lines of a task, ours last."""
    names = sorted(speeds, key=lambda name: name == OURS)
    return [
        _line(task, name, speeds[name], speeds[OURS], Positions(*padding[name])) for name in names
    ]


def _line(task: str, way: str, speed: float, own: float, positions: Positions) -> dict[str, Cell]:
    return {
        "task": task,
        "padded": way,
        "examples/s": speed,
        "ours / this": own / speed,
        "padding (%)": 100 * positions.padding_share,
    }


def _vocabulary(flags: argparse.Namespace, case: Case) -> Vocabulary:
    if not flags.data_dir.is_dir():
        raise UserError(
            f"--data_dir {flags.data_dir} is not a directory; give one with the datasets"
        )
    path = flags.vocabulary or flags.data_dir / "t5" / "spiece.model"
    return Vocabulary(path, check_vocabulary(path, backbones.model_config(case).vocab_size, None))


if __name__ == "__main__":
    sys.exit(main())
