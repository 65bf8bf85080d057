"""Soft prompt transfer (Vu et al. 2022): source prompt tuning, then target prompt tuning."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import FromRow, Initializer
from prompt_tuning.training.plan import Tune
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.rows import Row, row_name
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.transfer.similarity import find_similarity, ranked, task_similarities
from prompt_tuning.types import UserError, nearest

MOST_SIMILAR = "most_similar"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpotPlan:
    """The plan of SPoT's generic approach, with vanilla prompt tuning beside it.

    Attributes:
        sources: Source tasks or mixtures.
        targets: Target tasks.
        source_of: The source task each target starts from, or `most_similar`: the source whose task
            embedding is most similar to the target's. Test scores play no part in the choice.
        similarity: Similarity of task embeddings, a name of `similarity.SIMILARITIES`.
        embedding_steps: Steps after which a prompt is its task's embedding.
        source_start: Initializer of source prompts.
        baselines: Initializers of vanilla prompt tuning on the targets; early prompts from the
            first one are the targets' task embeddings.
        source: Schedule of the sources.
        target: Schedule of the targets, the same from every start.
        source_seeds: Seeds of each source; the i-th target seed starts from the i-th, cyclically.
        target_seeds: Seeds of each target.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    source_of: dict[str, str] | str
    similarity: str
    embedding_steps: int
    source_start: Initializer
    baselines: tuple[Initializer, ...]
    source: Schedule
    target: Schedule
    source_seeds: tuple[int, ...]
    target_seeds: tuple[int, ...]

    def __post_init__(self):
        for field in ("sources", "targets", "baselines", "source_seeds", "target_seeds"):
            if not getattr(self, field):
                raise UserError(f"spot needs at least one of {field}")
        find_similarity(self.similarity)
        if self.source_of == MOST_SIMILAR:
            shortest = min(self.source.steps, self.target.steps)
            if not 1 <= self.embedding_steps <= shortest:
                raise UserError(
                    f"embedding_steps is {self.embedding_steps}; give a step in [1, {shortest}], "
                    "which all tasks reach"
                )
        elif isinstance(self.source_of, str):
            raise UserError(
                f"source_of is '{self.source_of}'; give a source for each target, "
                f"or '{MOST_SIMILAR}'"
            )
        else:
            for target in self.targets:
                self._check_source(target, self.source_of)

    @property
    def tasks(self) -> tuple[str, ...]:
        """See `Plan`."""
        return tuple(dict.fromkeys((*self.sources, *self.targets)))

    @property
    def save_steps(self) -> tuple[int, ...]:
        """See `Plan`: the step of the task embeddings, where they choose the source."""
        return (self.embedding_steps,) if self.source_of == MOST_SIMILAR else ()

    @property
    def most_rows(self) -> int:
        """See `Plan`."""
        return len(self.first_rows)

    @property
    def outline(self) -> list[Row]:
        """See `Plan`."""
        return self.first_rows + self.transfer_rows(dict.fromkeys(self.targets, self.sources[0]))

    def describe(self) -> list[str]:
        """See `Plan`."""
        return []

    def run(self, tune: Tune, directory: RunDirectory) -> list[RowResult]:
        """Trains all rows and returns their results.

        If the sources are given, all rows train side by side and each transfer begins when its
        source is done. With `most_similar`, transfers wait for the embeddings of all tasks.
        """
        if self.source_of == MOST_SIMILAR:
            tune(self.first_rows)
        return tune(self.first_rows + self.transfer_rows(self.choose_sources(directory)))

    @property
    def first_rows(self) -> list[Row]:
        """The rows of source prompt tuning, and of vanilla prompt tuning on the targets."""
        return self._source_rows() + self._vanilla_rows()

    def transfer_rows(self, source_of: Mapping[str, str]) -> list[Row]:
        """Returns the rows of target prompt tuning from the sources' prompts."""
        return [
            Row(
                name=row_name(target, "spot", f"seed{seed}"),
                task=target,
                start=FromRow(self._source_name(source_of[target], self._source_seed(i))),
                seed=seed,
                schedule=self.target,
                method="spot",
                source=source_of[target],
            )
            for target in self.targets
            for i, seed in enumerate(self.target_seeds)
        ]

    def _source_rows(self) -> list[Row]:
        return [
            Row(
                name=self._source_name(source, seed),
                task=source,
                start=self.source_start,
                seed=seed,
                schedule=self.source,
            )
            for source in self.sources
            for seed in self.source_seeds
        ]

    def _vanilla_rows(self) -> list[Row]:
        return [
            Row(
                name=self._vanilla_name(target, start, seed),
                task=target,
                start=start,
                seed=seed,
                schedule=self.target,
            )
            for target in self.targets
            for start in self.baselines
            for seed in self.target_seeds
        ]

    def _source_name(self, source: str, seed: int) -> str:
        return row_name(source, "source", f"seed{seed}")

    def _vanilla_name(self, target: str, start: Initializer, seed: int) -> str:
        return row_name(target, start.describe()["init"], f"seed{seed}")

    def _source_seed(self, index: int) -> int:
        return self.source_seeds[index % len(self.source_seeds)]

    def _check_source(self, target: str, source_of: Mapping[str, str]) -> None:
        if target not in source_of:
            raise UserError(
                f"source_of names no source for the target '{target}'{nearest(target, source_of)}"
            )
        source = source_of[target]
        if source not in self.sources:
            raise UserError(
                f"the target '{target}' starts from '{source}', which is not among the sources"
                f"{nearest(source, self.sources)}"
            )

    def choose_sources(self, directory: RunDirectory) -> dict[str, str]:
        """Returns the source of each target, as given or by similarity of task embeddings.

        Raises:
            UserError: A prompt file of the run is missing or damaged.
        """
        if not isinstance(self.source_of, str):
            return {target: self.source_of[target] for target in self.targets}

        def embedding(row: str) -> np.ndarray:
            name = f"step_{self.embedding_steps}.safetensors"
            return files.load(directory.row(row) / name).array

        keys = [
            [embedding(self._source_name(source, seed)) for seed in self.source_seeds]
            for source in self.sources
        ]
        first = self.baselines[0]
        queries = [
            [embedding(self._vanilla_name(target, first, seed)) for seed in self.target_seeds]
            for target in self.targets
        ]
        values = task_similarities(np.array(queries), np.array(keys), self.similarity)
        return {
            target: self.sources[order[0]]
            for target, order in zip(self.targets, ranked(values), strict=True)
        }
