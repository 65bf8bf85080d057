"""Transfer from a library (Vu et al. 2022, section 4): tunes a new task from retrieved prompts."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import FromFile, Initializer
from prompt_tuning.training.plan import Tune
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.rows import Row, row_name
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.transfer.library.candidates import Candidates
from prompt_tuning.transfer.library.entry import entry_of
from prompt_tuning.transfer.library.retrieval import Ranked, rank, read_retrieval, retrieve
from prompt_tuning.transfer.similarity import find_similarity
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class LibrarySpotPlan:
    """Settings of transfer from a library to one task, with vanilla prompt tuning beside it.

    Attributes:
        k: Prompts to retrieve.
        similarity: Similarity of task embeddings, a name of `similarity.SIMILARITIES`.
        embedding_start: Initializer of the rows that embed the task.
        embedding: Schedule of these rows, the same as for the library's own embeddings.
        baselines: Initializers of vanilla prompt tuning.
        target: Schedule from every start.
        seeds: Seeds of each start, and of the embedding.
    """

    k: int
    similarity: str
    embedding_start: Initializer
    embedding: Schedule
    baselines: tuple[Initializer, ...]
    target: Schedule
    seeds: tuple[int, ...]

    def __post_init__(self):
        find_similarity(self.similarity)
        if self.k < 1:
            raise UserError(f"LibrarySpotPlan.k (RETRIEVE_K) must be at least 1, not {self.k}")
        for field in ("baselines", "seeds"):
            if not getattr(self, field):
                raise UserError(f"spot needs at least one of {field}")

    def embedding_rows(self, task: str) -> list[Row]:
        """Returns the short rows whose last prompts are the task's embeddings."""
        return [
            self._row(task, "embedding", seed, self.embedding_start, schedule=self.embedding)
            for seed in self.seeds
        ]

    def vanilla_rows(self, task: str) -> list[list[Row]]:
        """Returns the rows of vanilla prompt tuning: for each start, one per seed."""
        return [
            [self._row(task, start.describe()["init"], seed, start) for seed in self.seeds]
            for start in self.baselines
        ]

    def transfer_rows(
        self, task: str, prompts: Sequence[tuple[Ranked, Initializer]]
    ) -> list[list[Row]]:
        """Returns the rows of transfer: for each prompt, one per seed."""
        return [
            [self._row(task, ranked.id, seed, start, source=ranked.task) for seed in self.seeds]
            for ranked, start in prompts
        ]

    def describe(self, k: int) -> str:
        """Returns a line on what is trained when k prompts are retrieved."""
        seeds = len(self.seeds)
        return (
            f"To train: {seeds} rows of {self.embedding.steps} steps for the embedding; then, for "
            f"{self.target.steps} steps each, {seeds} rows from each of {k} retrieved prompts and "
            f"from each of {len(self.baselines)} starts without transfer."
        )

    def _row(
        self,
        task: str,
        name: str,
        seed: int,
        start: Initializer,
        *,
        schedule: Schedule | None = None,
        source: str | None = None,
    ) -> Row:
        return Row(
            name=row_name(task, name, f"seed{seed}"),
            task=task,
            start=start,
            seed=seed,
            schedule=schedule or self.target,
            method="prompt_tuning" if source is None else "spot",
            source=source,
        )


@dataclasses.dataclass(frozen=True)
class Started:
    """The results of one start.

    Attributes:
        prompt: The retrieved prompt, or None for vanilla prompt tuning.
        results: The results, one per seed.
    """

    prompt: Ranked | None
    results: Sequence[RowResult]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LibrarySpot:
    """The plan of transfer from a library: embeds the task, retrieves prompts, tunes all starts.

    Attributes:
        settings: The settings.
        task: The target task.
        candidates: The compatible prompts of the library; None while they are unknown.
        tell: Prints a line.
    """

    settings: LibrarySpotPlan
    task: str
    candidates: Candidates | None
    tell: Callable[[str], None]

    @property
    def tasks(self) -> Sequence[str]:
        """See `Plan`."""
        return (self.task,)

    @property
    def save_steps(self) -> tuple[int, ...]:
        """See `Plan`: none."""
        return ()

    @property
    def most_rows(self) -> int:
        """See `Plan`."""
        return len(self.outline)

    @property
    def outline(self) -> list[Row]:
        """See `Plan`; the starts of transfer rows are placeholders."""
        plan, task = self.settings, self.task
        unknown = [Ranked(f"retrieved{i}", "", "", "", "", 0.0) for i in range(self._retrieved)]
        starts = [(ranked, plan.embedding_start) for ranked in unknown]
        groups = plan.transfer_rows(task, starts) + plan.vanilla_rows(task)
        return [*plan.embedding_rows(task), *(row for rows in groups for row in rows)]

    def describe(self) -> list[str]:
        """Describes the compatible prompts, and what is trained."""
        steps = self.settings.embedding.steps
        known = [] if self.candidates is None else self.candidates.describe(steps)
        return [*known, self.settings.describe(self._retrieved)]

    def run(self, tune: Tune, directory: RunDirectory) -> list[Started]:
        """Trains all rows; returns the retrieved starts, most similar first, then the baselines.

        Prompts are ranked once. A resumed run keeps the prompts it retrieved, and says so if the
        library now has more similar ones.

        Args:
            tune: Trains rows.
            directory: The run's directory.

        Raises:
            UserError: `retrieved.json` is damaged or of other settings, or a prompt cannot be read.
        """
        assert self.candidates is not None
        plan, task = self.settings, self.task
        embedding = plan.embedding_rows(task)
        before = read_retrieval(directory, task, plan.similarity)
        if before is None or not all(_last(directory, row).exists() for row in embedding):
            tune(embedding)
        embeddings = [files.load(_last(directory, row)) for row in embedding]
        now = rank(self.candidates, embeddings, task, plan.similarity)
        if before is not None and (new := before.new_prompts(now, plan.k)):
            names = ", ".join(ranked.name for ranked in new)
            self.tell(
                f"The library has new prompts that are similar ({names}); this run keeps those it "
                f"retrieved before. Delete {directory.path / 'retrieved.json'} to rank again."
            )
        prompts = retrieve(before or now, plan.k, self.candidates.library, directory)
        self.tell(_described(prompts, plan, len((before or now).ranking), task))
        starts = [(ranked, FromFile(str(ranked.path(directory)))) for ranked in prompts]
        groups = plan.transfer_rows(task, starts) + plan.vanilla_rows(task)
        rows = [*embedding, *(row for group in groups for row in group)]
        results = iter(tune(rows)[len(embedding) :])
        origins = [*prompts, *(None for _ in plan.baselines)]
        return [
            Started(ranked, [next(results) for _ in rows])
            for ranked, rows in zip(origins, groups, strict=True)
        ]

    @property
    def _retrieved(self) -> int:
        """Number of prompts to retrieve."""
        k = self.settings.k
        return k if self.candidates is None else min(k, len(self.candidates.entries))


def keep_best(
    best: Started, plan: LibrarySpotPlan, task: str, directory: RunDirectory
) -> tuple[RowResult, str]:
    """Copies a start's best prompt on validation to `prompts/best.safetensors`.

    The copy holds the task's embedding of the same seed, by which a library retrieves it.

    Returns:
        The result of the row that tuned the prompt, and the path of the copy.
    """
    result = max(best.results, key=lambda result: result.validation)
    prompt = files.load(directory.row(result.row["name"]) / "best.safetensors")
    of_seed = {row.seed: row for row in plan.embedding_rows(task)}
    embedding = files.load(_last(directory, of_seed[result.row["seed"]])).array
    path = directory.prompts / "best.safetensors"
    kept = prompt.embedded(embedding, plan.embedding.steps)
    if not path.exists() or _content(files.load(path)) != _content(kept):
        files.save(path, kept)
    return result, str(path)


def _content(prompt: files.Prompt) -> str:
    return entry_of(prompt, Path(), 0).content


def _last(directory: RunDirectory, row: Row) -> Path:
    return directory.row(row.name) / "last.safetensors"


def _described(prompts: Sequence[Ranked], plan: LibrarySpotPlan, count: int, task: str) -> str:
    def described(ranked: Ranked) -> str:
        same = ", of the same task" if ranked.task == task else ""
        return f"{ranked.name} ({ranked.similarity:.2f}{same})"

    listed = ", ".join(map(described, prompts))
    return f"Most similar to {task} of {count} prompts, by {plan.similarity}: {listed}"
