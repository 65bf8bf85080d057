"""Where arrays live: rows over the cores of a CPU, or a batch over the chips of an accelerator."""

import dataclasses
import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the arrays of one forward pass live.

    Attributes:
        replicated: Sharding of parameters and state: whole on every device.
        devices: Devices a batch is cut over, along its examples.
        name: For messages.
    """

    replicated: Sharding
    devices: tuple[jax.Device, ...]
    name: str

    def by_example(self, axis: int) -> Sharding:
        """Returns the sharding of a batch whose examples run along `axis`."""
        if isinstance(self.replicated, SingleDeviceSharding):
            return self.replicated
        assert isinstance(self.replicated, NamedSharding)
        return NamedSharding(self.replicated.mesh, PartitionSpec(*[None] * axis, "examples"))

    def put(self, tree: Any) -> Any:
        """Copies arrays whole to every device."""
        return jax.device_put(tree, self.replicated)

    def put_batch(self, tree: Any, axis: int) -> Any:
        """Copies this process's part of a batch, cut over the devices along `axis`."""
        sharding = self.by_example(axis)
        if jax.process_count() == 1:
            return jax.device_put(tree, sharding)
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), tree)


def use_cpu_cores(rows: int) -> None:
    """Makes one CPU device per core, at most `rows`; call before the first computation.

    On a CPU a row's activations should stay in one core's cache, so rows are spread over the
    cores and each matrix product stays on its own. A single row keeps the products spread.
    Accelerators are not affected.
    """
    count = min(rows, len(os.sched_getaffinity(0)))
    if count > 1:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
        jax.config.update("jax_num_cpu_devices", count)


def layouts() -> list[Layout]:
    """Returns where forward passes can run.

    On CPUs, each device is a layout of its own and takes its own rows. On accelerators there is
    one layout, which cuts each batch over all devices.
    """
    if jax.default_backend() == "cpu" and jax.process_count() == 1:
        devices = jax.local_devices()
        return [Layout(SingleDeviceSharding(d), (d,), f"cpu {d.id}") for d in devices]
    mesh = Mesh(np.asarray(jax.devices()), ("examples",))
    kind = jax.devices()[0].device_kind
    replicated = NamedSharding(mesh, PartitionSpec())
    return [Layout(replicated, tuple(jax.devices()), f"{mesh.size} x {kind}")]


def rows_per_pass(rows: int) -> int:
    """Returns how many of `rows` share a forward pass: 1 on CPUs, whose caches hold no more."""
    return 1 if jax.default_backend() == "cpu" else min(rows, 16)
