"""Tokenizes tasks of files in memory; nothing is cached, so nothing can be stale."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prompt_tuning.data import ragged
from prompt_tuning.data.cached_task import CachedSplit, CachedTask
from prompt_tuning.data.user_task.examples import answer_postprocessor
from prompt_tuning.data.user_task.reading import FileTask
from prompt_tuning.data.vocabulary import EOS_ID, UNK_ID, Vocabulary
from prompt_tuning.types import UserError


@dataclass(frozen=True, eq=False)
class Lengths:
    """Token counts of a feature in a split.

    Attributes:
        tokens: Tokens of each text before it is cut, end of sequence included, `[n]`.
        cut: Number of texts that are cut.
        unknown: Number of texts with characters that the vocabulary lacks.
        characters: Those characters.
    """

    tokens: np.ndarray
    cut: int
    unknown: int
    characters: frozenset[str]


@dataclass(frozen=True, eq=False)
class TokenizedFile:
    """A tokenized task, its text, and its lengths by split and feature."""

    task: CachedTask
    text: FileTask
    lengths: Mapping[str, Mapping[str, Lengths]]


def tokenize_file_task(
    text: FileTask, vocabulary: Vocabulary, most_tokens: Mapping[str, int]
) -> TokenizedFile:
    """Tokenizes a task, cutting each text to its feature's length, EOS included.

    Args:
        text: The task.
        vocabulary: The model's vocabulary.
        most_tokens: The most tokens kept, by feature (`inputs`, `targets`).

    Raises:
        UserError: A label word has unknown or too many tokens, or two label words become the same
            tokens.
    """
    text = _in_vocabulary(text, vocabulary, most_tokens["targets"])
    splits: dict[str, CachedSplit] = {}
    lengths: dict[str, dict[str, Lengths]] = {}
    for split, examples in text.splits.items():
        inputs = [vocabulary.encode(example.inputs) for example in examples]
        targets = [vocabulary.encode(example.targets) for example in examples]
        fields = [
            {"inputs_pretokenized": e.inputs, "targets_pretokenized": e.targets} for e in examples
        ]
        splits[split] = CachedSplit(
            ragged.from_sequences(_cut(inputs, most_tokens["inputs"])),
            ragged.from_sequences(_cut(targets, most_tokens["targets"])),
            fields_in_memory=None if split == "train" else fields,
        )
        lengths[split] = {
            "inputs": _lengths(
                [e.inputs for e in examples], inputs, most_tokens["inputs"], vocabulary
            ),
            "targets": _lengths(
                [e.targets for e in examples], targets, most_tokens["targets"], vocabulary
            ),
        }
    task = CachedTask(
        name=text.name,
        digest=_digest(text, splits),
        splits=splits,
        labels=text.labels,
        metric_functions=text.metrics,
        postprocessor=answer_postprocessor(text.kind, text.labels),
        lengths=most_tokens,
        template=str(text.template),
    )
    return TokenizedFile(task, text, lengths)


def _in_vocabulary(text: FileTask, vocabulary: Vocabulary, longest: int) -> FileTask:
    """Returns the task with each label word as the vocabulary decodes it.

    Some vocabularies lower-case text or lack characters, so no answer could equal the word itself.
    """
    back = {word: vocabulary.decode(vocabulary.encode(word)) for word in text.labels}
    for word, read in back.items():
        pieces = vocabulary.encode(word)
        if UNK_ID in pieces or not read:
            raise UserError(
                f"{text.path}: the model's vocabulary cannot write the label word '{word}'; give "
                "it another word in TaskFile.label_words"
            )
        if len(pieces) >= longest:
            raise UserError(
                f"{text.path}: the label word '{word}' takes {len(pieces) + 1} tokens, but "
                f"TASK_FEATURE_LENGTHS keeps {longest} of targets; raise that, or give it a "
                "shorter word in TaskFile.label_words"
            )
        same = next(other for other in back if back[other] == read)
        if same != word:
            raise UserError(
                f"{text.path}: the label words '{same}' and '{word}' are the same to the model's "
                "vocabulary; give one of them another word in TaskFile.label_words"
            )
    changed = {word: read for word, read in back.items() if word != read}
    if not changed:
        return text
    written = ", ".join(f"'{word}' as '{read}'" for word, read in [*changed.items()][:4])
    return dataclasses.replace(
        text,
        splits={
            split: [e._replace(targets=changed.get(e.targets, e.targets)) for e in examples]
            for split, examples in text.splits.items()
        },
        labels=tuple(back.values()),
        notes=(*text.notes, f"the model's vocabulary writes label words differently: {written}"),
    )


def _cut(sequences: Sequence[list[int]], longest: int) -> list[list[int]]:
    return [[*ids[: longest - 1], EOS_ID] for ids in sequences]


def _lengths(
    texts: Sequence[str], sequences: Sequence[list[int]], longest: int, vocabulary: Vocabulary
) -> Lengths:
    tokens = np.array([len(ids) + 1 for ids in sequences])
    unknown = [text for text, ids in zip(texts, sequences, strict=True) if UNK_ID in ids]
    letters = {letter for text in unknown for letter in set(text)}
    return Lengths(
        tokens=tokens,
        cut=int((tokens > longest).sum()),
        unknown=len(unknown),
        characters=frozenset(letter for letter in letters if UNK_ID in vocabulary.encode(letter)),
    )


def _digest(text: FileTask, splits: Mapping[str, CachedSplit]) -> str:
    """Returns the SHA-256 of everything that affects a score: tokens, answers and metrics."""
    digest = hashlib.sha256(json.dumps([text.name, text.kind, text.labels, text.metrics]).encode())
    for name, split in splits.items():
        digest.update(f"\n{name} {len(split)}\n".encode())
        for feature in (split.inputs, split.targets):
            digest.update(feature.tokens.tobytes() + feature.offsets.tobytes())
        for example in text.splits[name] if split.has_fields else ():
            digest.update(f"{json.dumps(example.targets)}\n".encode())
    return digest.hexdigest()
