"""`prompt-tuning eval`: scores prompts on tasks, many prompts in one batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import gin
from rich.console import Console

from prompt_tuning.analysis import results
from prompt_tuning.analysis.report.by_task import summary_table
from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.cli.prompts import PromptSettings, open_prompts, open_without_prompt
from prompt_tuning.data.cached_task import MixtureOrTask, labels_of
from prompt_tuning.data.metrics import metric_label
from prompt_tuning.data.prompt_design import PromptDesign
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.usage import check_labels, task_data_changed
from prompt_tuning.storage import write_text
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.types import UserError

gin.external_configurable(PromptDesign)


@gin.configurable
def evaluate(
    *,
    model_dir: str,
    prompts: PromptSettings,
    design: PromptDesign | None,
    tasks: str | Sequence[str] | None,
    split: str | None,
    tfds_data_dir: str | None,
    operative_config: str,
) -> None:
    """Scores prompts, soft or written, on a split and writes `results.json`.

    Args:
        model_dir: Where to write the results.
        prompts: The soft prompts, none with `design`, and how to use them.
        design: A written prompt to score instead of soft ones, or None.
        tasks: Task or mixture, or several, for all prompts; None scores each on its own task.
        split: Split to score on; None for test, or validation where test labels are not public.
        tfds_data_dir: Directory of TensorFlow Datasets.
        operative_config: The resolved configuration, written beside the results.
    """
    console = Console(highlight=False)
    directory = RunDirectory(model_dir)
    if directory.prompts.exists() or directory.models.exists():
        raise UserError(
            f"MODEL_DIR '{model_dir}' has the results of a training run; give another directory"
        )
    if design is None:
        opened = open_prompts(prompts)
    elif prompts.files or tasks is None:
        raise UserError(
            "a written prompt (PROMPT_DESIGN) excludes PROMPT_FILES, which must be (), "
            "and needs MIXTURE_OR_TASK_NAME; add --gin_file=methods/prompt_design.gin"
        )
    else:
        opened = open_without_prompt(prompts)
    for line in opened.remarks:
        console.out(line)
    pairs = [
        (i, task)
        for i, (name, prompt) in enumerate(zip(opened.names, opened.prompts, strict=True))
        for task in _tasks(name, prompt, tasks)
    ]
    cached = opened.setup.open_tasks(
        [name for _, name in pairs],
        opened.model.vocabulary,
        tfds_data_dir=tfds_data_dir,
        console=console,
    )
    lengths = opened.setup.feature_lengths
    for i, name in pairs:
        check_labels(opened.prompts[i], name, labels_of(cached[name]))
        if task_data_changed(opened.prompts[i], name, cached[name].digest, lengths):
            console.out(
                f"{name} differs from when {opened.names[i]} was tuned: other examples, splits, "
                "metrics or tokens; test examples may be among those it was trained on"
            )
    if design is not None:
        cached = _with_design(design, cached, split, opened.model.vocabulary, console)
    evaluator = opened.evaluator(opened.setup.choose_shapes(cached))
    items = [(i, cached[name].tasks) for i, name in pairs]
    scores = evaluator.score(opened.bank, items, split)
    rows = [
        {
            "backbone": opened.model.name,
            **(_design_columns(design) if design else _prompt_columns(opened.prompts[i], name)),
            "target": name,
            "metric": metric_label(metric for metric in metrics if metric != "score"),
            "split": split or cached[name].scored_split,
            "score": metrics["score"],
            "steps": None,
            "curve": None,
            "seconds": None,
        }
        for (i, name), metrics in zip(pairs, scores, strict=True)
    ]
    results.write_records(directory.results, rows)
    write_text(directory.path / "operative_config.gin", operative_config)
    console.print(summary_table(rows, "Scores"))
    console.out(f"Results are in {directory.results}")


def _tasks(name: str, prompt: Prompt, tasks: str | Sequence[str] | None) -> list[str]:
    """Returns the tasks to score a prompt on."""
    if tasks is not None:
        return [tasks] if isinstance(tasks, str) else list(tasks)
    own = prompt.metadata.get("task")
    if not own:
        raise UserError(f"the prompt '{name}' does not name its task; set evaluate.tasks")
    return [own]


def _prompt_columns(prompt: Prompt, task: str) -> dict[str, Any]:
    """Returns the columns of a results row that describe a soft prompt scored on `task`."""
    own = prompt.metadata.get("task")
    step = prompt.metadata.get("step", "")
    seed = prompt.metadata.get("seed", "")
    return {
        "method": "prompt_tuning" if own == task else "zero_shot",
        "init": "file",
        "source": own,
        "seed": int(seed) if seed.isdigit() else None,
        "step": int(step) if step.isdigit() else None,
    }


def _design_columns(design: PromptDesign) -> dict[str, Any]:
    """Returns the columns of a results row that describe a written prompt."""
    return {
        "method": "prompt_design",
        "init": None,
        "source": None,
        "seed": design.seed if design.shots else None,  # The seed chooses the examples.
        "step": None,
    }


def _with_design(
    design: PromptDesign,
    cached: Mapping[str, MixtureOrTask],
    split: str | None,
    vocabulary: Vocabulary,
    console: Console,
) -> dict[str, MixtureOrTask]:
    """Adds the written prompt to every task, and prints how many inputs it was too long for."""
    changed = {}
    for name, task in cached.items():
        changed[name], cuts = design.apply(task, split, vocabulary)
        counts = {
            f"have fewer than {design.shots} examples": cuts.examples,
            "have a cut instruction": cuts.text,
            "are cut themselves": cuts.query,
        }
        parts = [f"{count:,} {effect}" for effect, count in counts.items() if count]
        if parts:
            cut = ", ".join(parts)
            console.out(f"{name}: of {cuts.inputs:,} inputs, {cut} (TASK_FEATURE_LENGTHS)")
    return changed
