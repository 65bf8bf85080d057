"""Prompt design: a written prompt and a few examples in front of every input, without training.

This is the few-shot prompting of GPT-3 (Brown et al. 2020), a baseline of Lester et al. (2021,
figure 1).
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prompt_tuning.data import ragged
from prompt_tuning.data.cached_task import CachedTask, MixtureOrTask
from prompt_tuning.data.vocabulary import EOS_ID, Vocabulary
from prompt_tuning.types import UserError


class Cuts(NamedTuple):
    """Numbers of inputs whose prompt did not fit.

    Attributes:
        inputs: All inputs.
        examples: Inputs with fewer examples than requested.
        text: Inputs with a truncated instruction.
        query: Inputs that are truncated themselves.
    """

    inputs: int
    examples: int
    text: int
    query: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptDesign:
    """A written prompt: `text (input answer target)* input answer`.

    Each part is tokenized separately, so tokens never span two parts.

    Attributes:
        text: The instruction; may be empty.
        shots: The number of training examples, which are the same for all inputs.
        answer: The text between an input and its target, such as `Answer:`; may be empty.
        seed: Seeds the choice of examples; fewer shots keep the last of the same examples.
    """

    text: str
    shots: int
    answer: str
    seed: int

    def __post_init__(self):
        for field in ("shots", "seed"):
            if getattr(self, field) < 0:
                raise UserError(
                    f"PromptDesign.{field} must not be negative, it is {getattr(self, field)}"
                )

    def apply(
        self, task: MixtureOrTask, split: str | None, vocabulary: Vocabulary
    ) -> tuple[MixtureOrTask, Cuts]:
        """Puts the prompt in front of every input of a split.

        A prompt that is longer than the task's input length loses its examples, those furthest from
        the input first; then the end of its instruction; and last the end of the input.

        Args:
            task: The tokenized task or mixture.
            split: The split; None for `scored_split`.
            vocabulary: The vocabulary it is tokenized with.

        Returns:
            The task or mixture with this split alone, and the numbers of inputs that were cut.

        Raises:
            UserError: A task has fewer training examples than shots, or no such split.
        """
        if isinstance(task, CachedTask):
            return self._of_task(task, split or task.scored_split, vocabulary)
        parts, cuts = [], []
        for part, rate in task.parts:
            changed, of_part = self._of_task(part, split or part.scored_split, vocabulary)
            parts.append((changed, rate))
            cuts.append(of_part)
        return dataclasses.replace(task, parts=tuple(parts)), Cuts(*np.sum(cuts, axis=0).tolist())

    def _of_task(
        self, task: CachedTask, split: str, vocabulary: Vocabulary
    ) -> tuple[CachedTask, Cuts]:
        text, answer = vocabulary.encode(self.text), vocabulary.encode(self.answer)
        examples = self._examples(task, answer)
        length, cached = task.lengths["inputs"], task.split(split)
        inputs, cuts = [], np.zeros(3, int)
        for number in range(len(cached)):
            query = _without_eos(cached.inputs[number])
            tokens, cut = _fit(text, examples, query, answer, length - 1)
            inputs.append([*tokens, EOS_ID])
            cuts += cut
        changed = dataclasses.replace(cached, inputs=ragged.from_sequences(inputs))
        return dataclasses.replace(task, splits={split: changed}), Cuts(len(cached), *cuts.tolist())

    def _examples(self, task: CachedTask, answer: list[int]) -> list[list[int]]:
        """Returns the tokens of the examples, in the order of the prompt."""
        if not self.shots:
            return []
        train = task.split("train")
        if len(train) < self.shots:
            raise UserError(
                f"PromptDesign.shots is {self.shots}, but {task.name} has {len(train)} training "
                "examples; ask for fewer"
            )
        chosen = np.random.default_rng(self.seed).permutation(len(train))[: self.shots][::-1]
        return [
            [*_without_eos(train.inputs[i]), *answer, *_without_eos(train.targets[i])]
            for i in chosen
        ]


def _fit(
    text: Sequence[int],
    examples: Sequence[Sequence[int]],
    query: Sequence[int],
    answer: Sequence[int],
    room: int,
) -> tuple[list[int], tuple[bool, bool, bool]]:
    """Joins at most `room` tokens; also returns whether examples, text and query were cut."""
    kept_query = query[: max(room - len(answer), 0)]
    room -= len(kept_query) + len(answer)
    kept_text = text[: max(room, 0)]
    room -= len(kept_text)
    kept: list[Sequence[int]] = []
    for example in reversed(examples):
        if len(example) > room:
            break
        kept.insert(0, example)
        room -= len(example)
    tokens = [*kept_text, *(token for example in kept for token in example), *kept_query, *answer]
    cut = (len(kept) < len(examples), len(kept_text) < len(text), len(kept_query) < len(query))
    return tokens, cut


def _without_eos(tokens: np.ndarray) -> list[int]:
    ids = tokens.tolist()
    return ids[:-1] if ids and ids[-1] == EOS_ID else ids
