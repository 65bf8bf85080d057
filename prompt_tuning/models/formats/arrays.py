"""Zarr arrays in directories, local or `gs://`, through TensorStore."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from prompt_tuning.models.parameters import Index, Parameter, split_rows
from prompt_tuning.types import UserError

GCS = "gs://"
_AT_ONCE = 1 << 20  # numbers read at a time, about
# Each thread that has read or decoded a chunk keeps the memory of one chunk.
_THREADS = {"limit": 2}
_CONTEXT = ts.Context(
    {
        "gcs_request_retries": {"max_retries": 3},
        "file_io_concurrency": _THREADS,
        "data_copy_concurrency": _THREADS,
    }
)


@dataclasses.dataclass(frozen=True, eq=False)
class ZarrArray:
    """A `Parameter` that TensorStore reads.

    Attributes:
        place: Its directory, for messages.
        spec: Its TensorStore specification.
        shape: Its shape.
        dtype: The dtype it is stored in.
        rows: Number of rows to read together: those of one chunk, or of several small ones.
    """

    place: str
    spec: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype
    rows: int

    def read_into(self, index: Index, out: np.ndarray) -> None:
        try:
            array = _open(self.spec).result()
            if tuple(array.shape) != self.shape:
                raise ValueError(f"its shape is {list(array.shape)}, not {list(self.shape)}")
            box = ts.cast(array, out.dtype)[index].translate_to[(0,) * out.ndim]
            ts.array(out, copy=False, context=_CONTEXT).write(box).result()
        except (ValueError, KeyError, OSError, RuntimeError) as error:
            raise damaged(self.place, error) from error

    def split(self, index: Index) -> list[Index]:
        return split_rows(index, self.shape, self.rows)


def is_remote(path: str) -> bool:
    """Returns whether a path is on Google Cloud Storage."""
    return path.startswith(GCS)


def join(path: str, *names: str) -> str:
    """Joins names to a directory's path, local or remote."""
    return "/".join([path.rstrip("/"), *names])


def read_file(path: str) -> bytes | None:
    """Returns the content of a file, local or remote, or None if it does not exist.

    Raises:
        UserError: The file cannot be read.
    """
    directory, _, name = path.rpartition("/")
    try:
        with _without_advice() if is_remote(path) else contextlib.nullcontext():
            store = ts.KvStore.open(store_spec(directory), context=_CONTEXT).result()
            found = store.read(name).result()
    except (ValueError, OSError, RuntimeError) as error:
        raise UserError(
            f"{path}: cannot read it ({reason(error)}); check the name and the network, or give "
            "the path of a local copy"
        ) from error
    return found.value if found.state == "value" else None


def store_spec(directory: str) -> dict[str, Any]:
    """Returns the TensorStore specification of a directory, local or remote."""
    if is_remote(directory):
        bucket, _, path = directory.removeprefix(GCS).partition("/")
        path = path.rstrip("/")
        return {"driver": "gcs", "bucket": bucket, "path": f"{path}/" if path else ""}
    return {"driver": "file", "path": f"{Path(directory).resolve()}/"}


def zarr_spec(directory: str, name: str) -> dict[str, Any]:
    """Returns the TensorStore specification of the Zarr array `name` in a directory."""
    return {"driver": "zarr", "kvstore": store_spec(join(directory, name))}


def open_arrays(specs: Mapping[str, Mapping[str, Any]], place: str) -> dict[str, Parameter]:
    """Opens arrays concurrently, reading their shapes and dtypes only.

    Args:
        specs: TensorStore specifications by array name.
        place: Their directory, for messages.

    Raises:
        UserError: An array is missing or damaged.
    """
    opening = {name: _open(spec) for name, spec in specs.items()}
    opened: dict[str, Parameter] = {}
    for name, future in opening.items():
        try:
            array = future.result()
        except (ValueError, KeyError, OSError, RuntimeError) as error:
            raise damaged(f"{place} ({name})", error) from error
        shape, dtype = tuple(array.shape), array.dtype.numpy_dtype
        rows = rows_together(shape, array.chunk_layout.read_chunk.shape or shape)
        opened[name] = ZarrArray(f"{place} ({name})", specs[name], shape, dtype, rows)
    return opened


def rows_together(shape: Sequence[int], chunk: Sequence[int]) -> int:
    """Returns how many rows of an array to read at a time: a multiple of a chunk's rows."""
    rows = max(1, chunk[0]) if chunk else 1
    numbers = max(1, rows * int(np.prod(shape[1:])))
    return rows * max(1, _AT_ONCE // numbers)


def damaged(place: str, error: Exception) -> UserError:
    """Returns the error of missing or damaged weights."""
    return UserError(f"backbone weights {place}: missing or damaged ({reason(error)})")


def reason(error: Exception) -> str:
    """Returns TensorStore's message as one short line."""
    return " ".join(re.split(r" \[\w+='", str(error))[0].split())


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Drops everything written to standard error.

    TensorStore advises there, once, to log in to Google, which public buckets do not need. Errors
    are raised, not written.
    """
    stderr = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


def _open(spec: Mapping[str, Any]) -> ts.Future:
    # Without this option, missing chunks read as zeros.
    spec = {**spec, "fill_missing_data_reads": False}
    return ts.open(spec, context=_CONTEXT, read=True, open=True)
