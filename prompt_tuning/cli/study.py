"""`prompt-tuning study`: the transfer matrix, task embeddings, retrieval, and one report page."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import gin
import numpy as np
from rich.console import Console

from prompt_tuning.analysis import results
from prompt_tuning.analysis import table as rendering
from prompt_tuning.analysis.study.chance import top_minus_random_table
from prompt_tuning.analysis.study.findings import findings
from prompt_tuning.analysis.study.gathering import gather, result_rows
from prompt_tuning.analysis.study.retrieval_table import retrieval_table
from prompt_tuning.analysis.study.sections import write_report
from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.cli.session import Session
from prompt_tuning.data.proportional import proportional_mixture
from prompt_tuning.prompts import files
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.outcome import Outcome
from prompt_tuning.training.rows import Row
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.setup import Setup
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.study import run
from prompt_tuning.transfer.study_plan import EMBEDDING, StudyPlan

gin.external_configurable(StudyPlan)


@gin.configurable
def study(
    *,
    model_dir: str,
    title: str,
    plan: StudyPlan,
    library_dir: str | None,
    tuning: TuneConfig,
    setup: Setup,
    dry_run: bool,
    tfds_data_dir: str | None,
    operative_config: str,
) -> None:
    """Runs SPoT's transfer study and writes its report, with all prompts in a library.

    What an earlier run in the same directory finished is reused.

    Args:
        model_dir: Where the run's files are.
        title: What the report calls the study.
        plan: Sources, targets, seeds, schedules and the k of retrieval.
        library_dir: Directory of the prompt library; None for `library/` in `model_dir`.
        tuning: Settings of the train step and the loop.
        setup: Frozen model and data.
        dry_run: Whether to print what the run needs, and stop.
        tfds_data_dir: Where TensorFlow Datasets are kept.
        operative_config: The resolved configuration, for the run's directory.
    """
    console = Console()
    session = Session(
        setup=setup,
        tuning=tuning,
        task_names=plan.tasks,
        save_steps=(),
        tfds_data_dir=tfds_data_dir,
        console=console,
    )
    if dry_run:
        rows = plan.outline_rows
        console.print(plan.described(), highlight=False)
        session.dry_run(rows)
        return
    directory = RunDirectory(model_dir)
    prompts = Library.create(library_dir or directory.path / "library")
    this_run = session.open(directory, operative_config, len(plan.first_rows))

    def tune(rows: Sequence[Row], mixtures: Mapping[str, tuple[str, ...]]) -> list[Outcome]:
        mixed = {
            name: proportional_mixture(name, [this_run.tasks[member] for member in members])
            for name, members in mixtures.items()
        }
        return session.tune(rows, dataclasses.replace(this_run, tasks={**this_run.tasks, **mixed}))

    outcomes, retrieval = run(plan, tune, directory)
    prompts.add(_library_prompts(plan, outcomes, directory))
    results.write(directory.results, result_rows(plan, outcomes))
    found = gather(plan, outcomes, retrieval, title=title, settings=operative_config)
    write_report(found, directory.report)
    for table in (retrieval_table(found), top_minus_random_table(found)):
        console.out(rendering.text(table, console.width), highlight=False)
    console.print(
        "\n".join(f"- {point}" for point in findings(found)) + "\n\n"
        f"Report: {directory.report / 'index.html'}\n"
        f"Scores: {directory.results}; prompts: {prompts.path} (prompt-tuning library list)",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _library_prompts(
    plan: StudyPlan, outcomes: Sequence[Outcome], directory: RunDirectory
) -> Iterator[files.Prompt]:
    """Yields the best prompts of all rows of a task, each with the task's embedding of its seed.

    Prompts of mixtures are means to an end, and are left out.
    """
    embeddings: dict[tuple[str, int], np.ndarray] = {}
    for outcome in outcomes:
        task, seed = outcome.row["task"], outcome.row["seed"]
        if outcome.row["method"] == EMBEDDING or task not in plan.tasks:
            continue
        if (task, seed) not in embeddings:
            row = directory.row(plan.embedding_name(task, seed))
            embeddings[task, seed] = files.load(row / "last.safetensors").array
        prompt = files.load(directory.row(outcome.row["name"]) / "best.safetensors")
        yield prompt.embedded(embeddings[task, seed], plan.embedding.steps)
