"""`prompt-tuning tasks`: lists the tasks and mixtures that there are."""

import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from prompt_tuning.analysis.table import Column, Line, Table, rendered, table_width
from prompt_tuning.cli.flags import Parser
from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES
from prompt_tuning.data.datasets.dataset import HELD_BACK, LEADERBOARD, UNPREFIXED, Dataset
from prompt_tuning.mini import suite
from prompt_tuning.types import UserError, nearest

_EXAMPLES = """\
examples:
  prompt-tuning tasks                      all of them
  prompt-tuning tasks glue                 those of GLUE and SuperGLUE
  prompt-tuning tasks spot_nli             a mixture, and the tasks in it
  prompt-tuning tasks su sentiment         those of Su et al. about sentiment
  prompt-tuning tasks --data_dir=data cr   where a task's files are, or have to be"""

_PAPERS = ("lester", "spot", "su")
_SPLITS = ("train", "validation", "test")
_PIPED_WIDTH = 200  # a task a line, for grep
_FILES_OF = 3  # of how many tasks at most it is told how to get their files


class _Mixture(NamedTuple):
    """A line of the list of mixtures."""

    name: str
    members: Sequence[str]
    papers: Sequence[str]


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A line of the list of tasks; `files` is what to do for its files."""

    name: str
    family: str
    examples: str
    metrics: str
    source: str
    papers: Sequence[str]
    files: str = ""
    about: str = ""

    def texts(self, mixtures: Iterable[_Mixture]) -> list[str]:
        """Returns the texts that words are looked for in, besides the papers."""
        texts = [self.name, self.family, self.metrics, self.source, self.about]
        return texts + [each.name for each in mixtures if self.name in each.members]


def tasks(words: Sequence[str]) -> None:
    """Prints the tasks and mixtures that match all of some words.

    Args:
        words: What follows the command's name: words to look for, and flags.

    Raises:
        UserError: A flag is wrong, or nothing matches.
    """
    parser = Parser(
        prog="prompt-tuning tasks",
        description="Lists tasks and mixtures; takes words to look for, and no gin file.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="word",
        help="a paper (Lester, SPoT, Su), or a part of a task's name, family, metrics or source, "
        "or of the name of a mixture that the task is in; with several, each has to be found",
    )
    parser.add_argument(
        "--data_dir",
        metavar="DIRECTORY",
        help="shows which tasks have their files there, as DATA_DIR of the other commands",
    )
    flags = parser.parse_words(words)
    if flags is None:
        return
    if flags.data_dir and not Path(flags.data_dir).is_dir():
        raise UserError(f"--data_dir={flags.data_dir} is no directory; name one, or leave it out")
    mixtures = [_Mixture(each.name, each.members, each.papers) for each in MIXTURES.values()]
    mixtures += [_Mixture(name, members, ()) for name, members in suite.MIXTURES.items()]
    entries = [*_published(flags.data_dir), *_mini()]
    found = [entry for entry in entries if _has(flags.words, entry.texts(mixtures), entry.papers)]
    mixed = [each for each in mixtures if _has(flags.words, [each.name], each.papers)]
    if not found and not mixed:
        names = {each.name for each in (*entries, *mixtures)} | {each.family for each in entries}
        raise UserError(
            f"no task or mixture has {' and '.join(flags.words)}{nearest(flags.words[0], names)}; "
            "prompt-tuning tasks lists all"
        )
    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)
    if found:
        table = _task_table(found, stacked=False)
        narrow = table_width(table) > console.width
        console.print(rendered(_task_table(found, stacked=True) if narrow else table))
    if mixed:
        console.print(rendered(_mixture_table(mixed)))
    if len(found) <= _FILES_OF:
        for entry in found:
            if entry.files:
                console.print(f"{entry.name}: {entry.files}", markup=False)


def _published(data_dir: str | None) -> Iterator[_Entry]:
    for dataset in DATASETS.values():
        folder = Path(data_dir, dataset.folder) if data_dir else None
        there = folder is not None and folder.is_dir()
        source = f"TFDS {dataset.tfds}" if dataset.tfds else "files"
        yield _Entry(
            dataset.name if dataset.splits else dataset.name + LEADERBOARD,
            dataset.family,
            _examples(dataset),
            ", ".join(map(_name, dataset.metrics)),
            str(folder) if there else source,
            dataset.papers,
            "" if there or not dataset.obtain else dataset.files,
        )


def _mini() -> Iterator[_Entry]:
    for task in suite.SUITE.values():
        examples = " / ".join(f"{task.sizes[split]:,}" for split in _SPLITS)
        yield _Entry(
            task.name, "mini suite", examples, task.metric, "shipped", (), about=task.family
        )


def _examples(dataset: Dataset) -> str:
    """Returns how many examples each split has; a star for labels that are held back."""
    parts = []
    for split in _SPLITS:
        mark = ""
        if split == "test" and split not in dataset.splits and dataset.leaderboard:
            split, mark = HELD_BACK, "*"
        size = dataset.sizes.get(split)
        there = mark or split in dataset.splits
        parts.append("-" if not there else f"{size:,}{mark}" if size is not None else f"?{mark}")
    return " / ".join(parts)


def _name(metric: Callable[..., Any]) -> str:
    return getattr(metric, "func", metric).__name__


def _has(words: Iterable[str], texts: Sequence[str], papers: Iterable[str]) -> bool:
    """Returns whether each word is a paper's name, or part of a text."""
    of_papers = {paper.lower() for paper in papers}
    return all(
        word in of_papers if word in _PAPERS else any(word in text.lower() for text in texts)
        for word in map(str.lower, words)
    )


def _task_table(entries: Sequence[_Entry], *, stacked: bool) -> Table:
    """Returns the table of tasks; a stacked one has two lines for each, and is half as wide."""
    names = ["task", " / ".join(_SPLITS), "metrics", "source", "papers"]
    lines = []
    for family, members in itertools.groupby(entries, key=lambda entry: entry.family):
        lines.append(Line((family, *("" for _ in range(2 if stacked else 4))), strong=True))
        for each in members:
            papers = ", ".join(each.papers)
            cells = (each.name, each.examples, each.metrics, each.source, papers)
            lines.append(Line(_stacked(cells) if stacked else cells))
    notes = {
        "": "Every task and mixture but the mini suite's is there without its task prefix too, as "
        f"NAME{UNPREFIXED}.",
        "?": "?: not known beforehand.",
        "*": f"*: without public labels; the task with this split is NAME{LEADERBOARD}.",
    }
    shown = " ".join(each.examples for each in entries)
    return Table(
        [Column(name) for name in (_stacked(names) if stacked else names)],
        lines,
        note="\n".join(note for mark, note in notes.items() if mark in shown) + "\n",
    )


def _stacked(cells: Sequence[str]) -> tuple[str, str, str]:
    name, examples, metrics, source, papers = cells
    return f"{name}\n  {source.removeprefix('TFDS ')}", f"{examples}\n  {metrics}", papers


def _mixture_table(mixtures: Sequence[_Mixture]) -> Table:
    lines = [
        Line((each.name, ", ".join(each.members), ", ".join(each.papers))) for each in mixtures
    ]
    return Table([Column("mixture"), Column("tasks"), Column("papers")], lines)
