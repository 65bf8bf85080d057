"""`prompt-tuning tasks`: lists tasks and mixtures."""

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
  prompt-tuning tasks                      all tasks and mixtures
  prompt-tuning tasks glue                 those of GLUE and SuperGLUE
  prompt-tuning tasks spot_nli             a mixture and its tasks
  prompt-tuning tasks su sentiment         the sentiment tasks of Su et al.
  prompt-tuning tasks --data_dir=data cr   where a task's files are, or belong"""

_PAPERS = ("lester", "spot", "su")
_SPLITS = ("train", "validation", "test")
_PIPED_WIDTH = 200  # one line per task, for grep
_MOST_WITH_FILES = 3  # list where to get the files of at most this many tasks


class _Mixture(NamedTuple):
    """A line of the table of mixtures."""

    name: str
    members: Sequence[str]
    papers: Sequence[str]


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A line of the table of tasks; `files` says how to get its files."""

    name: str
    family: str
    examples: str
    metrics: str
    source: str
    papers: Sequence[str]
    files: str = ""
    about: str = ""

    def texts(self, mixtures: Iterable[_Mixture]) -> list[str]:
        """Returns the texts to search, besides the papers."""
        texts = [self.name, self.family, self.metrics, self.source, self.about]
        return texts + [mixture.name for mixture in mixtures if self.name in mixture.members]


def tasks(words: Sequence[str]) -> None:
    """Prints the tasks and mixtures that match all search words.

    Args:
        words: The words after the command's name: search words and flags.

    Raises:
        UserError: A flag is wrong, or nothing matches.
    """
    parser = Parser(
        prog="prompt-tuning tasks",
        description="Lists tasks and mixtures; takes search words, and no gin file.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="word",
        help="a paper (Lester, SPoT, Su), or a part of a task's name, family, metrics or source, "
        "or of the name of a mixture that has the task; a task must match all words",
    )
    parser.add_argument(
        "--data_dir",
        metavar="DIRECTORY",
        help="shows which tasks have their files there (DATA_DIR of the other commands)",
    )
    flags = parser.parse_words(words)
    if flags is None:
        return
    if flags.data_dir and not Path(flags.data_dir).is_dir():
        raise UserError(f"--data_dir={flags.data_dir} is not a directory; correct or omit it")
    all_tasks = [*_published_tasks(flags.data_dir), *_mini_tasks()]
    all_mixtures = [_Mixture(each.name, each.members, each.papers) for each in MIXTURES.values()]
    all_mixtures += [_Mixture(name, members, ()) for name, members in suite.MIXTURES.items()]
    tasks = [
        task for task in all_tasks if _matches(flags.words, task.texts(all_mixtures), task.papers)
    ]
    mixtures = [each for each in all_mixtures if _matches(flags.words, [each.name], each.papers)]
    if not tasks and not mixtures:
        names = {each.name for each in (*all_tasks, *all_mixtures)}
        names |= {task.family for task in all_tasks}
        raise UserError(
            f"no task or mixture matches {' and '.join(flags.words)}"
            f"{nearest(flags.words[0], names)}; prompt-tuning tasks lists all"
        )
    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)
    if tasks:
        table = _task_table(tasks, stacked=False)
        if table_width(table) > console.width:
            table = _task_table(tasks, stacked=True)
        console.print(rendered(table))
    if mixtures:
        console.print(rendered(_mixture_table(mixtures)))
    if len(tasks) <= _MOST_WITH_FILES:
        for task in tasks:
            if task.files:
                console.print(f"{task.name}: {task.files}", markup=False)


def _published_tasks(data_dir: str | None) -> Iterator[_Entry]:
    for dataset in DATASETS.values():
        folder = Path(data_dir, dataset.folder) if data_dir else None
        there = folder is not None and folder.is_dir()
        source = f"TFDS {dataset.tfds}" if dataset.tfds else "files"
        yield _Entry(
            dataset.name if dataset.splits else dataset.name + LEADERBOARD,
            dataset.family,
            _examples(dataset),
            ", ".join(map(_metric_name, dataset.metrics)),
            str(folder) if there else source,
            dataset.papers,
            "" if there or not dataset.obtain else dataset.files,
        )


def _mini_tasks() -> Iterator[_Entry]:
    for task in suite.SUITE.values():
        examples = " / ".join(f"{task.sizes[split]:,}" for split in _SPLITS)
        yield _Entry(
            task.name, "mini suite", examples, task.metric, "shipped", (), about=task.family
        )


def _examples(dataset: Dataset) -> str:
    """Returns the number of examples of each split; `*` marks a split without public labels."""
    parts = []
    for split in _SPLITS:
        mark = ""
        if split == "test" and split not in dataset.splits and dataset.leaderboard:
            split, mark = HELD_BACK, "*"
        size = dataset.sizes.get(split)
        there = mark or split in dataset.splits
        parts.append("-" if not there else f"{size:,}{mark}" if size is not None else f"?{mark}")
    return " / ".join(parts)


def _metric_name(metric: Callable[..., Any]) -> str:
    return getattr(metric, "func", metric).__name__


def _matches(words: Iterable[str], texts: Sequence[str], papers: Iterable[str]) -> bool:
    """Returns whether each word is the name of one of `papers`, or part of a text."""
    paper_names = {paper.lower() for paper in papers}
    return all(
        word in paper_names if word in _PAPERS else any(word in text.lower() for text in texts)
        for word in map(str.lower, words)
    )


def _task_table(entries: Sequence[_Entry], *, stacked: bool) -> Table:
    """Returns the table of tasks; a stacked one has two lines per task and half the width."""
    names = ["task", " / ".join(_SPLITS), "metrics", "source", "papers"]
    lines = []
    for family, members in itertools.groupby(entries, key=lambda entry: entry.family):
        lines.append(Line((family, *("" for _ in range(2 if stacked else 4))), strong=True))
        for task in members:
            papers = ", ".join(task.papers)
            cells = (task.name, task.examples, task.metrics, task.source, papers)
            lines.append(Line(_stacked(cells) if stacked else cells))
    notes = {
        "": "Every task and mixture, except the mini suite's, also exists without its task prefix, "
        f"as NAME{UNPREFIXED}.",
        "?": "?: size unknown before download.",
        "*": f"*: no public labels; the task with this split is NAME{LEADERBOARD}.",
    }
    examples = " ".join(task.examples for task in entries)
    return Table(
        [Column(name) for name in (_stacked(names) if stacked else names)],
        lines,
        note="\n".join(note for mark, note in notes.items() if mark in examples) + "\n",
    )


def _stacked(cells: Sequence[str]) -> tuple[str, str, str]:
    name, examples, metrics, source, papers = cells
    return f"{name}\n  {source.removeprefix('TFDS ')}", f"{examples}\n  {metrics}", papers


def _mixture_table(mixtures: Sequence[_Mixture]) -> Table:
    lines = [
        Line((each.name, ", ".join(each.members), ", ".join(each.papers))) for each in mixtures
    ]
    return Table([Column("mixture"), Column("tasks"), Column("papers")], lines)
