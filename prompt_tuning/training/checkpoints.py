"""Orbax checkpoints of the trainable state, without the frozen weights."""

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
from typing import TYPE_CHECKING, Any, NamedTuple

import flax.serialization
import jax
import numpy as np

if TYPE_CHECKING:
    import orbax.checkpoint as ocp  # Slow to import: imported where it is used.

_KEPT = 2


@contextlib.contextmanager
def _deferred_interrupt() -> Iterator[None]:
    """Defers ctrl-C to the end of the block, because Orbax's event loops do not handle it."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    interrupts = []
    signal.signal(signal.SIGINT, lambda *arguments: interrupts.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        before(*interrupts[0])


class Checkpoint(NamedTuple):
    """The content of a checkpoint.

    Attributes:
        number: Its number; higher is newer.
        tree: The trainable state as nested dictionaries of NumPy arrays;
            `flax.serialization.from_state_dict` restores the structure that was saved.
        progress: Everything that is not an array, as a JSON object.
    """

    number: int
    tree: dict[str, Any]
    progress: dict[str, Any]


class Checkpoints:
    """Saves and restores a run's trainable state in a directory, created by the first save.

    A checkpoint is written under a temporary name and renamed when complete. It holds a digest of
    its content; a damaged checkpoint is skipped in favor of the one before it.
    """

    def __init__(self, directory: Path):
        # Silences warnings about leftovers of a killed run, which Orbax removes itself.
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._directory = directory.absolute()

    @_deferred_interrupt()
    def save(self, number: int, tree: Any, progress: dict[str, Any]) -> None:
        """Writes a checkpoint.

        Args:
            number: Its number, higher than that of any earlier checkpoint.
            tree: The trainable state, a tree of arrays.
            progress: Everything that is not an array, as a JSON object.
        """
        import orbax.checkpoint as ocp

        tree = flax.serialization.to_state_dict(tree)
        progress = {**progress, "tree": jax.tree.map(lambda _: 0, tree)}
        progress["digest"] = _digest(tree, progress)
        self._manager.save(
            number,
            args=ocp.args.Composite(
                state=ocp.args.PyTreeSave(tree), progress=ocp.args.JsonSave(progress)
            ),
        )

    @_deferred_interrupt()
    def latest(self) -> Checkpoint | None:
        """Returns the newest undamaged checkpoint, or None.

        Warns about each damaged one and deletes it, so that its number can be used again.
        """
        if not self._directory.is_dir():
            return None
        for number in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._read(number)
            except Exception as error:
                summary = (str(error).strip() or type(error).__name__).splitlines()[0]
                warnings.warn(
                    f"checkpoint {self._directory / str(number)} is damaged and is skipped: "
                    f"{summary[:200]}",
                    stacklevel=2,
                )
                self._manager.delete(number)
        return None

    @_deferred_interrupt()
    def close(self) -> None:
        """Waits for pending writes and closes the checkpoint manager."""
        if "_manager" in self.__dict__:
            self._manager.close()

    @functools.cached_property
    def _manager(self) -> "ocp.CheckpointManager":
        import orbax.checkpoint as ocp

        options = ocp.CheckpointManagerOptions(
            max_to_keep=_KEPT, create=True, enable_async_checkpointing=False
        )
        return ocp.CheckpointManager(self._directory, options=options)

    def _read(self, number: int) -> Checkpoint:
        import orbax.checkpoint as ocp

        progress = self._manager.restore(
            number, args=ocp.args.Composite(progress=ocp.args.JsonRestore())
        )["progress"]
        arrays = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), progress["tree"])
        restore = ocp.args.PyTreeRestore(item=progress["tree"], restore_args=arrays)
        tree = self._manager.restore(number, args=ocp.args.Composite(state=restore))["state"]
        if progress.pop("digest") != _digest(tree, progress):
            raise ValueError("its content does not match its digest")
        del progress["tree"]
        return Checkpoint(number, tree, progress)


def _digest(tree: Any, progress: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(progress, sort_keys=True).encode())
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
