"""Checkpoints: what is read is what was written, and the newest sound one is read."""

import collections
import signal
from pathlib import Path

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.training.checkpoints import Checkpoints
from prompt_tuning.training.step import RowState, init_state
from tests.training import toy

OPTIMIZER = toy.config().step.optimizer


def test_a_tree_survives_with_its_structure(tmp_path: Path):
    tree = {"state": init_state({"left": jnp.full((3, 4), 0.1), "right": jnp.ones(2)}, OPTIMIZER)}
    Checkpoints(tmp_path).save(1, tree, {})
    latest = Checkpoints(tmp_path).latest() or pytest.fail("none")
    again = flax.serialization.from_state_dict(jax.eval_shape(lambda: tree), latest.tree)
    assert isinstance(again["state"], RowState)
    assert jax.tree.structure(again) == jax.tree.structure(tree)
    jax.tree.map(np.testing.assert_array_equal, again, tree)


def test_the_newest_two_are_kept_bit_for_bit(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for number in (3, 6, 9):
        tree = {
            "prompt": np.full((2, 3), number / 7, np.float32),
            "step": np.asarray([number], np.int32),
        }
        checkpoints.save(number, tree, {"rows": [{"score": number / 3}]})
    latest = Checkpoints(tmp_path / "checkpoints").latest() or pytest.fail("none")
    assert (latest.number, latest.progress) == (9, {"rows": [{"score": 3.0}]})
    assert latest.tree["prompt"].tobytes() == np.full((2, 3), 9 / 7, np.float32).tobytes()
    assert latest.tree["step"].dtype == np.int32
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["6", "9"]


def test_looking_for_a_checkpoint_makes_no_directory(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.latest() is None
    checkpoints.close()
    assert not list(tmp_path.iterdir())


def test_all_that_are_damaged_are_skipped_and_removed(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {"prompt": np.ones((2, 3), np.float32)}, {})
        for file in (tmp_path / str(step) / "state").rglob("*"):
            if file.is_file():
                file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.warns(UserWarning, match="is damaged and is skipped"):
        assert Checkpoints(tmp_path).latest() is None
    assert not list(tmp_path.iterdir())


class _Interrupting(collections.UserDict):
    """Sends ctrl-C when it is read."""

    def keys(self):
        signal.raise_signal(signal.SIGINT)
        return super().keys()


@pytest.fixture
def interruptible():
    """Lets SIGINT interrupt, as at a terminal: a test run in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_until_the_checkpoint_is_whole(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(3, {"prompt": np.ones((2, 3), np.float32)}, _Interrupting())  # pyright: ignore
    assert (Checkpoints(tmp_path).latest() or pytest.fail("none"))[0] == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
