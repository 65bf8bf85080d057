"""Batches of training examples: seeded, resumable, sharded by process, grouped by length."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prompt_tuning.data import ragged
from prompt_tuning.data.batches.quotas import Quotas
from prompt_tuning.data.batches.shapes import Shape, choose_shapes, smallest_fit
from prompt_tuning.data.cached_task import Block, CachedSplit, StreamedSplit
from prompt_tuning.types import UserError

if TYPE_CHECKING:
    from prompt_tuning.data.cache.stream import Stream

__all__ = ["Batches", "Chosen", "HostBatch", "Part", "choose_shapes"]

Part = tuple[CachedSplit | StreamedSplit, float]
"""A training split and the rate at which to draw from it, relative to other parts."""

_STREAM_BATCHES = 32  # per window with streamed examples, which stay in memory until its end
_MOST_BATCHES = 128  # per window: enough that few batches straddle two shapes
_FEWEST_BATCHES = 4
_PERMUTATION, _WINDOW, _PHASE, _ORDER = range(4)  # the purpose of a random stream


class Chosen(NamedTuple):
    """The examples of a batch, over all processes.

    Attributes:
        examples: `[B]`, numbers of examples, counted through the parts in order. Streamed examples
            are numbered after all others, within their window of batches.
        input_lengths: `[B]`, their input tokens.
        shape: The (T, L) they are padded to.
    """

    examples: np.ndarray
    input_lengths: np.ndarray
    shape: Shape


class _Drawn(NamedTuple):
    """Drawn examples: their numbers, input and target tokens, and smallest fitting shape."""

    numbers: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray
    fit: np.ndarray


class _Window(NamedTuple):
    """A window of W batches: numbers and input tokens of examples, `[W, B]`, and shapes, `[W]`.

    Numbers beyond the examples in memory are those of the `streamed` ones.
    """

    number: int
    examples: np.ndarray
    input_tokens: np.ndarray
    shapes: np.ndarray
    streamed: tuple[Block, ...]


class HostBatch(NamedTuple):
    """This process's share of a batch.

    Attributes:
        encoder_tokens: `[B, T]` int32, padded with 0.
        targets: `[B, L]` int32, padded with 0.
        part: `[B]` int32, the part that each example was drawn from.
    """

    encoder_tokens: np.ndarray
    targets: np.ndarray
    part: np.ndarray

    @property
    def input_lengths(self) -> np.ndarray:
        """The input tokens of each example, `[B]`."""
        return (self.encoder_tokens > 0).sum(1)


class Batches:
    """An endless, resumable sequence of batches; batch k depends on the seed and k alone.

    Each part is read in epochs, each a seeded permutation; a streamed part is read in its own
    order. Drawn examples are collected in windows of several batches. Within a window, the number
    of examples of each part is its share to within one; over windows, the shares are exact. A
    window is sorted by the smallest shape that fits, keeping the drawn order within a shape, and
    cut into batches, which are then shuffled. So the examples of a batch are of similar length, and
    examples of small datasets still meet in new combinations. The shuffle is the same for all
    seeds: rows of a task that train together have short and long batches at the same steps, and can
    share microbatches without padding.

    Process p of n gets examples `[p B / n, (p + 1) B / n)` of each batch, padded to its shape.
    """

    def __init__(
        self,
        parts: CachedSplit | StreamedSplit | Sequence[Part],
        *,
        batch_size: int,
        seed: int,
        shapes: Sequence[Shape],
        process_index: int,
        process_count: int,
    ):
        """Prepares to draw from position 0.

        Args:
            parts: A split, or several with their rates.
            batch_size: Examples in a batch, over all processes.
            seed: Seeds the order; not negative.
            shapes: The shapes (T, L) a batch may be padded to.
            process_index: The number of this process.
            process_count: The number of processes that share each batch.

        Raises:
            UserError: A part is empty, a rate is not positive, or an example fits no shape.
        """
        if isinstance(parts, CachedSplit | StreamedSplit):
            parts = [(parts, 1.0)]
        _check(parts, batch_size, seed, process_index, process_count)
        held = [split for split, _ in parts if isinstance(split, CachedSplit)]
        streamed = {
            part: split for part, (split, _) in enumerate(parts) if isinstance(split, StreamedSplit)
        }
        self._streams = _open_streams(streamed, seed) if streamed else {}
        self.batch_size = batch_size
        self.seed = seed
        self.shapes = sorted(shapes)
        self._inputs = ragged.concatenate([split.inputs for split in held])
        self._targets = ragged.concatenate([split.targets for split in held])
        self._input_lengths = self._inputs.lengths
        self._target_lengths = self._targets.lengths
        try:
            self._fit = smallest_fit(self.shapes, self._input_lengths, self._target_lengths)
        except ValueError as error:
            raise UserError(f"{error}; make the largest shape at least that long") from error
        self._sizes = np.array(
            [len(split) if isinstance(split, CachedSplit) else 0 for split, _ in parts]
        )
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)])
        self._window_batches = (
            _STREAM_BATCHES
            if self._streams
            else int(np.clip(self._sizes.sum() // batch_size, _FEWEST_BATCHES, _MOST_BATCHES))
        )
        self._quotas = Quotas(
            [rate for _, rate in parts],
            self._window_batches * batch_size,
            float(_generator(seed, _PHASE, 0, 0).random()),
        )
        share = batch_size // process_count
        self._own = slice(process_index * share, (process_index + 1) * share)
        self._epochs: dict[int, tuple[int, np.ndarray]] = {}
        self._window = _Window(-1, self._starts, self._starts, self._starts, ())
        self.position = 0

    def __iter__(self) -> Iterator[HostBatch]:
        return self

    def __next__(self) -> HostBatch:
        return self.next()

    def next(self) -> HostBatch:
        """Returns the batch at the current position and moves on."""
        examples, _, shape = self.chosen(self.position)
        streamed = self._window.streamed
        self.position += 1
        examples = examples[self._own]
        inputs = [self._inputs, *(block.inputs for block in streamed)]
        targets = [self._targets, *(block.targets for block in streamed)]
        return HostBatch(
            ragged.padded(inputs, examples, shape[0]),
            ragged.padded(targets, examples, shape[1]),
            self._parts_of(examples),
        )

    def chosen(self, position: int) -> Chosen:
        """Returns the examples of the batch at a position."""
        window, batch = divmod(position, self._window_batches)
        if self._window.number != window:
            self._window = self._form_window(window)
        return Chosen(
            self._window.examples[batch],
            self._window.input_tokens[batch],
            self.shapes[self._window.shapes[batch]],
        )

    def state(self) -> dict[str, int]:
        """Returns the position, with the settings and data that `restore` compares."""
        return {"position": self.position, **self._identity()}

    def restore(self, state: dict[str, int]) -> None:
        """Moves to a position that `state` returned, in this process or another.

        Raises:
            UserError: The state has another seed, another batch size or other data.
        """
        for name, value in self._identity().items():
            if int(state[name]) != value:
                raise UserError(
                    f"the data position was saved with {name} {state[name]}, now it is {value}; "
                    "resume with the settings and data of the first run, or start a new one"
                )
        self.position = int(state["position"])

    def _identity(self) -> dict[str, int]:
        tokens = len(self._inputs.tokens) + len(self._targets.tokens)
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "examples": int(self._sizes.sum()),
            "tokens": tokens,
        }

    def _form_window(self, window: int) -> _Window:
        random = _generator(self.seed, _WINDOW, window, 0)
        quotas = self._quotas.of(np.array([window]))[0]
        drawn_before = self._quotas.before(window)
        blocks = {
            part: stream.take(int(drawn_before[part]), int(quotas[part]))
            for part, stream in self._streams.items()
        }
        first = len(self._inputs)
        of_part = []
        for part, quota in enumerate(quotas):
            if part in blocks:
                of_part.append(self._streamed(blocks[part], first))
                first += len(blocks[part].inputs)
            else:
                of_part.append(self._held(self._drawn(part, int(drawn_before[part]), int(quota))))
        if len(of_part) == 1:
            drawn = np.stack(of_part[0])
        else:
            slots = random.permutation(np.repeat(np.arange(len(quotas)), quotas))
            drawn = np.empty((len(_Drawn._fields), len(slots)), np.int64)
            for part, values in enumerate(of_part):
                drawn[:, slots == part] = values
        drawn = drawn[:, np.argsort(drawn[-1], kind="stable")]
        drawn = drawn.reshape(len(drawn), self._window_batches, self.batch_size)
        order = _generator(0, _ORDER, window, 0).permutation(self._window_batches)
        examples, inputs, targets, _ = drawn[:, order]
        shapes = smallest_fit(self.shapes, inputs.max(1), targets.max(1))
        return _Window(window, examples, inputs, shapes, tuple(blocks.values()))

    def _parts_of(self, examples: np.ndarray) -> np.ndarray:
        """Returns the part of each of the examples `[B]` in the current window."""
        held = [part for part in range(len(self._sizes)) if part not in self._streams]
        sizes = [self._sizes[part] for part in held]
        sizes += [len(block.inputs) for block in self._window.streamed]
        parts = np.array([*held, *self._streams][: len(sizes)], np.int32)
        return parts[np.searchsorted(np.cumsum(sizes), examples, side="right")]

    def _held(self, numbers: np.ndarray) -> _Drawn:
        return _Drawn(
            numbers, self._input_lengths[numbers], self._target_lengths[numbers], self._fit[numbers]
        )

    def _streamed(self, block: Block, first: int) -> _Drawn:
        inputs, targets = block.inputs.lengths, block.targets.lengths
        numbers = first + np.arange(len(inputs))
        return _Drawn(numbers, inputs, targets, smallest_fit(self.shapes, inputs, targets))

    def _drawn(self, part: int, start: int, count: int) -> np.ndarray:
        """Returns the example numbers of `count` draws from a part, starting at draw `start`."""
        size = int(self._sizes[part])
        pieces = []
        while count > 0:
            epoch, offset = divmod(start, size)
            piece = self._permutation(part, epoch)[offset : offset + count]
            pieces.append(piece)
            start, count = start + len(piece), count - len(piece)
        return np.concatenate([np.zeros(0, np.int64), *pieces]) + self._starts[part]

    def _permutation(self, part: int, epoch: int) -> np.ndarray:
        if self._epochs.get(part, (-1,))[0] != epoch:
            random = _generator(self.seed, _PERMUTATION, epoch, part)
            self._epochs[part] = (epoch, random.permutation(int(self._sizes[part])))
        return self._epochs[part][1]


def _generator(seed: int, purpose: int, number: int, part: int) -> np.random.Generator:
    # Philox is counter-based, so each (purpose, number, part) has 2**64 draws of its own.
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, number, part, purpose]))


def _open_streams(splits: Mapping[int, StreamedSplit], seed: int) -> "dict[int, Stream]":
    from prompt_tuning.data.cache.stream import Stream

    return {part: Stream(split, seed) for part, split in splits.items()}


def _check(
    parts: Sequence[Part], batch_size: int, seed: int, process_index: int, process_count: int
) -> None:
    if batch_size < 1 or batch_size % process_count:
        raise UserError(
            f"batch size {batch_size} over {process_count} processes; "
            "make it a positive multiple of the number of processes"
        )
    if not 0 <= process_index < process_count:
        raise ValueError(f"process {process_index} of {process_count}")
    if seed < 0:
        raise UserError(f"data seed {seed} is negative; use 0 or more")
    held = [split for split, _ in parts if isinstance(split, CachedSplit)]
    if not parts or any(len(split) == 0 for split in held):
        raise UserError("a training split has no examples; check the task's preprocessors")
    if any(not rate > 0 or math.isinf(rate) for _, rate in parts):
        raise UserError(
            f"mixture rates are {[rate for _, rate in parts]}; every rate has to be positive"
        )
