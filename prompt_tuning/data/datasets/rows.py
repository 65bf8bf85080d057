"""Where the rows of published datasets come from: TensorFlow Datasets, or JSON lines on disk.

Both give the same rows: `DATA_DIR/<folder>/<split>.jsonl` has the fields of the builder, one row a
line, labels as integers, nested features as objects and lists.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prompt_tuning.data.datasets.dataset import (
    HELD_BACK,
    SPLIT,
    BadRowError,
    Dataset,
    Example,
    Row,
)
from prompt_tuning.types import UserError, nearest

_ENOUGH = 2**20
"""Examples beyond which no count matters: twice the cap of SPoT's mixtures."""


class Reader:
    """Reads the examples of a dataset.

    Args:
        dataset: The dataset.
        data_dir: A directory with a folder for each dataset; one that has no folder for this
            dataset is passed over. None for TensorFlow Datasets alone.
        tfds_data_dir: Where TensorFlow Datasets keeps its data, or None for its default.

    Raises:
        UserError: There is neither a folder nor a builder, or the folder lacks a split.
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
        """Returns the files that splits are read from; none for TensorFlow Datasets."""
        if self._folder is None:
            return []
        return [self._file(name) for split in splits for name in self._names(split)]

    def possible_files(self, *, leaderboard: bool) -> list[Path]:
        """Returns where files of the dataset are looked for, on which its splits depend too.

        Args:
            leaderboard: Whether for the split that is held back alone.
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
        """Whether TensorFlow Datasets has yet to fetch the rows."""
        return self._folder is None and not self._builder().is_prepared()

    def examples(self, split: str) -> Iterator[Example]:
        """Yields the examples of a split of the task, or of `HELD_BACK`.

        Rows without a label (-1) count only where labels are held back.

        Raises:
            UserError: The data cannot be had, a row is wrong, or there is no example.
        """
        return itertools.islice(self._all(split), self._dataset.limits.get(split))

    def endless(self, split: str, start: int) -> Iterator[Example]:
        """Yields the examples of a streamed split over and over, from number `start` on.

        Rows before it are passed over unread.

        Raises:
            UserError: The data cannot be had, a row is wrong, or there is no example.
        """
        (name,) = self._names(split)
        while True:
            count = 0
            for where, row in self._rows(name, start):
                count += 1
                (example,) = self._formatted(name, where, row)
                yield example
            if count:
                start = 0
                continue
            size = self._size(name)  # `start` is beyond the last row
            if size == 0:
                raise self._empty((name,))
            start %= size

    def _all(self, split: str) -> Iterator[Example]:
        names = self._names(split)
        count = unlabelled = 0
        for name in names:
            for number, (where, row) in enumerate(self._rows(name), start=1):
                if self._is_elsewhere(split, number):
                    continue
                if split != HELD_BACK and row.get("label") == -1:
                    unlabelled += 1
                    continue
                examples = self._formatted(name, where, row)
                count += len(examples)
                yield from examples
        if count == 0:
            raise self._empty(names, unlabelled)

    def _formatted(self, name: str, where: str, row: Row) -> list[Example]:
        """Returns the examples that a row of a split of the source gives."""
        missing = [field for field in self._dataset.fields if field not in row]
        if missing:
            hint = nearest(missing[0], row)
            raise UserError(f"{where}: no field {', '.join(missing)}{hint}; add it")
        try:
            return list(self._dataset.format({**row, SPLIT: name}))
        except BadRowError as error:
            raise UserError(f"{where}: {error}") from error
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{where}: a field is not as in {self._dataset.tfds or 'docs/data.md'} "
                f"({type(error).__name__}: {error})"
            ) from error

    def _empty(self, names: Sequence[str], unlabelled: int = 0) -> UserError:
        return UserError(
            f"dataset {self._dataset.name}: split {'+'.join(names)} has no examples"
            + (f" but {unlabelled} rows labelled -1, which are left out" if unlabelled else "")
            + (f"; fill {self._file(names[0])}" if self._folder else "")
        )

    def count(self, split: str) -> int:
        """Returns how many examples a split has; for a builder of unknown size, how many rows.

        Of a streamed split in a file no more are counted than make a difference to a mixture.
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
        """Returns whether a row of the source's training split is in the other split of the two."""
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
        """Returns the splits that are there; a last one may be labelled, or held back."""
        splits = self._declared_splits()
        held_back = self._dataset.leaderboard
        if held_back and "test" not in splits and self._is_labelled(held_back):
            splits["test"] = held_back
        for split in ("train", "validation"):
            for name in splits.get(split, ()):
                if not self._has_file(name):
                    raise UserError(f"{self._file(name)} is missing; {self._remedy()}")
        return {k: v for k, v in splits.items() if all(map(self._has_file, v))}

    def _is_labelled(self, names: Sequence[str]) -> bool:
        if not all(self._has_file(name) for name in names):
            return False
        firsts = [next(self._rows(name), ("", {})) for name in names]
        return all(row.get("label", -1) != -1 for _, row in firsts)

    def _size(self, name: str) -> int:
        """Returns how many rows a split of the source has."""
        if self._folder is not None:
            return sum(1 for _ in _lines(self._file(name)))
        return self._builder().info.splits[name].num_examples

    def _rows(self, name: str, start: int = 0) -> Iterator[tuple[str, Row]]:
        """Yields rows of a split of the source from `start` on, each with where it stands."""
        if self._folder is None:
            yield from self._tfds_rows(name, start)
            return
        path = self._file(name)
        for number, line in itertools.islice(_lines(path), start, None):
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                reason = f"{error.msg}, at character {error.pos + 1}"
                raise UserError(f"{where}: not JSON ({reason}); mend or remove the line") from error
            if not isinstance(row, dict):
                raise UserError(f"{where}: not a JSON object; write one object with fields a line")
            yield where, row

    def _tfds_rows(self, name: str, start: int) -> Iterator[tuple[str, Row]]:
        import tensorflow_datasets as tfds

        builder = self._builder()
        try:
            builder.download_and_prepare()
            if start >= self._size(name):
                return
            part = f"{name}[{start}:]" if start else name  # opens only the files it needs
            rows: Any = tfds.as_numpy(builder.as_dataset(split=part))
            for number, row in enumerate(rows, start):
                yield f"{self._dataset.tfds}, {name}, row {number}", plain(row)
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
    """Returns a row of TensorFlow Datasets as plain values: text, numbers, lists, dictionaries."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if hasattr(value, "to_list"):  # a ragged tensor's value
        return plain(value.to_list())
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines that are not blank, with their numbers."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise UserError(f"{path}: cannot read it ({error.strerror}); check DATA_DIR") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); convert the file") from error
