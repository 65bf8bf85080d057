"""Checkpoints of the trainable state, in Orbax. The frozen weights are never among them."""

import contextlib
import functools
import hashlib
import json
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    import orbax.checkpoint as ocp  # Imported where it is used: it takes its time.

_KEPT = 2


@contextlib.contextmanager
def _interruptible_later() -> Iterator[None]:
    """Lets ctrl-C wait for the end of the block: Orbax's event loops would complain of it."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    received = []
    signal.signal(signal.SIGINT, lambda *arguments: received.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if received:
        before(*received[0])


class Checkpoints:
    """Saves and restores a run's trainable state under a directory, which the first save makes.

    A checkpoint is written under a temporary name and renamed when complete. It holds a digest of
    its content; one that does not read back whole is skipped for the one before it.
    """

    def __init__(self, directory: Path):
        # Orbax also warns of what a killed run left, which it removes.
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._directory = directory.absolute()

    @_interruptible_later()
    def save(self, step: int, arrays: dict[str, np.ndarray], progress: dict[str, Any]) -> None:
        """Writes checkpoint `step`.

        Args:
            step: Number of the checkpoint, larger than those before it.
            arrays: The trainable state by name.
            progress: What belongs to it and is not an array, as a JSON object.
        """
        import orbax.checkpoint as ocp

        progress = {**progress, "arrays": sorted(arrays)}
        progress["digest"] = _digest(arrays, progress)
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.PyTreeSave(arrays), progress=ocp.args.JsonSave(progress)
            ),
        )

    @_interruptible_later()
    def latest(self) -> tuple[int, dict[str, np.ndarray], dict[str, Any]] | None:
        """Returns number, arrays and progress of the newest sound checkpoint, or None.

        Damaged ones are named in a warning and removed, so that their numbers can be used again.
        """
        if not self._directory.is_dir():
            return None
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return step, *self._read(step)
            except Exception as error:
                summary = (str(error).strip() or type(error).__name__).splitlines()[0]
                warnings.warn(
                    f"checkpoint {self._directory / str(step)} is damaged and is skipped: "
                    f"{summary[:200]}",
                    stacklevel=2,
                )
                self._manager.delete(step)
        return None

    @_interruptible_later()
    def close(self) -> None:
        """Waits for what is being written."""
        if "_manager" in self.__dict__:
            self._manager.close()

    @functools.cached_property
    def _manager(self) -> "ocp.CheckpointManager":
        import orbax.checkpoint as ocp

        options = ocp.CheckpointManagerOptions(
            max_to_keep=_KEPT, create=True, enable_async_checkpointing=False
        )
        return ocp.CheckpointManager(self._directory, options=options)

    def _read(self, step: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        import orbax.checkpoint as ocp

        progress = self._manager.restore(
            step, args=ocp.args.Composite(progress=ocp.args.JsonRestore())
        )["progress"]
        names = progress["arrays"]
        restore = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
        arrays = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.PyTreeRestore(item=dict.fromkeys(names, 0), restore_args=restore)
            ),
        )["state"]
        if progress.pop("digest") != _digest(arrays, progress):
            raise ValueError("it does not read back as it was written")
        return arrays, progress


def flatten(tree: Any) -> dict[str, np.ndarray]:
    """Names the leaves of a tree of arrays by their paths."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {_name(path): np.asarray(leaf) for path, leaf in leaves}


def unflatten(like: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Puts arrays named by `flatten` into the structure of `like`."""
    return jax.tree_util.tree_map_with_path(lambda path, _: arrays[_name(path)], like)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/").replace("/", ".")


def _digest(arrays: dict[str, np.ndarray], progress: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(progress, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
