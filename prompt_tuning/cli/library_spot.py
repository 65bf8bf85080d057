"""`prompt-tuning spot --library=DIR`: tunes a new task from the prompts most similar to it."""

import collections
import functools
import shlex
from collections.abc import Callable, Sequence

import gin
from rich.console import Console

from prompt_tuning.analysis import library_report, results, table
from prompt_tuning.analysis.library_report import Comparison, Start
from prompt_tuning.cli.flags import RunFlags
from prompt_tuning.cli.run import RunSettings, open_run
from prompt_tuning.storage import write_text
from prompt_tuning.training.loop import tune
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.setup import Setup
from prompt_tuning.transfer.library.candidates import find_candidates
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.library.retrieval import Ranked
from prompt_tuning.transfer.library_spot import LibrarySpot, LibrarySpotPlan, Started, keep_best
from prompt_tuning.types import UserError

gin.external_configurable(LibrarySpotPlan)

_VANILLA = {"class_labels": "class labels", "sampled_vocab": "sampled vocab"}


@gin.configurable
def library_spot(
    *,
    run: RunSettings,
    task: str | Sequence[str] | None,
    plan: LibrarySpotPlan,
    library: str,
    flags: RunFlags,
) -> None:
    """Embeds a task, tunes it from the most similar prompts of a library, and keeps the best.

    Args:
        run: Directory, model, data and tuning settings.
        task: The target task or mixture; None for the task of TASK_FILE.
        plan: Settings of retrieval, and the schedules.
        library: Directory of the library.
        flags: Settings from the command line.
    """
    console = Console(highlight=False)
    name, prompts, setup = _one_task(run.setup, task), Library(library), run.setup
    model = candidates = None
    if flags.dry_run and setup.planned_model is not None:
        console.out(f"Library {library}: it is searched once the model is downloaded.")
    else:
        model = setup.open_model()
        candidates = find_candidates(
            prompts,
            backbone=model.name,
            backbone_digest=model.digest,
            prompt_length=run.tuning.prompt_length,
            hidden_size=model.width,
            placement=run.tuning.placement_name,
            target_prefix=setup.target_prefix or "",
        )
    transfer = LibrarySpot(settings=plan, task=name, candidates=candidates, tell=console.out)
    opened = open_run(transfer, run, flags, console, model)
    if opened is None:
        return
    directory = opened.directory
    starts = transfer.run(functools.partial(tune, run=opened), directory)
    comparison = library_report.compare(_starts(starts))
    best = starts[comparison.starts.index(comparison.best)]
    kept, path = keep_best(best, plan, name, directory)
    _write_report(comparison, name, directory, console)
    console.out(library_report.verdict(comparison))
    console.out(
        f"Kept: {path}, {_origin(best, kept)}. To add it to the library, with its embedding:\n"
        f"    prompt-tuning library add {shlex.quote(library)} {shlex.quote(path)}\n"
        f"Tables and learning curves: {directory.report}; scores: {directory.results}; "
        f"prompts: {directory.prompts}"
    )


def _write_report(
    comparison: Comparison, task: str, directory: RunDirectory, console: Console
) -> None:
    """Writes `results.json` and `report/`, and prints the table."""
    records = [record for start in comparison.starts for record in start.records]
    results.write_records(directory.results, records)
    shown = library_report.library_table(comparison, task)
    write_text(directory.report / "library.md", table.markdown(shown))
    write_text(directory.report / "library.csv", library_report.comma_separated(comparison))
    title = f"{task}: starts from a library, and without one"
    library_report.draw_learning_curves(comparison, directory.report / "curves.png", title=title)
    console.out(table.text(shown, console.width))


def start_names(prompts: Sequence[Ranked]) -> dict[str, str]:
    """Returns a display name for each prompt by its id.

    The name is the shortest unique one of: the task, the task with the seed, the id.
    """
    ways: Sequence[Callable[[Ranked], str]] = (
        lambda prompt: prompt.task,
        lambda prompt: f"{prompt.task} seed {prompt.seed}",
    )
    names: dict[str, str] = {}
    for way in ways:
        counts = collections.Counter(map(way, prompts))
        for prompt in prompts:
            if prompt.task and counts[way(prompt)] == 1:
                names.setdefault(prompt.id, way(prompt))
    return {prompt.id: names.get(prompt.id, prompt.id) for prompt in prompts}


def _one_task(setup: Setup, task: str | Sequence[str] | None) -> str:
    names = setup.task_names(task)
    if len(names) != 1:
        raise UserError(
            f"--library: a run has one target task, and MIXTURE_OR_TASK_NAME has {len(names)}; "
            "run them one after another, as points of SWEEP"
        )
    return names[0]


def _origin(best: Started, kept: RowResult) -> str:
    """Describes the kept prompt: its row, step and scores."""
    unchanged = " (a prompt of the library, unchanged)" if best.prompt and not kept.step else ""
    return (
        f"from {kept.row['name']} at step {kept.step}{unchanged}: "
        f"{kept.validation:.1f} on validation, {kept.score:.1f} on {kept.split}"
    )


def _starts(starts: Sequence[Started]) -> list[Start]:
    """Returns the records of each start; retrieved prompts are named for their tasks."""
    names = start_names([started.prompt for started in starts if started.prompt])
    named = []
    for started in starts:
        records = [result.record() for result in started.results]
        if started.prompt is None:
            init: str = records[0]["init"]
            named.append(Start(_VANILLA.get(init, init), None, records))
        else:
            name = names[started.prompt.id]
            records = [record | {"source": name} for record in records]
            named.append(Start(name, started.prompt.similarity, records))
    return named
