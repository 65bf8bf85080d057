"""Reads published datasets from TensorFlow Datasets or from JSON lines on disk.

Both give the same records. A line of `DATA_DIR/<folder>/<split>.jsonl` is an object with the fields
of the builder: labels are integers, nested features are objects and lists.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prompt_tuning.data.datasets.dataset import (
    HELD_BACK,
    SPLIT,
    BadRecordError,
    Dataset,
    Example,
    Record,
)
from prompt_tuning.types import UserError, nearest

_ENOUGH = 2**20
"""Counts of streamed examples stop here, at twice the cap of SPoT's mixtures."""


class Reader:
    """Reads the examples of a dataset.

    Args:
        dataset: The dataset.
        data_dir: A directory with a folder for each dataset, or None. Without a folder for this
            dataset, it is read from TensorFlow Datasets.
        tfds_data_dir: Data directory of TensorFlow Datasets, or None for its default.

    Raises:
        UserError: The dataset has neither a folder nor a builder, or the folder lacks a split.
    """

    def __init__(self, dataset: Dataset, data_dir: str | None, tfds_data_dir: str | None):
        self._dataset = dataset
        self._tfds_data_dir = tfds_data_dir
        self._data_dir = data_dir
        folder = Path(data_dir, dataset.folder) if data_dir else None
        self._folder = folder if folder is not None and folder.is_dir() else None
        self._holds_out = bool(dataset.holdout) and not self._has_file("validation")
        if self._folder is None and dataset.tfds is None:
            raise UserError(
                f"dataset {dataset.name} is not in TensorFlow Datasets; {self._remedy()}"
            )
        self.splits = self._file_splits() if self._folder else self._declared_splits()

    def files(self, splits: Iterable[str]) -> list[Path]:
        """Returns the JSONL files of splits; none if they come from TensorFlow Datasets."""
        if self._folder is None:
            return []
        return [self._file(name) for split in splits for name in self._names(split)]

    def possible_files(self, *, leaderboard: bool) -> list[Path]:
        """Returns all JSONL files that would be read if they existed.

        Args:
            leaderboard: Whether to return those of the held-back split alone.
        """
        if self._data_dir is None:
            return []
        names = [*self._dataset.leaderboard]
        if not leaderboard:
            names += itertools.chain.from_iterable(self._dataset.splits.values())
            names += ["validation"] if self._dataset.holdout else []
        folder = Path(self._data_dir, self._dataset.folder)
        return [folder / f"{name}.jsonl" for name in dict.fromkeys(names)]

    @property
    def awaits_download(self) -> bool:
        """Whether TensorFlow Datasets has yet to download the dataset."""
        return self._folder is None and not self._builder().is_prepared()

    def examples(self, split: str) -> Iterator[Example]:
        """Yields the examples of a split of the task, or of `HELD_BACK`.

        Records without a label (-1) are skipped, except in `HELD_BACK`.

        Raises:
            UserError: The data cannot be read, a record is malformed, or there are no examples.
        """
        return itertools.islice(self._all(split), self._dataset.limits.get(split))

    def endless(self, split: str, start: int) -> Iterator[Example]:
        """Yields the examples of a streamed split over and over, starting at number `start`.

        Records before it are skipped without parsing them.

        Raises:
            UserError: The data cannot be read, a record is malformed, or there are no examples.
        """
        (name,) = self._names(split)
        while True:
            count = 0
            for where, record in self._records(name, start):
                count += 1
                (example,) = self._formatted(name, where, record)
                yield example
            if count:
                start = 0
                continue
            size = self._size(name)  # `start` is beyond the last record
            if size == 0:
                raise self._empty((name,))
            start %= size

    def _all(self, split: str) -> Iterator[Example]:
        names = self._names(split)
        count = unlabeled = 0
        for name in names:
            for number, (where, record) in enumerate(self._records(name), start=1):
                if self._is_elsewhere(split, number):
                    continue
                if split != HELD_BACK and record.get("label") == -1:
                    unlabeled += 1
                    continue
                examples = self._formatted(name, where, record)
                count += len(examples)
                yield from examples
        if count == 0:
            raise self._empty(names, unlabeled)

    def _formatted(self, name: str, where: str, record: Record) -> list[Example]:
        """Formats a record of a split of the source as examples."""
        missing = [field for field in self._dataset.fields if field not in record]
        if missing:
            hint = nearest(missing[0], record)
            raise UserError(f"{where}: no field {', '.join(missing)}{hint}; add it")
        try:
            return list(self._dataset.format({**record, SPLIT: name}))
        except BadRecordError as error:
            raise UserError(f"{where}: {error}") from error
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{where}: a field is not as in {self._dataset.tfds or 'docs/data.md'} "
                f"({type(error).__name__}: {error})"
            ) from error

    def _empty(self, names: Sequence[str], unlabeled: int = 0) -> UserError:
        return UserError(
            f"dataset {self._dataset.name}: split {'+'.join(names)} has no examples"
            + (f" but {unlabeled} records labeled -1, which are left out" if unlabeled else "")
            + (f"; fill {self._file(names[0])}" if self._folder else "")
        )

    def count(self, split: str) -> int:
        """Counts the examples of a split, or its records in a builder whose `sizes` are unknown.

        Counting a streamed split in a file stops where more makes no difference to a mixture.
        """
        if self._folder is not None and self._dataset.streamed:
            (name,) = self._names(split)
            most = self._dataset.limits.get(split, _ENOUGH)
            return sum(1 for _ in itertools.islice(_lines(self._file(name)), most))
        if self._folder is not None:
            return sum(1 for _ in self.examples(split))
        if split in self._dataset.sizes:
            return self._dataset.sizes[split]
        splits = self._builder().info.splits
        return sum(splits[name].num_examples for name in self._names(split))

    def _is_elsewhere(self, split: str, number: int) -> bool:
        """Returns whether the holdout puts a training record into the other of the two splits."""
        if not self._holds_out or split not in ("train", "validation"):
            return False
        return (number % self._dataset.holdout == 0) != (split == "validation")

    def _names(self, split: str) -> Sequence[str]:
        """Returns the splits of the source that a split is read from."""
        return self._dataset.leaderboard if split == HELD_BACK else self.splits[split]

    def _has_file(self, name: str) -> bool:
        return self._folder is not None and self._file(name).is_file()

    def _declared_splits(self) -> dict[str, Sequence[str]]:
        splits = dict(self._dataset.splits)
        return splits | ({"validation": splits["train"]} if self._holds_out else {})

    def _file_splits(self) -> dict[str, Sequence[str]]:
        """Returns the splits with files; `test` may be a held-back split whose file has labels."""
        splits = self._declared_splits()
        held_back = self._dataset.leaderboard
        if held_back and "test" not in splits and self._is_labeled(held_back):
            splits["test"] = held_back
        for split in ("train", "validation"):
            for name in splits.get(split, ()):
                if not self._has_file(name):
                    raise UserError(f"{self._file(name)} is missing; {self._remedy()}")
        return {k: v for k, v in splits.items() if all(map(self._has_file, v))}

    def _is_labeled(self, names: Sequence[str]) -> bool:
        if not all(self._has_file(name) for name in names):
            return False
        firsts = [next(self._records(name), ("", {})) for name in names]
        return all(record.get("label", -1) != -1 for _, record in firsts)

    def _size(self, name: str) -> int:
        """Counts the records of a split of the source."""
        if self._folder is not None:
            return sum(1 for _ in _lines(self._file(name)))
        return self._builder().info.splits[name].num_examples

    def _records(self, name: str, start: int = 0) -> Iterator[tuple[str, Record]]:
        """Yields the records of a split of the source from `start` on, each with its location."""
        if self._folder is None:
            yield from self._tfds_records(name, start)
            return
        path = self._file(name)
        for number, line in itertools.islice(_lines(path), start, None):
            where = f"{path}, line {number}"
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                reason = f"{error.msg}, at character {error.pos + 1}"
                raise UserError(f"{where}: not JSON ({reason}); fix or remove the line") from error
            if not isinstance(record, dict):
                raise UserError(f"{where}: not a JSON object; write one object on each line")
            yield where, record

    def _tfds_records(self, name: str, start: int) -> Iterator[tuple[str, Record]]:
        import tensorflow_datasets as tfds

        builder = self._builder()
        try:
            builder.download_and_prepare()
            if start >= self._size(name):
                return
            part = f"{name}[{start}:]" if start else name  # opens only the files it needs
            records: Any = tfds.as_numpy(builder.as_dataset(split=part))
            for number, record in enumerate(records, start):
                yield f"{self._dataset.tfds}, {name}, record {number}", plain(record)
        except UserError:
            raise
        except Exception as error:
            raise self._unavailable(error) from error

    def _builder(self) -> Any:
        import tensorflow_datasets as tfds

        assert self._dataset.tfds is not None
        try:
            return tfds.builder(self._dataset.tfds, data_dir=self._tfds_data_dir)
        except Exception as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> UserError:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return UserError(
            f"dataset {self._dataset.name}: TensorFlow Datasets cannot give {self._dataset.tfds} "
            f"({reason}); {self._remedy()}"
        )

    def _remedy(self) -> str:
        if self._data_dir is None:
            return f"set DATA_DIR and {self._dataset.files}"
        if self._folder is None:
            near = nearest(self._dataset.folder, (p.name for p in Path(self._data_dir).glob("*/")))
            lacks = f"DATA_DIR {self._data_dir} has no folder {self._dataset.folder}{near}"
            return f"{lacks}; {self._dataset.files}"
        return self._dataset.files

    def _file(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}.jsonl"


def plain(value: Any) -> Any:
    """Converts a value of TensorFlow Datasets to text, numbers, lists and dictionaries."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if hasattr(value, "to_list"):  # of a ragged tensor
        return plain(value.to_list())
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines that are not blank, with their line numbers."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise UserError(f"{path}: cannot read it ({error.strerror}); check DATA_DIR") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); convert the file") from error
