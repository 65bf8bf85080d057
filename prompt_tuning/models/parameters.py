"""Parameters on disk, and loading them onto devices."""

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
"""A box of an array: one slice per axis."""

ShardingOf = Callable[[str, tuple[int, ...]], Sharding]
"""Returns the sharding of a parameter with a name and a shape."""

_WORKERS = 3  # parameters read at the same time
_AT_ONCE = 1 << 20  # numbers checked at a time, about
_ALIGNMENT = 64  # bytes; JAX uses a NumPy array with this alignment on a CPU without a copy


class Parameter(Protocol):
    """A stored parameter.

    Attributes:
        place: Its file or directory, for messages.
        shape: Its shape in the model's layout.
        dtype: The dtype it is stored in.
    """

    @property
    def place(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def read_into(self, index: Index, out: np.ndarray) -> None:
        """Reads a box into an array of its shape and any float dtype, without a second copy.

        Raises:
            UserError: The stored parameter is missing or damaged.
        """
        ...

    def split(self, index: Index) -> list[Index]:
        """Splits a box into small ones that are fast to read one by one."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class InMemory:
    """A parameter in host memory."""

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
    """A matrix whose transpose is stored."""

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
    """Splits a box of an array into boxes of at most `rows` rows that end at multiples of it."""
    if not index:
        return [index]
    begin, end, _ = index[0].indices(shape[0])
    edges = [begin, *range(begin - begin % rows + rows, end, rows), end]
    return [(slice(*pair), *index[1:]) for pair in itertools.pairwise(edges)]


def read_whole(parameter: Parameter, name: str, dtype: np.dtype) -> np.ndarray:
    """Reads a whole parameter into a new array.

    Raises:
        UserError: The parameter is missing, damaged or not finite.
    """
    return _read(parameter, name, dtype, (slice(None),) * len(parameter.shape))


def load_parameters(
    parameters: Mapping[str, Parameter],
    shardings: Sequence[Sharding | ShardingOf],
    dtype: np.dtype,
) -> list[Params]:
    """Reads parameters onto devices; each box is read once, however many devices need it.

    Host memory holds only the boxes being read and the parameters on CPU devices. Devices that
    need the same box share one array.

    Args:
        parameters: The parameters by name.
        shardings: One sharding per returned tree, for all of its parameters, or a function that
            returns the sharding of each.
        dtype: The dtype to load them in.

    Returns:
        One tree for each sharding.

    Raises:
        UserError: A parameter is missing, damaged or not finite.
    """

    def place(item: tuple[str, Parameter]) -> list[jax.Array]:
        name, parameter = item

        @functools.cache
        def read(bounds: tuple[tuple[int, int], ...]) -> np.ndarray:
            return _read(parameter, name, dtype, tuple(slice(*pair) for pair in bounds))

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

    # The largest needs the most memory to read, so it comes first, while little is loaded.
    largest_first = sorted(parameters.items(), key=lambda item: -math.prod(item[1].shape))
    trees: list[dict[str, jax.Array]] = [{} for _ in shardings]
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        for (name, _), arrays in zip(largest_first, pool.map(place, largest_first), strict=True):
            for tree, array in zip(trees, arrays, strict=True):
                tree[name] = array
    return [unflatten_dict(tree, sep="/") for tree in trees]


def _bounds(index: Index | None, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Returns the start and the end of a box along each axis, which are hashable."""
    index = index or (slice(None),) * len(shape)
    return tuple(axis.indices(size)[:2] for axis, size in zip(index, shape, strict=True))


def _read(parameter: Parameter, name: str, dtype: np.dtype, index: Index) -> np.ndarray:
    bounds = _bounds(index, parameter.shape)
    array = _aligned(tuple(end - begin for begin, end in bounds), dtype)
    for box in parameter.split(index):
        inner = zip(_bounds(box, parameter.shape), bounds, strict=True)
        place = tuple(slice(first - start, last - start) for (first, last), (start, _) in inner)
        # With `...`, indexing without axes gives an array too, not a scalar.
        part = array[(*place, ...)]
        parameter.read_into(box, part)
        if not _finite(part):
            raise UserError(
                f"backbone weights {parameter.place}: not finite: {name}; copy them again"
            )
    return array


def _finite(array: np.ndarray) -> bool:
    # In parts, since the boolean array takes memory as well.
    array = np.atleast_1d(array)
    parts = max(1, min(len(array), array.size // _AT_ONCE))
    return all(np.isfinite(part).all() for part in np.array_split(array, parts))


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
