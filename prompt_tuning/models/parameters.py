"""Parameters that stay on disk until they are asked for, and how they reach devices."""

import concurrent.futures
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Sharding

from prompt_tuning.types import Params, UserError

Index = tuple[slice, ...]
"""A box of an array: one slice for each axis."""

ShardingOf = Callable[[str, tuple[int, ...]], Sharding]
"""Gives the sharding of a parameter by its name and its shape."""

_WORKERS = 3  # parameters read at the same time
_AT_ONCE = 1 << 20  # numbers that are checked at a time, about
_ALIGNMENT = 64  # bytes; JAX takes a NumPy array so aligned as a CPU array without a copy


class Parameter(Protocol):
    """A parameter where it is stored.

    Attributes:
        place: The file or directory it is in, for messages.
        shape: Its shape, in the model's own layout.
        dtype: What it is stored as.
    """

    @property
    def place(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def read_into(self, index: Index, out: np.ndarray) -> None:
        """Reads one box into an array of its shape and any float dtype, without another copy of it.

        Raises:
            UserError: What is stored is missing or damaged.
        """
        ...

    def split(self, index: Index) -> list[Index]:
        """Cuts a box into small ones that are quick to read one by one."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class InMemory:
    """A parameter that is an array already."""

    array: np.ndarray
    place: str = "memory"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    def read_into(self, index: Index, out: np.ndarray) -> None:
        np.copyto(out, self.array[index], casting="unsafe")

    def split(self, index: Index) -> list[Index]:
        return [index]


@dataclasses.dataclass(frozen=True, eq=False)
class Transposed:
    """A matrix stored the other way round."""

    stored: Parameter

    @property
    def place(self) -> str:
        return self.stored.place

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape[::-1]

    @property
    def dtype(self) -> np.dtype:
        return self.stored.dtype

    def read_into(self, index: Index, out: np.ndarray) -> None:
        self.stored.read_into(index[::-1], out.T)

    def split(self, index: Index) -> list[Index]:
        return [box[::-1] for box in self.stored.split(index[::-1])]


def in_memory(params: Params) -> dict[str, Parameter]:
    """Returns the arrays of a tree as parameters by name."""
    flat = flatten_dict(params, sep="/")
    return {name: InMemory(np.asarray(leaf)) for name, leaf in sorted(flat.items())}


def split_rows(index: Index, shape: tuple[int, ...], rows: int) -> list[Index]:
    """Cuts a box of an array into boxes of at most `rows` rows, which end at multiples of it."""
    if not index:
        return [index]
    begin, end, _ = index[0].indices(shape[0])
    edges = [begin, *range(begin - begin % rows + rows, end, rows), end]
    return [(slice(*pair), *index[1:]) for pair in itertools.pairwise(edges)]


def read_whole(parameter: Parameter, name: str, dtype: np.dtype) -> np.ndarray:
    """Reads all of a parameter as an array of its own.

    Raises:
        UserError: It is missing, damaged or not finite.
    """
    return _read(parameter, name, dtype, (slice(None),) * len(parameter.shape))


def load(
    parameters: Mapping[str, Parameter],
    shardings: Sequence[Sharding | ShardingOf],
    dtype: np.dtype,
    progress: Callable[[str], None] | None = None,
) -> list[Params]:
    """Reads parameters onto devices; each box is read once, however many devices want it.

    Of the whole, host memory holds only what is being read at the moment, and what lives on CPU
    devices; those that want the same box share one array.

    Args:
        parameters: What to read, by name.
        shardings: Where to put a tree of all parameters: one tree for each. A function gives the
            sharding of each parameter by its name and its shape.
        dtype: What to keep them as.
        progress: Called with the name of each parameter that is loaded.

    Returns:
        One tree for each sharding.

    Raises:
        UserError: A parameter is missing, damaged or not finite.
    """

    def place(item: tuple[str, Parameter]) -> list[jax.Array]:
        name, parameter = item
        read = functools.cache(functools.partial(_read_box, parameter, name, dtype))
        arrays: list[jax.Array] = [
            jax.make_array_from_callback(
                parameter.shape,
                sharding if isinstance(sharding, Sharding) else sharding(name, parameter.shape),
                lambda index: read(_bounds(index, parameter.shape)),
            )
            for sharding in shardings
        ]
        jax.block_until_ready(arrays)
        return arrays

    # What needs the most memory to be read comes first, while little of the whole is there.
    largest_first = sorted(parameters.items(), key=lambda item: -math.prod(item[1].shape))
    trees: list[dict[str, jax.Array]] = [{} for _ in shardings]
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        for (name, _), arrays in zip(largest_first, pool.map(place, largest_first), strict=True):
            for tree, array in zip(trees, arrays, strict=True):
                tree[name] = array
            if progress is not None:
                progress(name)
    return [unflatten_dict(tree, sep="/") for tree in trees]


def _bounds(index: Index | None, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Returns first and last plus one of a box along each axis; unlike slices, they hash."""
    index = index or (slice(None),) * len(shape)
    return tuple(axis.indices(size)[:2] for axis, size in zip(index, shape, strict=True))


def _read_box(
    parameter: Parameter, name: str, dtype: np.dtype, bounds: tuple[tuple[int, int], ...]
) -> np.ndarray:
    return _read(parameter, name, dtype, tuple(slice(*each) for each in bounds))


def _read(parameter: Parameter, name: str, dtype: np.dtype, index: Index) -> np.ndarray:
    bounds = _bounds(index, parameter.shape)
    array = _aligned(tuple(end - begin for begin, end in bounds), dtype)
    for box in parameter.split(index):
        inner = zip(_bounds(box, parameter.shape), bounds, strict=True)
        place = tuple(slice(first - start, last - start) for (first, last), (start, _) in inner)
        # With `...`, a box of no axes is an array too.
        part = array[(*place, ...)]
        parameter.read_into(box, part)
        if not _finite(part):
            raise UserError(
                f"backbone weights {parameter.place}: not finite: {name}; copy them again"
            )
    return array


def _finite(array: np.ndarray) -> bool:
    # In parts, because the answers take memory as well.
    array = np.atleast_1d(array)
    parts = max(1, min(len(array), array.size // _AT_ONCE))
    return all(np.isfinite(part).all() for part in np.array_split(array, parts))


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
