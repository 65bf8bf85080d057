"""The published datasets as sources of SeqIO tasks."""

# The type stubs of TensorFlow and SeqIO lack or contradict much of what the libraries do.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import seqio
import tensorflow as tf

from prompt_tuning.data.datasets.dataset import HELD_BACK, Dataset, Example
from prompt_tuning.data.datasets.reader import Reader
from prompt_tuning.data.prefix_lm import DRAW
from prompt_tuning.types import UserError

_CHUNK = 256  # a chunk costs TensorFlow as much as a single example of a generator would


@dataclasses.dataclass
class Directories:
    """The data directories of this process, global like SeqIO's override of the TFDS directory.

    Attributes:
        data_dir: `DATA_DIR`, JSON lines by dataset; None for TensorFlow Datasets alone.
        tfds_data_dir: Data directory of TensorFlow Datasets; None for its default.
    """

    data_dir: str | None = None
    tfds_data_dir: str | None = None


DIRECTORIES = Directories()


class DatasetSource(seqio.DataSource):
    """A SeqIO source of the examples of a published dataset, formatted as text.

    Args:
        dataset: The dataset.
        prefixed: Whether inputs begin with the dataset's task prefix.
        leaderboard: Whether to provide only the split without public labels, as `test`.
    """

    def __init__(self, dataset: Dataset, *, prefixed: bool, leaderboard: bool = False):
        super().__init__(splits=())
        self.dataset = dataset
        self._prefix = f"{dataset.prefix} " if prefixed and dataset.prefix else ""
        self._leaderboard = leaderboard
        self.failure: UserError | None = None

    @property
    def splits(self) -> Sequence[str]:
        """The available splits."""
        return ("test",) if self._leaderboard else tuple(self._reader().splits)

    @property
    def files(self) -> list[str]:
        """The local files the examples are read from."""
        reader = self._reader()
        splits = (HELD_BACK,) if self._leaderboard else reader.splits
        return [str(path) for path in reader.files(splits)]

    @property
    def possible_files(self) -> list[str]:
        """The local files that would be read if they existed."""
        return [str(path) for path in self._reader().possible_files(leaderboard=self._leaderboard)]

    @property
    def awaits_download(self) -> bool:
        """Whether TensorFlow Datasets has yet to download the dataset."""
        return self._reader().awaits_download

    @property
    def supports_arbitrary_sharding(self) -> bool:
        """False: a split has one shard."""
        return False

    def list_shards(self, split: str) -> Sequence[str]:
        """Returns the only shard of a split."""
        return [split]

    def num_input_examples(self, split: str) -> int:
        """Returns the number of examples in a split."""
        return self._reader().count(HELD_BACK if self._leaderboard else split)

    def get_dataset(self, split="train", shuffle=False, seed=None, shard_info=None, **unused):
        """Returns the examples of a split, in order; shuffling is left to the input pipeline."""
        del shuffle, seed, unused
        if shard_info and shard_info.num_shards > 1:
            raise ValueError("a dataset has one shard; shard its examples instead")
        return self._dataset(split, lambda: self._examples(split), seed=0, start=0)

    def stream(self, *, seed: int, start: int) -> tf.data.Dataset:
        """Returns the training examples of a streamed dataset, repeated without end.

        Args:
            seed: With an example's number, seeds what preprocessors draw at random for it.
            start: The number of the first example.
        """
        read = self._reader().endless
        return self._dataset("train", lambda: read("train", start), seed=seed, start=start)

    def _dataset(
        self, split: str, read: Callable[[], Iterator[Example]], *, seed: int, start: int
    ) -> tf.data.Dataset:
        """Returns the examples that `read` yields, numbered from `start`."""

        def complete(number: int, example: Example) -> Example:
            draw = {DRAW: [seed, number]} if self.dataset.unlabeled else {}
            return {**example, "inputs": self._prefix + example["inputs"], **draw}

        first = complete(start, next(self._examples(split)))
        specs = {name: _spec(value) for name, value in first.items()}

        def generate() -> Iterator[dict[str, Any]]:
            try:
                examples = itertools.starmap(complete, enumerate(read(), start))
                while chunk := list(itertools.islice(examples, _CHUNK)):
                    yield {
                        name: _column([example[name] for example in chunk], spec)
                        for name, spec in specs.items()
                    }
            except UserError as error:
                # TensorFlow buries it in pages of its own; `source_failures` looks here.
                self.failure = error
                raise

        chunks = tf.data.Dataset.from_generator(generate, output_signature=specs)
        return chunks.unbatch().map(dict)  # the map turns ragged rows into plain tensors

    def _examples(self, split: str) -> Iterator[Example]:
        return self._reader().examples(HELD_BACK if self._leaderboard else split)

    def _reader(self) -> Reader:
        return Reader(self.dataset, DIRECTORIES.data_dir, DIRECTORIES.tfds_data_dir)


def _spec(value: Any) -> tf.TensorSpec | tf.RaggedTensorSpec:
    """Returns the tensor specification of a chunk of values like this one."""
    kinds = {str: tf.string, bool: tf.bool, int: tf.int64, float: tf.float32}
    if isinstance(value, list | tuple):
        return tf.RaggedTensorSpec([None, None], kinds[type(value[0])] if value else tf.string)
    return tf.TensorSpec([None], kinds[type(value)])


def _column(values: list[Any], spec: tf.TensorSpec | tf.RaggedTensorSpec) -> Any:
    if isinstance(spec, tf.TensorSpec):
        return values
    flat = tf.constant(list(itertools.chain.from_iterable(values)), spec.dtype)
    return tf.RaggedTensor.from_row_lengths(flat, list(map(len, values)))
