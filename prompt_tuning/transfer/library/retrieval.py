"""Retrieves prompts from a library, once per run, so that later changes do not affect the run.

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

_DIGITS = 6  # decimals at which similarities are compared


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A ranked prompt of a library.

    Attributes:
        id: Name of its entry in the library.
        name: The prompt's own name.
        task: The task it was tuned on; empty where unknown.
        seed: The seed it was tuned with, as text; empty where unknown.
        digest: `files.digest` of the prompt.
        similarity: Mean similarity of its search key to the target's embeddings.
    """

    id: str
    name: str
    task: str
    seed: str
    digest: str
    similarity: float

    def path(self, directory: RunDirectory) -> Path:
        """Returns the path of the run's copy."""
        return directory.path / "retrieved" / f"{self.id}.safetensors"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retrieval:
    """The ranking of a library's prompts for a task.

    Attributes:
        library: Path of the library.
        task: The target task.
        similarity: A name of `similarity.SIMILARITIES`.
        ranking: The distinct compatible prompts, most similar first.
    """

    library: str
    task: str
    similarity: str
    ranking: tuple[Ranked, ...]

    def new_prompts(self, now: "Retrieval", k: int) -> list[Ranked]:
        """Returns those of the top k prompts of a later ranking that are not ranked here."""
        known = {ranked.digest for ranked in self.ranking}
        return [ranked for ranked in now.ranking[:k] if ranked.digest not in known]


def rank(
    candidates: Candidates, embeddings: Sequence[files.Prompt], task: str, similarity: str
) -> Retrieval:
    """Ranks the prompts of a library by their mean similarity to a task's embeddings.

    Only the most similar of equal prompts is ranked. Of prompts of one task with the same
    embedding, such as those that a study tunes from different sources, only the best on validation
    is.

    Args:
        candidates: The prompts.
        embeddings: Task embeddings of the target, one per seed.
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
    """Yields the first of equal prompts, and of prompts of one task with the same embedding."""
    seen: set[object] = set()
    for ranked in ranking:
        marks: set[object] = {ranked.digest}
        if ranked.id in embedded:
            # Equal embeddings have equal similarities, up to the order of summation.
            marks.add((ranked.task, round(ranked.similarity, _DIGITS)))
        if not marks & seen:
            yield ranked
        seen |= marks


def retrieve(
    retrieval: Retrieval, k: int, library: Library, directory: RunDirectory
) -> list[Ranked]:
    """Returns the k most similar prompts, after copying them to the run's directory.

    Raises:
        UserError: A prompt is missing from both the run's directory and the library, or damaged.
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
    write_json(_file(directory), content)
    return chosen


def read_retrieval(directory: RunDirectory, task: str, similarity: str) -> Retrieval | None:
    """Reads the ranking of a run; None if it has not ranked prompts yet.

    Raises:
        UserError: The file is damaged, or is for another task or similarity.
    """
    path = _file(directory)
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
        raise ValueError("an id is not a file name")
    return Retrieval(
        library=content["library"],
        task=content["task"],
        similarity=content["similarity"],
        ranking=ranking,
    )


def _file(directory: RunDirectory) -> Path:
    return directory.path / "retrieved.json"
