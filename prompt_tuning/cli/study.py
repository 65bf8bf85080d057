"""`prompt-tuning study`: the transfer matrix, task embeddings, retrieval, and one report page."""

import gin
from rich.console import Console

from prompt_tuning.analysis import results
from prompt_tuning.analysis import table as rendering
from prompt_tuning.analysis.study.chance import top_minus_random_table
from prompt_tuning.analysis.study.findings import findings
from prompt_tuning.analysis.study.gathering import gather, study_records
from prompt_tuning.analysis.study.retrieval_table import retrieval_table
from prompt_tuning.analysis.study.sections import write_report
from prompt_tuning.cli.flags import RunFlags
from prompt_tuning.cli.run import RunSettings, run_plan
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.study import StudyPlan, library_prompts

gin.external_configurable(StudyPlan)


@gin.configurable
def study(
    *, run: RunSettings, title: str, plan: StudyPlan, library_dir: str | None, flags: RunFlags
) -> None:
    """Runs SPoT's transfer study and writes its report, with all prompts in a library.

    Args:
        run: Where, and with which model and settings.
        title: What the report calls the study.
        plan: Sources, targets, seeds, schedules and the k of retrieval.
        library_dir: Directory of the prompt library; None for `library/` in the run's directory.
        flags: What the command line sets.
    """
    console = Console()
    directory = RunDirectory(run.model_dir)
    prompts = None if flags.dry_run else Library.create(library_dir or directory.path / "library")
    done = run_plan(plan, run, flags, console)
    if done is None or prompts is None:
        return
    (outcomes, retrieval), _ = done
    prompts.add(library_prompts(plan, outcomes, directory))
    results.write_records(directory.results, study_records(plan, outcomes))
    found = gather(plan, outcomes, retrieval, title=title, settings=flags.operative_config)
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
