"""The transfer study (Vu et al. 2022, section 4): tunes every target from every source prompt."""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import FromRow, Initializer, WeightedAverage
from prompt_tuning.training.plan import Tune
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.rows import Row, row_name
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.transfer.methods import AVERAGE, EMBEDDING, MIXTURE
from prompt_tuning.transfer.similarity import SIMILARITIES, ranked, similarities
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """The plan of a transfer study.

    Attributes:
        sources: Source tasks or mixtures, S.
        targets: Target tasks, T.
        embedding_start: Initializer of task embeddings, the same for all tasks.
        source_start: Initializer of source prompts.
        baseline: Initializer of target prompts without transfer.
        embedding: Schedule of the task embeddings, the same for all tasks.
        source: Schedule of the source prompts.
        target: Schedule of the targets, the same from every start.
        mixture: Schedule on a target mixed with its retrieved source tasks, before the target
            alone.
        source_seeds: Seeds of each source, I; each source prompt is a candidate, C = S I.
        target_seeds: Seeds of each target, J.
        best_of: Values of k for best of top-k.
        averages: Values of k for the weighted average of the top-k prompts.
        mixtures: Values of k for the multi-task mixture of the tasks of the top-k prompts.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    embedding_start: Initializer
    source_start: Initializer
    baseline: Initializer
    embedding: Schedule
    source: Schedule
    target: Schedule
    mixture: Schedule
    source_seeds: tuple[int, ...]
    target_seeds: tuple[int, ...]
    best_of: tuple[int, ...]
    averages: tuple[int, ...]
    mixtures: tuple[int, ...]

    def __post_init__(self):
        for field in ("sources", "targets", "source_seeds", "target_seeds", "best_of"):
            values = getattr(self, field)
            if not values:
                raise UserError(f"study needs at least one of {field}")
            if len(set(values)) < len(values):
                raise UserError(f"study has one of its {field} twice; give each once")
        candidates = len(self.sources) * len(self.source_seeds)
        for k in (*self.best_of, *self.averages, *self.mixtures):
            if not 1 <= k <= candidates:
                raise UserError(
                    f"study retrieves the top {k}, but there are {candidates} source prompts; "
                    f"give k in [1, {candidates}]"
                )

    @property
    def tasks(self) -> tuple[str, ...]:
        """See `Plan`."""
        return tuple(dict.fromkeys((*self.sources, *self.targets)))

    @property
    def save_steps(self) -> tuple[int, ...]:
        """See `Plan`: none."""
        return ()

    @property
    def most_rows(self) -> int:
        """See `Plan`."""
        return len(self.first_rows)

    def run(self, tune: Tune, directory: RunDirectory) -> "tuple[list[RowResult], StudyRetrieval]":
        """Trains all rows; returns their results, and the retrieval.

        Task embeddings, source prompts and baselines train first, because the other rows depend on
        the retrieved prompts; then all other rows train side by side.
        """
        tune(self.first_rows)
        retrieval = StudyRetrieval(self, directory)
        rows = [*self.first_rows, *self.transfer_rows, *retrieval.rows]
        return tune(rows, retrieval.mixtures), retrieval

    @property
    def candidates(self) -> list[tuple[str, int]]:
        """Source and seed of each source prompt, C."""
        return list(itertools.product(self.sources, self.source_seeds))

    @property
    def replicates(self) -> list[tuple[str, int]]:
        """Target and seed of each tuning on a target, T J."""
        return list(itertools.product(self.targets, self.target_seeds))

    @property
    def first_rows(self) -> list[Row]:
        """The rows of task embeddings, source prompts, and targets without transfer."""
        rows = [
            Row(
                name=self.embedding_name(task, seed),
                task=task,
                start=self.embedding_start,
                seed=seed,
                schedule=self.embedding,
                method=EMBEDDING,
            )
            for task, seed in dict.fromkeys([*self.candidates, *self.replicates])
        ]
        rows += [
            Row(
                name=self.source_name(source, seed),
                task=source,
                start=self.source_start,
                seed=seed,
                schedule=self.source,
            )
            for source, seed in self.candidates
        ]
        rows += [
            Row(
                name=self.baseline_name(target, seed),
                task=target,
                start=self.baseline,
                seed=seed,
                schedule=self.target,
            )
            for target, seed in self.replicates
        ]
        return rows

    @property
    def transfer_rows(self) -> list[Row]:
        """The rows that tune every target from every source prompt, with every seed."""
        return [
            Row(
                name=self.transfer_name(target, seed, *candidate),
                task=target,
                start=FromRow(self.source_name(*candidate)),
                seed=seed,
                schedule=self.target,
                method="spot",
                source=candidate[0],
            )
            for target, seed in self.replicates
            for candidate in self.candidates
        ]

    @property
    def outline(self) -> list[Row]:
        """See `Plan`; rows that depend on retrieval are placeholders."""
        later = []
        for (target, seed), similarity in itertools.product(self.replicates, SIMILARITIES):
            stages = [(AVERAGE, k, self.target) for k in self.averages]
            for k in self.mixtures:
                stages += [("mixture", k, self.mixture), (MIXTURE, k, self.target)]
            for method, k, schedule in stages:
                row = Row(
                    name=self.method_name(method, target, seed, similarity, k),
                    task=target,
                    start=self.source_start,
                    seed=seed,
                    schedule=schedule,
                    method=method,
                )
                later.append(row)
        return self.first_rows + self.transfer_rows + later

    def describe(self) -> list[str]:
        """Returns a line on each kind of row."""
        on_targets = len(self.replicates)
        retrieved = on_targets * len(SIMILARITIES)
        embeddings = len(self.first_rows) - len(self.candidates) - on_targets
        kinds = [
            (embeddings, self.embedding, "task embeddings"),
            (len(self.candidates), self.source, "source prompts"),
            (on_targets, self.target, "targets without transfer"),
            (len(self.transfer_rows), self.target, "targets from source prompts"),
            (retrieved * len(self.averages), self.target, "targets from weighted averages"),
            (retrieved * len(self.mixtures), self.mixture, "mixtures, at most"),
            (retrieved * len(self.mixtures), self.target, "targets from mixtures"),
        ]
        return [
            f"{count:>9,} {what}, of {schedule.steps:,} steps"
            for count, schedule, what in kinds
            if count
        ]

    def embedding_name(self, task: str, seed: int) -> str:
        """Returns the name of the row whose last prompt is a task's embedding."""
        return row_name(task, "embedding", f"seed{seed}")

    def source_name(self, source: str, seed: int) -> str:
        """Returns the name of the row of a source prompt."""
        return row_name(source, "source", f"seed{seed}")

    def baseline_name(self, target: str, seed: int) -> str:
        """Returns the name of the row of a target without transfer."""
        return row_name(target, self.baseline.describe()["init"], f"seed{seed}")

    def transfer_name(self, target: str, seed: int, source: str, source_seed: int) -> str:
        """Returns the name of the row of a target from a source prompt."""
        return row_name(target, "from", source, f"seed{source_seed}", f"seed{seed}")

    def method_name(self, method: str, target: str, seed: int, similarity: str, k: int) -> str:
        """Returns the name of the row of a target from its top k source prompts at once."""
        return row_name(target, method, similarity, f"top{k}", f"seed{seed}")


class StudyRetrieval:
    """Finds the source prompts whose embeddings are most similar to those of the targets.

    Args:
        plan: The study.
        directory: The directory of the run, with the prompts of `plan.first_rows`.

    Attributes:
        similarities: By name, of each target's embedding to each candidate's, `[T, J, C]`.

    Raises:
        UserError: A prompt file of the run is missing or damaged.
    """

    def __init__(self, plan: StudyPlan, directory: RunDirectory):
        self._plan = plan
        self._directory = directory
        keys = self.embeddings(plan.candidates)
        queries = self.embeddings(plan.replicates)
        queries = queries.reshape(len(plan.targets), len(plan.target_seeds), *queries.shape[1:])
        self.similarities = {name: similarities(queries, keys, name) for name in SIMILARITIES}

    def embeddings(self, of: Sequence[tuple[str, int]]) -> np.ndarray:
        """Returns the embeddings of tasks and seeds, `[N, P, H]`."""
        rows = [self._directory.row(self._plan.embedding_name(*each)) for each in of]
        return np.stack([files.load(row / "last.safetensors").array for row in rows])

    @property
    def mixtures(self) -> dict[str, tuple[str, ...]]:
        """The tasks of each mixture, by its name: the target and the tasks of its top prompts."""
        return dict(
            self._mixture(target, seed, similarity, k)
            for target, seed, similarity in self._queries
            for k in self._plan.mixtures
        )

    @property
    def rows(self) -> list[Row]:
        """The rows of weighted averages and of mixtures, on every target."""
        rows = [
            row
            for query in self._queries
            for row in (*self._average_rows(*query), *self._mixture_rows(*query))
        ]
        return list({row.name: row for row in rows}.values())

    @property
    def _queries(self) -> list[tuple[str, int, str]]:
        """Target, seed and similarity of each retrieval."""
        pairs = itertools.product(self._plan.replicates, SIMILARITIES)
        return [(target, seed, similarity) for (target, seed), similarity in pairs]

    def _average_rows(self, target: str, seed: int, similarity: str) -> Iterator[Row]:
        """Yields rows that start from `sum_r a_r P_r` over top prompts, a_r = sim_r / sum sim."""
        plan = self._plan
        for k in plan.averages:
            values, top = self._top(target, seed, similarity, k)
            paths = [
                str(self._directory.row(plan.source_name(*each)) / "best.safetensors")
                for each in top
            ]
            yield Row(
                name=plan.method_name(AVERAGE, target, seed, similarity, k),
                task=target,
                start=WeightedAverage(tuple(paths), tuple(values)),
                seed=seed,
                schedule=plan.target,
                method=AVERAGE,
                source=_source(similarity, k),
            )

    def _mixture_rows(self, target: str, seed: int, similarity: str) -> Iterator[Row]:
        """Yields the rows on mixtures of the top k tasks, and those of the target from them."""
        plan = self._plan
        for k in plan.mixtures:
            mixed, _ = self._mixture(target, seed, similarity, k)
            first = row_name(mixed, f"seed{seed}")
            yield Row(
                name=first, task=mixed, start=plan.source_start, seed=seed, schedule=plan.mixture
            )
            yield Row(
                name=plan.method_name(MIXTURE, target, seed, similarity, k),
                task=target,
                start=FromRow(first),
                seed=seed,
                schedule=plan.target,
                method=MIXTURE,
                source=_source(similarity, k),
            )

    def _mixture(
        self, target: str, seed: int, similarity: str, k: int
    ) -> tuple[str, tuple[str, ...]]:
        """Returns the name and the tasks of the mixture for the top k prompts."""
        _, top = self._top(target, seed, similarity, k)
        members = (target, *sorted({source for source, _ in top} - {target}))
        digest = hashlib.sha256("+".join(members).encode()).hexdigest()[:8]
        return row_name(target, "mixture", digest), members

    def _top(
        self, target: str, seed: int, similarity: str, k: int
    ) -> tuple[list[float], list[tuple[str, int]]]:
        """Returns the top k candidates, without prompts of the target, after their similarities."""
        plan = self._plan
        values = self.similarities[similarity][
            plan.targets.index(target), plan.target_seeds.index(seed)
        ]
        order = [i for i in ranked(values) if plan.candidates[i][0] != target][:k]
        return values[order].tolist(), [plan.candidates[i] for i in order]


def library_prompts(
    plan: StudyPlan, results: Sequence[RowResult], directory: RunDirectory
) -> Iterator[files.Prompt]:
    """Yields the best prompt of each row on a task, with the task's embedding of the same seed.

    Prompts of mixtures are intermediate results and are left out.
    """
    embeddings: dict[tuple[str, int], np.ndarray] = {}
    for result in results:
        task, seed = result.row["task"], result.row["seed"]
        if result.row["method"] == EMBEDDING or task not in plan.tasks:
            continue
        if (task, seed) not in embeddings:
            row = directory.row(plan.embedding_name(task, seed))
            embeddings[task, seed] = files.load(row / "last.safetensors").array
        prompt = files.load(directory.row(result.row["name"]) / "best.safetensors")
        yield prompt.embedded(embeddings[task, seed], plan.embedding.steps)


def _source(similarity: str, k: int) -> str:
    return f"{similarity} top {k}"
