"""Checkpoints: what is read is what was written, and the newest sound one is read."""

import collections
import signal
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.training.checkpoints import Checkpoints, flatten, unflatten
from prompt_tuning.training.state import init_state
from tests.training import toy

OPTIMIZER = toy.config().step.optimizer


def test_a_tree_survives_being_named():
    tree = init_state(jnp.full((3, 4), 0.1), OPTIMIZER)
    named = flatten(tree)
    assert {"prompt", "step", "failed"} < set(named)
    again = flatten(unflatten(tree, dict(reversed(named.items()))))
    assert again.keys() == named.keys()
    for name in named:
        np.testing.assert_array_equal(again[name], named[name])


def test_the_newest_two_are_kept_bit_for_bit(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step in (3, 6, 9):
        arrays = {
            "prompt": np.full((2, 3), step / 7, np.float32),
            "step": np.asarray([step], np.int32),
        }
        checkpoints.save(step, arrays, {"rows": [{"score": step / 3}]})
    step, arrays, progress = Checkpoints(tmp_path / "checkpoints").latest() or pytest.fail("none")
    assert (step, progress) == (9, {"rows": [{"score": 3.0}], "arrays": ["prompt", "step"]})
    assert arrays["prompt"].tobytes() == np.full((2, 3), 9 / 7, np.float32).tobytes()
    assert arrays["step"].dtype == np.int32
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
