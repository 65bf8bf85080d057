"""The prompts that rows start from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prompt_tuning.training.rows import Row
from prompt_tuning.training.starts import ClassLabels, StartContext, start_key
from prompt_tuning.training.work import Work
from prompt_tuning.types import Array


class FirstPrompts:
    """Makes the prompts that rows start from.

    Args:
        work: What the rows are trained with.
        embeddings: The frozen model's embedding table, `[V, H]`.
        prompt_length: Their tokens, P.
        placement: Where they stand among the inputs.
    """

    def __init__(self, work: Work, embeddings: Array, prompt_length: int, placement: str):
        self._work = work
        self._embeddings = np.asarray(embeddings)
        self._labels = work.labels
        self._placement = placement
        self.shape = (prompt_length, work.backbone.config.emb_dim)

    def make(self, row: Row, best_prompts: dict[str, Path]) -> np.ndarray:
        """Returns a row's first prompt, `[P, H]`.

        Args:
            row: The row.
            best_prompts: The best prompt files of finished rows, by their names.

        Raises:
            UserError: The row cannot start as it says.
        """
        context = StartContext(
            embeddings=self._embeddings,
            vocabulary=self._work.vocabulary,
            labels=self._labels[row.task],
            backbone=self._work.backbone.config.name,
            backbone_digest=self._work.backbone.digest,
            placement=self._placement,
            target_prefix=self._work.tasks[row.task].parts[0][0].target_prefix,
            best_prompts=best_prompts,
        )
        return row.start.prompt(start_key(row.seed), self.shape, context)

    def tell_of_fallbacks(self, rows: Sequence[Row]) -> None:
        """Prints which tasks have no class labels, though rows are to start from these."""
        unlabelled = {
            row.task: None
            for row in rows
            if isinstance(row.start, ClassLabels) and row.start.falls_back(self._labels[row.task])
        }
        if unlabelled:
            self._work.console.print(
                f"No class labels: {', '.join(unlabelled)}; prompts start from sampled vocabulary.",
                highlight=False,
            )
