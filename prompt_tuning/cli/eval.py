"""`prompt-tuning eval`: scores prompts on tasks, many prompts in one batch."""

from collections.abc import Sequence

import gin
from rich.console import Console

from prompt_tuning.analysis import results
from prompt_tuning.analysis.summary import summary_table
from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.cli.prompts import open_prompts
from prompt_tuning.data.cached_task import scored_split
from prompt_tuning.data.metrics import metric_label
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.training.decoders import Decoder
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.run_directory import RunDirectory, write_text
from prompt_tuning.training.setup import Setup
from prompt_tuning.types import UserError


@gin.configurable
def evaluate(
    *,
    model_dir: str,
    prompt_files: str | Sequence[str],
    tasks: str | Sequence[str] | None,
    split: str | None,
    decoder: Decoder,
    batch_size: int,
    placement: str,
    setup: Setup,
    tfds_data_dir: str | None,
    operative_config: str,
) -> None:
    """Scores prompts on a split and writes `results.json`.

    Args:
        model_dir: Where the results are written.
        prompt_files: Prompt file, or several.
        tasks: Task or mixture, or several, for all prompts; None scores each prompt on its own.
        split: Split to score on; None for test, or validation where test labels are not public.
        decoder: How answers are read off the model.
        batch_size: Examples decoded together.
        placement: Where prompts stand among the inputs.
        setup: Frozen model and data.
        tfds_data_dir: Where TensorFlow Datasets are kept.
        operative_config: The resolved configuration, for the directory.
    """
    console = Console()
    directory = RunDirectory(model_dir)
    if directory.prompts.exists():
        raise UserError(
            f"MODEL_DIR '{model_dir}' holds the results of a training run; give another directory"
        )
    opened = open_prompts(prompt_files, setup, placement)
    pairs = [
        (i, task)
        for i, (name, prompt) in enumerate(zip(opened.names, opened.prompts, strict=True))
        for task in _tasks(name, prompt, tasks)
    ]
    cached = setup.open_tasks(
        [name for _, name in pairs],
        opened.vocabulary,
        tfds_data_dir=tfds_data_dir,
        console=console,
    )
    evaluator = Evaluator(
        opened.model,
        opened.frozen,
        opened.layouts,
        opened.vocabulary,
        decoder,
        batch_size=batch_size,
        shapes=setup.choose_shapes(cached),
    )
    items = [(i, tuple(part for part, _ in cached[name].parts)) for i, name in pairs]
    scores = evaluator.score(opened.bank, items, split)
    rows = []
    for (i, name), metrics in zip(pairs, scores, strict=True):
        prompt = opened.prompts[i]
        own = prompt.metadata.get("task")
        step = prompt.metadata.get("step", "")
        seed = prompt.metadata.get("seed", "")
        rows.append(
            {
                "backbone": opened.model.model.config.name,
                "method": "prompt_tuning" if own == name else "zero_shot",
                "init": "file",
                "source": own,
                "target": name,
                "seed": int(seed) if seed.isdigit() else None,
                "metric": metric_label(metric for metric in metrics if metric != "score"),
                "split": split or scored_split(cached[name]),
                "score": metrics["score"],
                "step": int(step) if step.isdigit() else None,
                "steps": None,
                "curve": None,
                "seconds": None,
            }
        )
    results.write(directory.results, rows)
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
