"""`prompt-tuning study`: the transfer matrix, task embeddings, retrieval, and one report page."""

import functools

import gin
from rich.console import Console

from prompt_tuning.analysis import table as rendering
from prompt_tuning.analysis.results import write_records
from prompt_tuning.analysis.study.chance import top_minus_random_table
from prompt_tuning.analysis.study.findings import findings
from prompt_tuning.analysis.study.gathering import gather, study_records
from prompt_tuning.analysis.study.retrieval_table import retrieval_table
from prompt_tuning.analysis.study.sections import write_report
from prompt_tuning.cli.flags import RunFlags
from prompt_tuning.cli.run import RunSettings, open_run
from prompt_tuning.training.loop import tune
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.study import StudyPlan, library_prompts

gin.external_configurable(StudyPlan)


@gin.configurable
def study(
    *, run: RunSettings, title: str, plan: StudyPlan, library_dir: str | None, flags: RunFlags
) -> None:
    """Runs SPoT's transfer study, writes its report, and adds its prompts to a library.

    Args:
        run: Directory, model, data and tuning settings.
        title: The report's title.
        plan: Sources, targets, seeds, schedules and the k of retrieval.
        library_dir: Directory of the prompt library; None for `library/` in the run's directory.
        flags: Settings from the command line.
    """
    console = Console(highlight=False)
    directory = RunDirectory(run.model_dir)
    prompts = None if flags.dry_run else Library.create(library_dir or directory.path / "library")
    opened = open_run(plan, run, flags, console)
    if opened is None or prompts is None:
        return
    results, retrieval = plan.run(functools.partial(tune, run=opened), directory)
    prompts.add(library_prompts(plan, results, directory))
    write_records(directory.results, study_records(plan, results))
    gathered = gather(plan, results, retrieval, title=title, settings=flags.operative_config)
    write_report(gathered, directory.report)
    for table in (retrieval_table(gathered), top_minus_random_table(gathered)):
        console.out(rendering.text(table, console.width))
    console.out(
        "\n".join(f"- {point}" for point in findings(gathered)) + "\n\n"
        f"Report: {directory.report / 'index.html'}\n"
        f"Scores: {directory.results}; prompts: {prompts.path} (prompt-tuning library list)"
    )
