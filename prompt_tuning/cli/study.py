"""`prompt-tuning study`: the transfer matrix, task embeddings, retrieval, and one report page."""

import dataclasses
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gin
import jax
import numpy as np
from rich.console import Console

import prompt_tuning
from prompt_tuning.analysis import results, study_page
from prompt_tuning.analysis import table as rendering
from prompt_tuning.analysis.headline import headline
from prompt_tuning.analysis.retrieval_table import retrieval_table, top_minus_random_table
from prompt_tuning.analysis.study import ERROR_REDUCTION, MethodScores, Study
from prompt_tuning.analysis.transfer_scores import Candidate, TransferScores
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
from prompt_tuning.transfer.similarity import SIMILARITIES, task_similarities
from prompt_tuning.transfer.study import StudyRetrieval, run
from prompt_tuning.transfer.study_plan import AVERAGE, EMBEDDING, MIXTURE, StudyPlan

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
    results.write(directory.results, _results(plan, outcomes))
    found = gather(plan, outcomes, retrieval, title=title, settings=operative_config)
    study_page.write(found, directory.report)
    for table in (retrieval_table(found), top_minus_random_table(found)):
        console.out(rendering.text(table, console.width), highlight=False)
    console.print(
        "\n".join(f"- {point}" for point in headline(found)) + "\n\n"
        f"Report: {directory.report / 'index.html'}\n"
        f"Scores: {directory.results}; prompts: {prompts.path} (prompt-tuning library list)",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def gather(
    plan: StudyPlan,
    outcomes: Sequence[Outcome],
    retrieval: StudyRetrieval,
    *,
    title: str,
    settings: str,
) -> Study:
    """Returns what a study found, from the outcomes of all its rows.

    Args:
        plan: The study.
        outcomes: All its rows.
        retrieval: What was retrieved.
        title: What the report calls it.
        settings: The resolved configuration.
    """
    score, validation = (
        _Table(plan, {outcome.row["name"]: getattr(outcome, field) for outcome in outcomes})
        for field in ("score", "validation")
    )
    transfers = [plan.transfer_name(*on, *of) for on in plan.replicates for of in plan.candidates]
    baseline = [plan.baseline_name(*on) for on in plan.replicates]
    embeddings = [_of_seeds(plan, retrieval, task) for task in plan.tasks]
    return Study(
        title=title,
        transfer=TransferScores(
            targets=plan.targets,
            seeds=plan.target_seeds,
            candidates=tuple(Candidate(*each) for each in plan.candidates),
            baseline=score.of(baseline)[..., 0],
            scores=score.of(transfers),
            validation=validation.of(transfers),
        ),
        measure=ERROR_REDUCTION,
        similarities=retrieval.similarities,
        tasks=plan.tasks,
        task_similarities={
            name: task_similarities(embeddings, embeddings, name) for name in SIMILARITIES
        },
        methods=_methods(plan, score),
        ks=plan.best_of,
        rows=[outcome.result() for outcome in outcomes],
        settings=settings,
        facts=_facts(outcomes),
    )


class _Table:
    """Looks up values of rows by their names."""

    def __init__(self, plan: StudyPlan, values: Mapping[str, float]):
        self._shape = len(plan.targets), len(plan.target_seeds), -1
        self._values = values

    def of(self, names: Sequence[str]) -> np.ndarray:
        """Returns the values of rows in the order of targets, seeds and the rest, `[T, J, ...]`."""
        return np.array([self._values[name] for name in names]).reshape(self._shape)


def _methods(plan: StudyPlan, score: _Table) -> list[MethodScores]:
    """Returns the scores of the methods that train from several prompts at once."""
    return [
        MethodScores(
            method=method,
            similarity=similarity,
            k=k,
            scores=score.of(
                [plan.method_name(method, *on, similarity, k) for on in plan.replicates]
            )[..., 0],
        )
        for method, ks in ((AVERAGE, plan.averages), (MIXTURE, plan.mixtures))
        for similarity in SIMILARITIES
        for k in ks
    ]


def _of_seeds(plan: StudyPlan, retrieval: StudyRetrieval, task: str) -> np.ndarray:
    """Returns a task's embeddings of all its seeds, `[I, P, H]`."""
    seeds = plan.source_seeds if task in plan.sources else plan.target_seeds
    return retrieval.embeddings([(task, seed) for seed in seeds])


def _facts(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Says how the study came about."""
    # Rows train side by side, so that their seconds add up to those of the run.
    minutes = sum(outcome.seconds for outcome in outcomes) / 60
    steps = sum(outcome.row["schedule"]["steps"] for outcome in outcomes)
    return {
        "frozen model": outcomes[0].backbone,
        "prompts tuned": f"{len(outcomes):,}, {steps:,} steps in all",
        "training time": f"{minutes:.1f} minutes",
        "devices": f"{jax.device_count()} {jax.default_backend()} ({platform.machine()})",
        "versions": (
            f"prompt_tuning {prompt_tuning.__version__}, JAX {jax.__version__}, "
            f"Python {platform.python_version()}"
        ),
    }


def _results(plan: StudyPlan, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Returns the rows of `results.json`, in which a source has its seed where it has several."""
    several = len(plan.source_seeds) > 1
    sources = {
        plan.transfer_name(*on, *of): f"{of[0]} seed {of[1]}" if several else of[0]
        for on in plan.replicates
        for of in plan.candidates
    }
    return [
        {**outcome.result(), "source": sources.get(outcome.row["name"], outcome.row["source"])}
        for outcome in outcomes
    ]


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
