"""Where arrays live: rows over the cores of a CPU, or a batch over the chips of an accelerator."""

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
    """Where the arrays of one forward pass live.

    Attributes:
        name: Tells layouts apart.
        mesh: The devices; a batch is cut over them along its examples.
    """

    name: str
    mesh: Mesh

    def check_batch(self, examples: int) -> None:
        """Checks that a batch can be cut over the devices.

        Raises:
            UserError: It cannot be cut into equal parts.
        """
        if examples % self.mesh.size:
            raise UserError(
                f"a batch of {examples} examples cannot be cut over {self.mesh.size} devices; "
                f"make it a multiple of {self.mesh.size}"
            )

    @property
    def whole(self) -> Sharding:
        """The sharding of arrays that every device holds whole."""
        return self._sharding()

    def spread(self, name: str, shape: tuple[int, ...]) -> Sharding:
        """Returns the sharding of a parameter that is cut over the devices, along its longest axis.

        One without an axis that can be cut into equal parts is whole on every device. The name
        decides nothing yet.
        """
        del name
        fits = [axis for axis, size in enumerate(shape) if size and size % self.mesh.size == 0]
        if not fits:
            return self.whole
        longest = max(fits, key=lambda axis: shape[axis])
        return self._sharding(*[None] * longest, "examples")

    def shardings(self, tree: Any, *, spread: bool) -> Any:
        """Returns the sharding of each array of a tree: spread over the devices, or whole on each.

        Arrays are named by their paths in the tree, such as `optimizer/0/v/encoder/...`.
        """

        def sharding(path: Any, leaf: Any) -> Sharding:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            return self.spread(name, np.shape(leaf)) if spread else self.whole

        return jax.tree_util.tree_map_with_path(sharding, tree)

    def put(self, tree: Any) -> Any:
        """Copies arrays whole to every device."""
        return jax.device_put(tree, self.whole)

    def put_batch(self, tree: Any, axis: int) -> Any:
        """Copies a batch whose examples run along `axis`, cut over the devices."""
        return jax.device_put(tree, self._sharding(*[None] * axis, "examples"))

    def _sharding(self, *spec: str | None) -> Sharding:
        if self.mesh.size == 1:
            return SingleDeviceSharding(self.mesh.devices.item())
        return NamedSharding(self.mesh, PartitionSpec(*spec))


def use_cpu_cores(rows: int) -> None:
    """Makes one CPU device per core, at most `rows`; call before the first computation.

    On a CPU a row's activations should stay in one core's cache, so rows are spread over the
    cores and each matrix product stays on its own. A single row keeps the products spread.
    Accelerators are not affected. A process keeps the devices that it first computed on.
    """
    count = min(rows, len(os.sched_getaffinity(0)))
    if count > 1:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
        with contextlib.suppress(RuntimeError):  # It has computed before, at another point.
            jax.config.update("jax_num_cpu_devices", count)


def layouts() -> list[Layout]:
    """Returns where forward passes can run.

    On CPUs, each device is a layout of its own and takes its own rows. On accelerators there is
    one layout, which cuts each batch over all devices.

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


def load(backbone: Backbone, layouts: Sequence[Layout]) -> dict[str, Params]:
    """Reads frozen parameters onto every layout, each once; returns them by the layout's name.

    Raises:
        UserError: A parameter is damaged, or not finite.
    """
    loaded = backbone.load([layout.whole for layout in layouts])
    return {layout.name: params for layout, params in zip(layouts, loaded, strict=True)}


def mixes_rows() -> bool:
    """Says whether rows share passes: not on CPUs, whose passes are smaller than a row's batch."""
    return jax.default_backend() != "cpu"


def microbatch_positions(layout: Layout, position_bytes: Callable[[], float]) -> int:
    """Returns how many encoder positions go through the model at a time, where users leave it open.

    On a CPU as few as fill a matrix product, so that activations stay in a core's cache. On an
    accelerator as many as fill it, if half of its free memory holds what their backward pass keeps.

    Args:
        layout: Where the passes run; each of its devices takes an equal part.
        position_bytes: Returns what the backward pass keeps of a position, in bytes.
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
    """Returns how many examples a pass of about `positions` has.

    Each device takes a power of two, because batches are powers of two by custom, and are then cut
    without a rest.

    Args:
        positions: Encoder positions that go through the model at a time.
        length: Positions of an example.
        most: Examples there are to cut.
        devices: Devices that a pass is spread over, equally.
    """
    share = 2 ** int(math.log2(max(1, positions // (length * devices))))
    return devices * min(share, -(-most // devices))


def encoded_positions() -> int | None:
    """Returns how many positions are encoded at a time where no backward pass follows.

    On CPUs as few as stay in a core's cache; None, for a whole batch, on accelerators.
    """
    return 1024 if jax.default_backend() == "cpu" else None


def _mesh(devices: Sequence[Any]) -> Mesh:
    return Mesh(np.asarray(devices), ("examples",))
