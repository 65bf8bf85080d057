"""Counts the encoder positions that are padding."""

from typing import NamedTuple

import numpy as np

from prompt_tuning.data.batches.pipeline import Batches


class Positions(NamedTuple):
    """Numbers of encoder positions, prompts included.

    Attributes:
        total: All positions.
        padding: Positions without a prompt token or an input token of an example.
    """

    total: int = 0
    padding: int = 0

    @property
    def padding_share(self) -> float:
        """The share of padding in all positions, from 0 to 1; 0 if there are none."""
        return self.padding / self.total if self.total else 0.0

    def plus(self, other: "Positions") -> "Positions":
        """Returns the sum of both."""
        return Positions(self.total + other.total, self.padding + other.padding)


def count_positions(
    lengths: np.ndarray, width: int, *, prompt_length: int, fillers: int = 0
) -> Positions:
    """Counts the encoder positions of examples that are padded to one width.

    Args:
        lengths: `[n]`, the input tokens of the examples.
        width: The width T they are padded to.
        prompt_length: Prompt tokens in front of each example, P; 0 without a prompt.
        fillers: The number of additional examples that are padding entirely.
    """
    total = (len(lengths) + fillers) * (prompt_length + width)
    return Positions(total, total - len(lengths) * prompt_length - int(lengths.sum()))


def expect_positions(batches: Batches, count: int, *, prompt_length: int) -> Positions:
    """Counts the encoder positions of the first batches, each padded as a whole.

    Microbatches of examples of similar length need slightly less padding.

    Args:
        batches: The batches; their position does not change.
        count: The number of batches to count.
        prompt_length: Prompt tokens in front of each input, P; 0 without a prompt.
    """
    positions = Positions()
    for position in range(count):
        _, lengths, (width, _) = batches.chosen(position)
        positions = positions.plus(count_positions(lengths, width, prompt_length=prompt_length))
    return positions
