"""What a run retrieves from a library, once: later changes of the library do not change the run.

`MODEL_DIR/retrieved.json` holds the ranking, `MODEL_DIR/retrieved/` copies of the prompts.
"""

import dataclasses
import json
import math
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

from prompt_tuning.prompts import files
from prompt_tuning.storage import write_json
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.transfer.library.candidates import Candidates
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.types import UserError

_DIGITS = 6  # of a similarity that count


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A prompt of a library as it was ranked.

    Attributes:
        id: Names it in the library.
        name: What it was called when it was tuned.
        task: The task it was tuned on, "" where that is not known.
        seed: The seed it was tuned with, as text, "" where that is not known.
        digest: `files.digest` of the prompt.
        similarity: Mean similarity of its key to the target's embeddings.
    """

    id: str
    name: str
    task: str
    seed: str
    digest: str
    similarity: float

    def path(self, directory: RunDirectory) -> Path:
        """Returns where a run keeps its copy."""
        return directory.path / "retrieved" / f"{self.id}.safetensors"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retrieval:
    """Holds how the prompts of a library were ranked for a task.

    Attributes:
        library: Path of the library.
        task: The target task.
        similarity: A name of `similarity.SIMILARITIES`.
        ranking: Its different prompts that fit, from the most similar on.
    """

    library: str
    task: str
    similarity: str
    ranking: tuple[Ranked, ...]

    def newcomers(self, now: "Retrieval", k: int) -> list[Ranked]:
        """Returns what is among the first k prompts of a later ranking and was not ranked here."""
        known = {ranked.digest for ranked in self.ranking}
        return [ranked for ranked in now.ranking[:k] if ranked.digest not in known]


def rank(
    candidates: Candidates, embeddings: Sequence[files.Prompt], task: str, similarity: str
) -> Retrieval:
    """Ranks the prompts of a library by their mean similarity to a task's embeddings.

    Of prompts that are equal, the most similar entry counts. Of prompts of a task that are found by
    the same embedding, such as those of a study that are tuned from different sources, the one
    best on validation counts.

    Args:
        candidates: The prompts.
        embeddings: Task embeddings of the target, one for each seed.
        task: The target task.
        similarity: A name of `similarity.SIMILARITIES`.
    """
    values: dict[str, list[float]] = {}
    for embedding in embeddings:
        ranked = candidates.library.search(embedding, candidates.entries, similarity)
        for entry, value in ranked:
            values.setdefault(entry.name, []).append(float(value))
    ranking = [
        Ranked(
            id=entry.name,
            name=entry.label or entry.name,
            task=entry.task,
            seed=entry.metadata.get("seed", ""),
            digest=entry.digest,
            similarity=sum(values[entry.name]) / len(embeddings),
        )
        for entry in candidates.entries
    ]
    validation = {
        entry.name: entry.metrics.get("validation", -math.inf) for entry in candidates.entries
    }
    ranking.sort(key=lambda one: (-round(one.similarity, _DIGITS), -validation[one.id], one.id))
    embedded = {entry.name for entry in candidates.entries if entry.has_embedding}
    return Retrieval(
        library=str(Path(candidates.library.path).absolute()),
        task=task,
        similarity=similarity,
        ranking=tuple(_distinct(ranking, embedded)),
    )


def _distinct(ranking: Sequence[Ranked], embedded: Container[str]) -> Iterator[Ranked]:
    """Yields the first of equal prompts, and of those of a task that have the same embedding."""
    seen: set[object] = set()
    for ranked in ranking:
        marks: set[object] = {ranked.digest}
        if ranked.id in embedded:
            # Equal embeddings are as similar, but for the order in which sums are taken.
            marks.add((ranked.task, round(ranked.similarity, _DIGITS)))
        if not marks & seen:
            yield ranked
        seen |= marks


def retrieve(
    retrieval: Retrieval, k: int, library: Library, directory: RunDirectory
) -> list[Ranked]:
    """Returns the k most similar prompts, of which the run's directory has copies from now on.

    Raises:
        UserError: A prompt is neither in the run's directory nor in the library, or is damaged.
    """
    chosen = list(retrieval.ranking[:k])
    for ranked in chosen:
        path = ranked.path(directory)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            files.save(path, library.load(library.find(ranked.id)))
        if files.digest(files.load(path).array) != ranked.digest:
            raise UserError(f"{path}: not the prompt that was retrieved; delete it")
    content = dataclasses.asdict(retrieval) | {"retrieved": [ranked.id for ranked in chosen]}
    write_json(_record(directory), content)
    return chosen


def read_retrieval(directory: RunDirectory, task: str, similarity: str) -> Retrieval | None:
    """Returns how prompts were ranked when the run in a directory began; None if it did not yet.

    Raises:
        UserError: The file is damaged, or of another task or similarity.
    """
    path = _record(directory)
    try:
        retrieval = _retrieval(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UserError(f"{path}: damaged; delete it, and prompts are ranked again") from None
    pairs = (("task", retrieval.task, task), ("similarity", retrieval.similarity, similarity))
    for what, value, wanted in pairs:
        if value != wanted:
            raise UserError(
                f"{path}: prompts were ranked for the {what} '{value}', not '{wanted}'; give "
                "another MODEL_DIR, or delete the file to rank again"
            )
    return retrieval


def _retrieval(content: dict[str, Any]) -> Retrieval:
    ranking = tuple(Ranked(**fields) for fields in content["ranking"])
    if any(Path(ranked.id).name != ranked.id for ranked in ranking):
        raise ValueError("an id that is no name of a file")
    return Retrieval(
        library=content["library"],
        task=content["task"],
        similarity=content["similarity"],
        ranking=ranking,
    )


def _record(directory: RunDirectory) -> Path:
    return directory.path / "retrieved.json"
