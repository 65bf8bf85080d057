"""A text that all targets begin with and that is not part of the answer.

A T5 that was only pre-trained on span corruption begins every target with a sentinel. Prompts for
it work better if the targets of a task begin with one too ("Span Corruption + Sentinel", Lester et
al. 2021, section 3.2).
"""

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from prompt_tuning.data.cached_task import CachedMixture, CachedTask, MixtureOrTask
from prompt_tuning.data.ragged import Ragged
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError


def with_target_prefix(task: MixtureOrTask, prefix: str, vocabulary: Vocabulary) -> MixtureOrTask:
    """Puts a text in front of every target; scoring removes it from answers.

    Args:
        task: The tokenized task or mixture.
        prefix: The text, such as `<extra_id_0>`.
        vocabulary: The vocabulary the task is tokenized with.

    Raises:
        UserError: The training split is streamed.
    """
    digest = hashlib.sha256(f"{task.digest} {prefix}".encode()).hexdigest()
    if isinstance(task, CachedMixture):
        parts = tuple(
            (dataclasses.replace(part, **_changes(part, prefix, vocabulary)), rate)
            for part, rate in task.parts
        )
        return dataclasses.replace(task, digest=digest, parts=parts)
    return dataclasses.replace(task, digest=digest, **_changes(task, prefix, vocabulary))


def _changes(task: CachedTask, prefix: str, vocabulary: Vocabulary) -> dict:
    if task.stream is not None:
        raise UserError(
            f"the targets of {task.name} are streamed as they are; set TARGET_PREFIX to ''"
        )
    tokens = vocabulary.encode(prefix)
    splits = {
        name: dataclasses.replace(split, targets=_prefixed(split.targets, tokens))
        for name, split in task.splits.items()
    }
    lengths = {**task.lengths, "targets": task.lengths["targets"] + len(tokens)}
    return {"splits": splits, "lengths": lengths, "target_prefix": prefix}


def _prefixed(targets: Ragged, prefix: Sequence[int]) -> Ragged:
    count, size = len(targets), len(prefix)
    places = np.repeat(targets.offsets[:-1], size)
    tokens = np.insert(
        targets.tokens[: targets.offsets[-1]], places, np.tile(np.asarray(prefix, np.int32), count)
    )
    return Ragged(tokens, targets.offsets + size * np.arange(count + 1))
