"""`prompt-tuning library compare`: how well similarity predicts transfer between tasks."""

import argparse
import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

import prompt_tuning
from prompt_tuning.analysis.study import score_matrix
from prompt_tuning.analysis.study.chance import top_minus_random_table
from prompt_tuning.analysis.study.correlation import SOURCES, correlation_table
from prompt_tuning.analysis.study.retrieval_table import ranking_table, retrieval_table
from prompt_tuning.analysis.study.score_matrix import ScoreMatrix
from prompt_tuning.analysis.study.scores import PERFORMANCE, Study
from prompt_tuning.analysis.study.sections import write_report
from prompt_tuning.analysis.table import text
from prompt_tuning.prompts.formats import registry
from prompt_tuning.transfer.library.entry import Entry
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.similarity import SIMILARITIES
from prompt_tuning.types import UserError, nearest

_KS = (1, 3, 6, 9, 12, 15)  # as in Table 3 of Vu et al. 2022

_TABLES = (
    retrieval_table,
    top_minus_random_table,
    lambda study: correlation_table(study, SOURCES),
    ranking_table,
)


def compare_prompts(flags: argparse.Namespace) -> None:
    """Prints how well similarity predicts which source's prompt does best on a target.

    Raises:
        UserError: The matrix is malformed, one of its tasks has no prompt, or the prompts are of
            different backbones; then no report is written.
    """
    matrix = score_matrix.read_matrix(Path(flags.matrix).expanduser())
    if flags.targets:
        matrix = matrix.restricted([name.strip() for name in flags.targets.split(",")])
    ks = _parse_ks(flags.k, len(matrix.sources))
    library = _open_library(flags.directory, flags.paths)
    study = build_study(library, matrix, ks, Path(flags.matrix).name)
    console = Console(highlight=False)
    for table_of in _TABLES:
        console.out(text(table_of(study), console.width))
    if flags.report:
        folder = Path(flags.report).expanduser()
        try:
            write_report(study, folder)
        except OSError as error:
            raise UserError(
                f"report {folder}: cannot write it ({error.strerror}); give another directory"
            ) from error
        console.out(f"the report is {folder / 'index.html'}")


def build_study(library: Library, matrix: ScoreMatrix, ks: Sequence[int], name: str) -> Study:
    """Builds the study of a library's prompts from a matrix of zero-shot scores.

    Args:
        library: The prompts.
        matrix: The scores.
        ks: Numbers of sources to retrieve.
        name: The matrix's name, for the title.

    Raises:
        UserError: A task of the matrix has no prompt, or backbones differ.
    """
    prompts = _prompts_of(library, matrix.sources)
    entries = [entry for of_task in prompts for entry in of_task]
    task = np.repeat(np.arange(len(prompts)), [len(of_task) for of_task in prompts])
    means = (task == np.arange(len(prompts))[:, None]) / np.bincount(task)[:, None]
    similarities = {
        similarity: means @ _similarities(library, entries, similarity) @ means.T
        for similarity in SIMILARITIES
    }
    own = [matrix.sources.index(target) for target in matrix.targets]
    backbones = ", ".join(dict.fromkeys(entry.backbone for entry in entries if entry.backbone))
    return Study(
        title=f"Prompts compared by {name}",
        transfer=matrix.transfer(),
        measure=PERFORMANCE,
        similarities={key: values[own][:, None] for key, values in similarities.items()},
        tasks=matrix.sources,
        task_similarities=similarities,
        ks=ks,
        methods=(),
        records=(),
        settings="",
        facts={
            "prompts": f"{len(entries)} of {len(prompts)} tasks",
            "backbone": backbones or "not named",
            "prompt_tuning": prompt_tuning.__version__,
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        },
    )


def _parse_ks(text: str | None, sources: int) -> list[int]:
    """Parses the numbers of sources to retrieve, among those other than the target."""
    if text is None:
        return [k for k in _KS if k < sources] or [1]
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 0 < int(word) < sources for word in words):
        raise UserError(
            f"--k: {text!r} is not one or more whole numbers from 1 to {sources - 1}, the sources"
            " other than the target"
        )
    return sorted({int(word) for word in words})


def _open_library(directory: str, paths: Sequence[str]) -> Library:
    """Opens the library, after adding the prompts at some paths."""
    if not paths:
        return Library(directory)
    files = [file for path in paths for file in registry.find_prompts(Path(path).expanduser())[0]]
    if not files:
        raise UserError(f"{', '.join(paths)}: there is no prompt; give prompt files")
    prompts = [registry.read_prompt(path) for path in files]
    library = Library.create(directory)
    library.add(prompts)
    return library


def _prompts_of(library: Library, tasks: Sequence[str]) -> list[list[Entry]]:
    """Returns the prompts of each task."""
    by_task: dict[str, list[Entry]] = {}
    for entry in library.entries():
        by_task.setdefault(entry.task or entry.label, []).append(entry)
    for task in tasks:
        if task not in by_task:
            raise UserError(
                f"library {library.path} has no prompt of {task!r}, a task of the matrix"
                f"{nearest(task, by_task)}; give the path of one, or leave the task out"
            )
    return [by_task[task] for task in tasks]


def _similarities(library: Library, entries: Sequence[Entry], similarity: str) -> np.ndarray:
    """Returns the similarities between prompts, `[N, N]`."""
    places = {entry.name: place for place, entry in enumerate(entries)}
    values = np.zeros((len(entries), len(entries)))
    for query, entry in enumerate(entries):
        for other, value in library.search(library.load(entry), entries, similarity):
            values[query, places[other.name]] = value
    return values
