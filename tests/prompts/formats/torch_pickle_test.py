"""Pickles of torch are parsed as data; any that do more than describe tensors are refused."""

import os
import pickle

import numpy as np
import pytest

from prompt_tuning.prompts.formats.torch_pickle import Tensor, parse_pickle
from tests.prompts.formats.torch_files import (
    call,
    dictionary,
    integer,
    name,
    pickled,
    several,
    tensor,
    text,
)


def test_a_tensor_is_described():
    found = parse_pickle(pickled(tensor(key="17", kind="HalfStorage", count=9, offset=3)))
    assert isinstance(found, Tensor)
    assert (found.storage, found.dtype, found.count) == ("17", np.float16, 9)
    assert (found.offset, found.shape, found.strides) == (3, (3, 2), (2, 1))


def test_plain_values_equal_those_of_pickle():
    value = {"a": [1, -2, 70000, 1 << 40], "b": (True, None, 0.5), "c": {"d": "é", 3: ()}, "e": []}
    value |= {"again": value["a"], "pairs": [(1, 2), (1, 2, 3), (1,)]}
    for protocol in (2, 3, 4, 5):
        assert parse_pickle(pickle.dumps(value, protocol)) == value


def test_ordered_dictionaries_and_their_attributes_are_dictionaries():
    empty = name("collections", "OrderedDict") + b")R"
    filled = empty + text("weight") + tensor() + b"s"
    found = parse_pickle(pickled(filled + dictionary(_metadata=empty) + b"b"))
    assert list(found) == ["weight"] and isinstance(found["weight"], Tensor)
    parameter = call(name("torch._utils", "_rebuild_parameter"), tensor(), b"\x88", empty)
    assert isinstance(parse_pickle(pickled(parameter)), Tensor)


class Trap:
    """Makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_nothing_is_run(tmp_path):
    command = f"mkdir {tmp_path / 'mark'}"
    armed = pickled(call(name("os", "system"), text(command)))
    with pytest.raises(ValueError, match=r"it names 'os\.system'"):
        parse_pickle(armed)
    for protocol in range(6):
        with pytest.raises(ValueError, match=r"it (names|has the opcode)"):
            parse_pickle(pickle.dumps({"task_prompt": Trap(tmp_path / "mark")}, protocol))
    assert not list(tmp_path.iterdir())
    pickle.loads(armed)  # What the walk must not do.
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


STORAGE = several(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"))
REFUSED = {
    "another name": (name("builtins", "eval"), r"it names 'builtins\.eval'"),
    "a name in two parts": (
        text("os") + text("system") + b"\x93",
        r"it names 'os\.system'",
    ),
    "a name with lines": (name("os", "a") + text("b\nc") * 2 + b"\x93", r"it names 'os\.a'"),
    "a class": (b"(ios\nsystem\n", "it has the opcode INST"),
    "a new object": (name("torch", "FloatStorage") + b")\x81", "it has the opcode NEWOBJ"),
    "an extension": (b"\x82\x01", "it has the opcode EXT1"),
    "a state": (tensor() + dictionary() + b"b", "it sets the state of an object"),
    "a call of a storage": (call(name("torch", "FloatStorage")), "unknown call"),
    "a call of a text": (call(text("os.system"), text("ls")), "unknown call"),
    "a tensor of fewer parts": (
        call(name("torch._utils", "_rebuild_tensor_v2"), integer(0)),
        "unknown call",
    ),
    "a tensor before the storage": (tensor(offset=-1), "unknown call"),
    "a tensor backwards": (tensor(strides=(-2, 1)), "unknown call"),
    "a tensor without a stride": (tensor(strides=(2,)), "unknown call"),
    "a storage of something": (tensor(kind="QInt8Storage"), r"it names 'torch\.QInt8Storage'"),
    "a short storage": (STORAGE + b"Q", "not a storage of numbers"),
    "a text as storage": (text("storage") + b"Q", "not a storage of numbers"),
    "tensors as keys": (b"}(" + tensor() + integer(1) + b"u", "keys other than"),
    "a list as dictionary": (b"](" + text("a") + integer(1) + b"u", "damaged"),
    "nothing": (b"", "damaged"),
    "too much": (integer(1) + integer(2), "damaged"),
    "a memo that is not there": (b"h\x07", "damaged"),
    "a tuple of nothing": (b"t", "damaged"),
    "an item of nothing": (b"s", "damaged"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_opcodes_and_names_that_tensors_do_not_need_are_refused(kind):
    value, message = REFUSED[kind]
    with pytest.raises(ValueError, match=message) as error:
        parse_pickle(pickled(value))
    assert "\n" not in str(error.value)


def test_bytes_after_the_end_are_refused():
    whole = pickled(tensor())
    for broken in (whole + b"\x00", whole + whole, whole[:-1], b"", whole[:40]):
        with pytest.raises(ValueError, match=r"damaged|pickle|not enough"):
            parse_pickle(broken)
