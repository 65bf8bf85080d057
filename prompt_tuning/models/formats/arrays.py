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
_AT_ONCE = 1 << 20  # numbers that are read at a time, about
# Each thread that has read or decoded a chunk keeps the memory of one.
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
    """An array that TensorStore reads.

    Attributes:
        place: Where it is, for messages.
        spec: Its TensorStore specification.
        shape: Its shape.
        dtype: What it is stored as.
        rows: Rows that are read together: those of a chunk, or of several small ones.
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
    """Returns whether a path is one of Google Cloud Storage."""
    return path.startswith(GCS)


def join(path: str, *names: str) -> str:
    """Returns the path of something below a directory, local or remote."""
    return "/".join([path.rstrip("/"), *names])


def read_file(path: str) -> bytes | None:
    """Reads a file, local or remote; None where there is none.

    Raises:
        UserError: It cannot be reached.
    """
    directory, _, name = path.rpartition("/")
    try:
        with _without_advice() if is_remote(path) else contextlib.nullcontext():
            store = ts.KvStore.open(store_spec(directory), context=_CONTEXT).result()
            found = store.read(name).result()
    except (ValueError, OSError, RuntimeError) as error:
        raise UserError(
            f"{path}: cannot read it ({reason(error)}); check the name and the network, or give "
            "the path of a copy on this machine"
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
    """Returns the specification of the Zarr array in the directory `name` of another."""
    return {"driver": "zarr", "kvstore": store_spec(join(directory, name))}


def open_arrays(specs: Mapping[str, Mapping[str, Any]], place: str) -> dict[str, Parameter]:
    """Opens arrays, all at the same time, to see their shapes; nothing of them is read.

    Args:
        specs: TensorStore specifications by the arrays' names.
        place: The directory they are in, for messages.

    Raises:
        UserError: One is missing or damaged.
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
    """Returns how many rows of an array to read at a time: a multiple of those of a chunk."""
    rows = max(1, chunk[0]) if chunk else 1
    in_chunks = max(1, rows * int(np.prod(shape[1:])))
    return rows * max(1, _AT_ONCE // in_chunks)


def damaged(place: str, error: Exception) -> UserError:
    """Returns the error for weights that are missing or damaged."""
    return UserError(f"backbone weights {place}: missing or damaged ({reason(error)})")


def reason(error: Exception) -> str:
    """Returns what TensorStore says in one short line."""
    return " ".join(re.split(r" \[\w+='", str(error))[0].split())


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Drops what is written to standard error.

    TensorStore advises there, once, to log in to Google, which public buckets do not need; what
    goes wrong it raises.
    """
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _open(spec: Mapping[str, Any]) -> ts.Future:
    # Without the option, chunks that are not there read as zeros.
    spec = {**spec, "fill_missing_data_reads": False}
    return ts.open(spec, context=_CONTEXT, read=True, open=True)
