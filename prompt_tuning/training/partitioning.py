"""Device layouts: rows over CPU cores, or each batch over the chips of an accelerator."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from prompt_tuning.models.weights import Backbone
from prompt_tuning.types import Params, UserError


@dataclasses.dataclass(frozen=True)
class Layout:
    """The devices that one forward pass runs on.

    Attributes:
        name: Unique name, such as `cpu:0`.
        mesh: The devices; a batch is sharded over them along its examples.
    """

    name: str
    mesh: Mesh

    def check_batch(self, examples: int) -> None:
        """Checks that a batch can be sharded over the devices.

        Raises:
            UserError: The batch size is not a multiple of the number of devices.
        """
        if examples % self.mesh.size:
            raise UserError(
                f"a batch of {examples} examples cannot be split over {self.mesh.size} devices; "
                f"make it a multiple of {self.mesh.size}"
            )

    @property
    def replicated(self) -> Sharding:
        """Sharding of arrays that are replicated on every device."""
        return self._sharding()

    def sharded(self, name: str, shape: tuple[int, ...]) -> Sharding:
        """Returns the sharding of a parameter over the devices, along its longest divisible axis.

        A parameter without such an axis is replicated. The name is not used yet.
        """
        del name
        fits = [axis for axis, size in enumerate(shape) if size and size % self.mesh.size == 0]
        if not fits:
            return self.replicated
        longest = max(fits, key=lambda axis: shape[axis])
        return self._sharding(*[None] * longest, "examples")

    def shardings(self, tree: Any, *, shard: bool) -> Any:
        """Returns the sharding of each array of a tree.

        Args:
            tree: Arrays, named by their paths, such as `optimizer/0/v/encoder/...`.
            shard: Whether arrays are sharded over the devices; else they are replicated.
        """

        def sharding(path: Any, leaf: Any) -> Sharding:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            return self.sharded(name, np.shape(leaf)) if shard else self.replicated

        return jax.tree_util.tree_map_with_path(sharding, tree)

    def put(self, tree: Any) -> Any:
        """Copies arrays to every device."""
        return jax.device_put(tree, self.replicated)

    def put_batch(self, tree: Any, axis: int) -> Any:
        """Copies a batch to the devices, sharded along `axis`, the axis of examples."""
        return jax.device_put(tree, self._sharding(*[None] * axis, "examples"))

    def _sharding(self, *spec: str | None) -> Sharding:
        if self.mesh.size == 1:
            return SingleDeviceSharding(self.mesh.devices.item())
        return NamedSharding(self.mesh, PartitionSpec(*spec))


def use_cpu_cores(rows: int) -> None:
    """Makes one CPU device per core, at most `rows`; call before the first computation.

    A row's activations should stay in one core's cache, so each core runs its own rows and each
    matrix product stays on one core. With a single row, products use all cores. Does not affect
    accelerators. A process keeps the devices it first computed on.
    """
    count = min(rows, len(os.sched_getaffinity(0)))
    if count > 1:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
        with contextlib.suppress(RuntimeError):  # JAX has computed already.
            jax.config.update("jax_num_cpu_devices", count)


def layouts() -> list[Layout]:
    """Returns the layouts that forward passes can run on.

    On CPUs, each device is a layout and takes its own rows. On accelerators, a single layout shards
    each batch over all devices.

    Raises:
        UserError: JAX runs over several processes.
    """
    if jax.process_count() > 1:
        raise UserError(
            f"{jax.process_count()} processes share this run; only one is supported, "
            "start the command without jax.distributed"
        )
    devices = jax.devices()
    groups = [[device] for device in devices] if devices[0].platform == "cpu" else [devices]
    return [Layout(f"{group[0].platform}:{group[0].id}", _mesh(group)) for group in groups]


def load_replicated(backbone: Backbone, layouts: Sequence[Layout]) -> dict[str, Params]:
    """Reads frozen parameters, replicated on every layout; returns them by layout name.

    Raises:
        UserError: A parameter is damaged, or not finite.
    """
    loaded = backbone.load([layout.replicated for layout in layouts])
    return {layout.name: params for layout, params in zip(layouts, loaded, strict=True)}


def mixes_rows() -> bool:
    """Whether rows share microbatches; not on CPUs, where these are smaller than a row's batch."""
    return jax.default_backend() != "cpu"


def microbatch_positions(layout: Layout, position_bytes: Callable[[], float]) -> int:
    """Returns the default number of encoder positions in a microbatch.

    On a CPU, few enough that activations stay in a core's cache. On an accelerator, enough to keep
    it busy, as far as their activations fit into half of its free memory.

    Args:
        layout: Where microbatches run; each of its devices takes an equal part.
        position_bytes: Returns the bytes stored per position for the backward pass.
    """
    device = layout.mesh.devices.flat[0]
    if device.platform == "cpu":
        return 512
    most = 8192
    memory = device.memory_stats()
    if memory is not None and "bytes_limit" in memory:
        free = memory["bytes_limit"] - memory["bytes_in_use"]
        most = min(most, int(free / 2 / position_bytes()))
    return most * layout.mesh.size


def microbatch_size(positions: int, length: int, *, most: int, devices: int) -> int:
    """Returns the number of examples in a microbatch of about `positions`.

    Each device takes a power of two, so that batches, usually powers of two, split evenly.

    Args:
        positions: Encoder positions per microbatch.
        length: Positions per example.
        most: Examples there are to split.
        devices: Devices that a microbatch is sharded over.
    """
    share = 2 ** int(math.log2(max(1, positions // (length * devices))))
    return devices * min(share, -(-most // devices))


def encoded_positions() -> int | None:
    """Returns the number of positions to encode at a time when there is no backward pass.

    On CPUs, few enough to stay in a core's cache; None on accelerators, for a whole batch.
    """
    return 1024 if jax.default_backend() == "cpu" else None


def _mesh(devices: Sequence[Any]) -> Mesh:
    return Mesh(np.asarray(devices), ("examples",))
