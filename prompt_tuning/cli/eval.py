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
from prompt_tuning.prompts.usage import check_labels, holds_other_data
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
        model_dir: Where the results are written.
        prompts: The prompts, none where the prompt is written, and how they are used.
        design: A written prompt in place of soft ones, or None.
        tasks: Task or mixture, or several, for all prompts; None scores each prompt on its own.
        split: Split to score on; None for test, or validation where test labels are not public.
        tfds_data_dir: Where TensorFlow Datasets are kept.
        operative_config: The resolved configuration, for the directory.
    """
    console = Console()
    directory = RunDirectory(model_dir)
    if directory.prompts.exists() or directory.models.exists():
        raise UserError(
            f"MODEL_DIR '{model_dir}' holds the results of a training run; give another directory"
        )
    if design is None:
        opened = open_prompts(prompts)
    else:
        if prompts.files or tasks is None:
            raise UserError(
                "a written prompt (PROMPT_DESIGN) goes without PROMPT_FILES, which must be (), "
                "and needs MIXTURE_OR_TASK_NAME; add --gin_file=methods/prompt_design.gin"
            )
        opened = open_without_prompt(prompts)
    for line in opened.remarks:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
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
    for i, name in pairs:
        check_labels(opened.prompts[i], name, labels_of(cached[name]))
        digest, lengths = cached[name].digest, opened.setup.feature_lengths
        if holds_other_data(opened.prompts[i], name, digest, lengths):
            console.print(
                f"{name} has other examples here, or other splits, metrics or tokens, than when "
                f"{opened.names[i]} was tuned; test examples may be among those it was trained on",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    if design is not None:
        cached = _with_design(design, cached, split, opened.model.vocabulary, console)
    evaluator = opened.evaluator(opened.setup.choose_shapes(cached))
    items = [(i, cached[name].tasks) for i, name in pairs]
    scores = evaluator.score(opened.bank, items, split)
    rows = [
        {
            "backbone": opened.model.name,
            **(_written(design) if design else _soft(opened.prompts[i], name)),
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
    console.print(f"Results are in {directory.results}", highlight=False)


def _tasks(name: str, prompt: Prompt, tasks: str | Sequence[str] | None) -> list[str]:
    if tasks is not None:
        return [tasks] if isinstance(tasks, str) else list(tasks)
    own = prompt.metadata.get("task")
    if not own:
        raise UserError(f"the prompt '{name}' does not say what task it is for; set evaluate.tasks")
    return [own]


def _soft(prompt: Prompt, task: str) -> dict[str, Any]:
    """Returns what a results row says of a soft prompt that is scored on a task."""
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


def _written(design: PromptDesign) -> dict[str, Any]:
    """Returns what a results row says of a written prompt; the seed chose its examples."""
    seed = design.seed if design.shots else None
    return {
        "method": "prompt_design",
        "init": None,
        "source": None,
        "seed": seed,
        "step": None,
    }


def _with_design(
    design: PromptDesign,
    cached: Mapping[str, MixtureOrTask],
    split: str | None,
    vocabulary: Vocabulary,
    console: Console,
) -> dict[str, MixtureOrTask]:
    """Puts the written prompt into every task, and says which inputs it was too long for."""
    changed = {}
    for name, task in cached.items():
        changed[name], cuts = design.apply(task, split, vocabulary)
        found = {
            f"hold fewer than {design.shots} examples": cuts.examples,
            "cut the instruction": cuts.text,
            "are cut themselves": cuts.query,
        }
        if any(found.values()):
            parts = ", ".join(f"{count:,} {what}" for what, count in found.items() if count)
            console.print(
                f"{name}: of {cuts.inputs:,} inputs, {parts} (TASK_FEATURE_LENGTHS)",
                highlight=False,
                soft_wrap=True,
            )
    return changed
