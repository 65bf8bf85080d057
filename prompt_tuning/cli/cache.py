"""`prompt-tuning cache`: tokenizes tasks ahead of time."""

from collections.abc import Sequence

import gin
from rich.console import Console
from rich.table import Table

from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.training.setup import Setup, open_vocabulary


@gin.configurable
def cache(*, tasks: str | Sequence[str] | None, setup: Setup, tfds_data_dir: str | None) -> None:
    """Tokenizes tasks and mixtures into the cache and prints their sizes.

    Args:
        tasks: Task or mixture, or several; None for the task of TASK_FILE.
        setup: Vocabulary, lengths and the cache's directory.
        tfds_data_dir: Directory of TensorFlow Datasets.
    """
    console = Console(highlight=False)
    names = setup.task_names(tasks)
    vocabulary = open_vocabulary(setup.open_backbone())
    cached = setup.open_tasks(names, vocabulary, tfds_data_dir=tfds_data_dir, console=console)
    table = Table("task", "split", box=None)
    table.add_column("examples", justify="right")
    table.add_column("mean input tokens", justify="right")
    table.add_column("longest", justify="right")
    parts = {part.name: part for task in cached.values() for part in task.tasks}
    for name, part in parts.items():
        if part.stream is not None:
            table.add_row(name, "train", "streamed", "", "")
        for split, examples in part.splits.items():
            lengths = examples.inputs.lengths
            table.add_row(
                name, split, f"{len(examples):,}", f"{lengths.mean():.1f}", str(lengths.max())
            )
    console.print(table)
    console.out(f"The cache is in {setup.cache_path}")
