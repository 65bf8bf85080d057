"""T5X checkpoints, in its own format (Zarr arrays and a msgpack file) or Orbax's.

Parameters have the names and layouts of `prompt_tuning.models.t5`. A checkpoint has neither the
model's config nor its vocabulary.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import flax.serialization
import ml_dtypes
import numpy as np
import tensorstore as ts

from prompt_tuning.models.formats import arrays
from prompt_tuning.models.formats.arrays import ZarrArray, join, zarr_spec
from prompt_tuning.models.formats.stored_model import StoredModel
from prompt_tuning.models.parameters import InMemory, Parameter, read_whole
from prompt_tuning.types import UserError

INDEX = "checkpoint"
ORBAX_INDEX = "_METADATA"
_STATE = "state"  # where T5X's newer versions keep the Orbax checkpoint
_PLACEHOLDER = "PLACEHOLDER://"  # how older versions of Orbax mark an array with its own directory
_INLINE = 1 << 16  # the largest parameter stored in the msgpack file, in numbers
_CHUNK = 1 << 20  # the largest chunk, in numbers


def is_t5x(directory: Path) -> bool:
    """Returns whether a local directory is, or should be, a T5X checkpoint."""
    names = (INDEX, ORBAX_INDEX, join(_STATE, ORBAX_INDEX), join(_STATE, INDEX))
    return any((directory / name).is_file() for name in names) or any(directory.glob("target.*"))


def open_t5x(path: str) -> StoredModel:
    """Opens a checkpoint, local or on `gs://`; reads its index with the arrays inlined there.

    Raises:
        UserError: There is no checkpoint, it is damaged, or it has dtypes other than floats.
    """
    for directory in (path, join(path, _STATE)):
        orbax = arrays.read_file(join(directory, ORBAX_INDEX))
        if orbax is not None:
            return _stored(directory, _open_orbax(directory, orbax))
        index = arrays.read_file(join(directory, INDEX))
        if index is not None:
            return _stored(directory, _open_index(directory, index))
    raise UserError(
        f"backbone {path}: it is not a T5X checkpoint: it has neither a file '{INDEX}' nor "
        f"'{ORBAX_INDEX}'; give the complete directory checkpoint_<step>"
    )


def write_t5x(
    directory: Path,
    parameters: Mapping[str, Parameter],
    step: int,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Writes a checkpoint in T5X's own format, holding one parameter at a time.

    It has no optimizer state: T5X restores it for inference, or for training with
    `fallback_to_scratch`.

    Args:
        directory: The directory.
        parameters: The parameters by name.
        step: The step that the checkpoint records.
        progress: Called with the name of each parameter that is written.

    Raises:
        UserError: A parameter cannot be read.
    """
    target: dict[str, Any] = {}
    for name, parameter in parameters.items():
        array = read_whole(parameter, name, parameter.dtype)
        *parents, last = name.split("/")
        node = target
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = array if array.size <= _INLINE else _write_array(directory, name, array)
        if progress is not None:
            progress(name)
    index = {"version": 3, "optimizer": {"target": target, "state": {"step": np.int32(step)}}}
    (directory / INDEX).write_bytes(flax.serialization.msgpack_serialize(index))


def _write_array(directory: Path, name: str, array: np.ndarray) -> dict[str, Any]:
    """Writes an array and returns its entry of the index."""
    folder = f"target.{name.replace('/', '.')}"
    rows = max(1, _CHUNK // (array.size // len(array)))
    metadata = {
        "chunks": [min(rows, len(array)), *array.shape[1:]],
        "compressor": {"id": "gzip", "level": 1},
        "dtype": "bfloat16" if array.dtype == ml_dtypes.bfloat16 else array.dtype.str,
        "shape": list(array.shape),
    }
    spec = {**zarr_spec(str(directory), folder), "metadata": metadata}
    ts.open(spec, create=True, open=True).result().write(array).result()
    return {
        "driver": "zarr",
        "kvstore": {"driver": "file", "path": folder},
        "metadata": metadata,
    }


def _stored(place: str, parameters: dict[str, Parameter]) -> StoredModel:
    for name, parameter in parameters.items():
        if parameter.dtype.kind not in "fV":  # "V" is the kind of bfloat16.
            raise UserError(
                f"backbone weights {place}: {name} is of type {parameter.dtype}, not a float; "
                "use a checkpoint of a T5"
            )
    return StoredModel(
        place=place,
        parameters=parameters,
        config=None,
        vocabulary_file=None,
        extra_ids=None,
    )


def _open_index(directory: str, content: bytes) -> dict[str, Parameter]:
    """Opens a checkpoint with a msgpack index, of T5X or older versions of Orbax."""
    place = join(directory, INDEX)
    try:
        index: Any = flax.serialization.msgpack_restore(content)
        target = index.get("optimizer", index)["target"]
        leaves = dict(_leaves(target, ()))
    except Exception as error:  # of msgpack or NumPy
        raise arrays.damaged(place, error) from error
    found: dict[str, Parameter] = {}
    unknown: dict[str, dict[str, Any]] = {}  # arrays whose shapes are not in the index
    for name, leaf in leaves.items():
        folder = f"target.{name.replace('/', '.')}"
        if isinstance(leaf, np.ndarray):
            found[name] = InMemory(leaf, place)
        elif isinstance(leaf, str) and leaf.startswith(_PLACEHOLDER):
            unknown[name] = zarr_spec(directory, folder)
        elif isinstance(leaf, dict):
            spec = zarr_spec(directory, folder)
            found[name] = ZarrArray(join(directory, folder), spec, *_described(place, name, leaf))
        else:
            raise UserError(f"backbone weights {place}: {name} is not an array; copy them again")
    return found | arrays.open_arrays(unknown, directory)


def _leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and "driver" not in node:
        for key, child in node.items():
            yield from _leaves(child, (*path, key))
    else:
        yield "/".join(path), node


def _described(
    place: str, name: str, leaf: dict[str, Any]
) -> tuple[tuple[int, ...], np.dtype, int]:
    """Returns an array's shape, dtype, and rows to read at a time, from its index entry."""
    try:
        metadata = leaf["metadata"]
        shape = tuple(int(size) for size in metadata["shape"])
        # T5X writes the dtype beside the metadata; its first versions wrote it inside.
        code = leaf["dtype"] if "dtype" in leaf else metadata["dtype"]
        dtype = np.dtype(ml_dtypes.bfloat16 if code == "bfloat16" else code)
        return shape, dtype, arrays.rows_together(shape, [int(n) for n in metadata["chunks"]])
    except (KeyError, TypeError, ValueError) as error:
        raise arrays.damaged(f"{place} ({name})", error) from error


def _open_orbax(directory: str, content: bytes) -> dict[str, Parameter]:
    place = join(directory, ORBAX_INDEX)
    try:
        index = json.loads(content)
        ocdbt, driver = index["use_ocdbt"], "zarr3" if index.get("use_zarr3") else "zarr"
        entries = [
            tuple(str(key["key"]) for key in entry["key_metadata"])
            for entry in index["tree_metadata"].values()
            if not entry["value_metadata"].get("skip_deserialize")
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise arrays.damaged(place, error) from error
    specs: dict[str, dict[str, Any]] = {}
    for keys in entries:
        start = next(
            (n for n in (1, 2) if keys[:n] in (("target",), ("optimizer", "target"))), None
        )
        if start is None:
            continue
        folder = ".".join(keys)
        base = {"driver": "ocdbt", "base": arrays.store_spec(directory), "path": f"{folder}/"}
        store = base if ocdbt else arrays.store_spec(join(directory, folder))
        name = "/".join(keys[keys.index("target") + 1 :])
        specs[name] = {"driver": driver, "kvstore": store}
    if not specs:
        raise UserError(f"backbone weights {place}: it has no T5X target; use another checkpoint")
    return arrays.open_arrays(specs, directory)
