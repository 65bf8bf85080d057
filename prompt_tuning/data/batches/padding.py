"""How many encoder positions hold padding."""

from typing import NamedTuple

import numpy as np

from prompt_tuning.data.batches.pipeline import Batches


class Positions(NamedTuple):
    """Counts encoder positions, those of prompts included.

    Attributes:
        total: All that went through the encoder.
        padding: Those among them that stand for no prompt or input token of an example.
    """

    total: int = 0
    padding: int = 0

    @property
    def padding_share(self) -> float:
        """Padding among all positions, from 0 to 1; 0 where nothing was counted."""
        return self.padding / self.total if self.total else 0.0

    def plus(self, other: "Positions") -> "Positions":
        """Returns both counts together."""
        return Positions(self.total + other.total, self.padding + other.padding)


def count_positions(
    lengths: np.ndarray, width: int, *, prompt_length: int, fillers: int = 0
) -> Positions:
    """Counts the encoder positions of examples that are padded to one width.

    Args:
        lengths: `[n]` input tokens of the examples.
        width: Input tokens T that they are padded to.
        prompt_length: Tokens of the prompt in front of each, P; 0 where there is none.
        fillers: Examples beside them that only fill up an array, and so are all padding.
    """
    total = (len(lengths) + fillers) * (prompt_length + width)
    return Positions(total, total - len(lengths) * prompt_length - int(lengths.sum()))


def expect_positions(batches: Batches, count: int, *, prompt_length: int) -> Positions:
    """Counts the encoder positions of the first batches, each padded as a whole.

    Cutting batches into passes of examples of about one length saves a little more.

    Args:
        batches: The batches, which stay at their position.
        count: How many of them.
        prompt_length: Tokens of the prompt in front of each input, P; 0 where there is none.
    """
    positions = Positions()
    for position in range(count):
        _, lengths, (width, _) = batches.chosen(position)
        positions = positions.plus(count_positions(lengths, width, prompt_length=prompt_length))
    return positions
