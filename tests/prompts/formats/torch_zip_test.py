"""Files of torch.save: prompts come back, whatever their layout, and nothing is unpickled."""

import functools
import os
import subprocess
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from prompt_tuning.prompts.formats.torch_zip import is_torch_zip, read_torch_zip
from prompt_tuning.types import UserError
from tests.prompts.formats.torch_files import (
    ARRAY,
    call,
    dictionary,
    integer,
    name,
    tensor,
    text,
    write_torch_file,
)

TORCH = os.environ.get("PEER_PYTHON")


def test_a_prompt_is_named_for_its_directory_or_its_file(tmp_path):
    write_torch_file(tmp_path / "IMDBPromptT5Small" / "task_prompt", tensor())
    write_torch_file(tmp_path / "mine.pt", dictionary(task_prompt=tensor()), root="mine")
    write_torch_file(tmp_path / "sst2" / "task_prompt", tensor())
    of_su = {"name": "IMDBPromptT5Small", "task": "IMDB"}
    for path, metadata in (
        ("IMDBPromptT5Small", of_su),
        ("IMDBPromptT5Small/task_prompt", of_su),
        ("sst2", {"name": "sst2"}),
        ("mine.pt", {"name": "mine"}),
    ):
        assert is_torch_zip(tmp_path / path)
        prompt = read_torch_zip(tmp_path / path)
        np.testing.assert_array_equal(prompt.array, ARRAY)
        assert prompt.array.dtype == np.float32 and prompt.metadata == metadata


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("HalfStorage", np.float16),
        ("DoubleStorage", np.float64),
        ("BFloat16Storage", ml_dtypes.bfloat16),
    ],
)
def test_other_floats_are_read_in_both_byte_orders(tmp_path, kind, dtype):
    stored = ARRAY.astype(dtype)
    turned = stored.view(f"u{stored.itemsize}").byteswap().tobytes()
    for numbers, order in (
        (stored.tobytes(), None),
        (stored.tobytes(), b"little"),
        (turned, b"big"),
    ):
        path = write_torch_file(tmp_path / "a.pt", tensor(kind=kind), numbers, byteorder=order)
        np.testing.assert_array_equal(read_torch_zip(path).array, stored.astype(np.float32))


def test_the_layout_of_a_view_is_followed(tmp_path):
    numbers = np.arange(12, dtype=np.float32)
    view = {"count": 12, "offset": 1, "shape": (2, 3), "strides": (2, 4)}
    path = write_torch_file(tmp_path / "view.pt", tensor(**view), numbers)
    np.testing.assert_array_equal(read_torch_zip(path).array, [[1, 5, 9], [3, 7, 11]])


def test_the_tensor_on_the_topmost_level_is_the_prompt(tmp_path):
    momentum = dictionary(exp_avg=tensor(key="1"), exp_avg_sq=tensor(key="2"))
    optimizer = b"}" + integer(0) + momentum + b"s"
    bias = tensor(shape=(6,), strides=(1,))
    ids = tensor(key="3", kind="LongStorage")
    for value in (
        dictionary(optimizer=optimizer, model=tensor(), bias=bias, ids=ids, step=integer(3)),
        dictionary(best_acc=tensor(count=1, shape=(), strides=()), best_prompt=tensor()),
        dictionary(prompt=dictionary(weight=tensor()), other=dictionary(optimizer=optimizer)),
    ):
        path = write_torch_file(tmp_path / "state.pt", value)
        np.testing.assert_array_equal(read_torch_zip(path).array, ARRAY)


LOOP = b"]q\x01h\x01a"  # a list in itself
DOUBLED = functools.reduce(  # a list of the same list twice, 60 deep
    lambda inner, i: b"](" + inner + b"q" + bytes([i]) + b"h" + bytes([i]) + b"e", range(60), b"]"
)
REFUSED = {
    "several": (
        dictionary(a=tensor(), b=tensor(key="1")),
        {},
        r"several tensors \[P, H\] \('a', 'b'\)",
    ),
    "none": (dictionary(a=integer(1)), {}, r"it has no tensor \[P, H\]"),
    "a list in itself": (LOOP, {}, r"it has no tensor \[P, H\]"),
    "lists that double": (DOUBLED, {}, r"it has no tensor \[P, H\]"),
    "three axes": (tensor(shape=(1, 3, 2), strides=(6, 2, 1)), {}, r"it has no tensor \[P, H\]"),
    "integers": (tensor(kind="LongStorage"), {"numbers": bytes(48)}, r"it has no tensor \[P, H\]"),
    "no numbers": (tensor(key="1"), {}, "numbers of its tensor are missing"),
    "a path": (tensor(key="../version"), {}, "numbers of its tensor are missing"),
    "few numbers": (tensor(), {"numbers": ARRAY[:2]}, "numbers of its tensor are missing"),
    "too many": (tensor(shape=(4, 2)), {}, "reaches beyond its numbers"),
    "shifted": (tensor(offset=1), {}, "reaches beyond its numbers"),
    "wide": (tensor(strides=(3, 1)), {}, "reaches beyond its numbers"),
    "spread": (tensor(shape=(1 << 30, 1 << 30), strides=(0, 0)), {}, "reaches beyond its numbers"),
    "empty": (tensor(shape=(0, 2)), {}, "reaches beyond its numbers"),
    "compressed": (tensor(), {"compression": zipfile.ZIP_DEFLATED}, "it is compressed"),
    "another order": (tensor(), {"byteorder": b"middle"}, "damaged"),
    "NaN": (tensor(), {"numbers": ARRAY * np.nan}, "not finite"),
    "a name": (dictionary(a=call(name("os", "system"), text("ls"))), {}, r"it names 'os\.system'"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_anything_unexpected_is_refused_in_one_line(tmp_path, kind):
    value, settings, message = REFUSED[kind]
    path = write_torch_file(tmp_path / "odd.pt", value, **settings)
    with pytest.raises(UserError, match=message) as error:
        read_torch_zip(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_command_in_the_pickle_is_never_run(tmp_path):
    mark = tmp_path / "mark"
    armed = call(name("os", "system"), text(f"mkdir {mark}"))
    for value in (armed, dictionary(a=armed, task_prompt=tensor()), armed + b"0" + tensor()):
        with pytest.raises(UserError, match=r"its pickle, which is never run.*'os\.system'"):
            read_torch_zip(write_torch_file(tmp_path / "armed.pt", value))
    assert not mark.exists()


def test_foreign_zips_and_duplicate_members_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", b"a")
    assert not is_torch_zip(tmp_path / "other.zip")
    path = write_torch_file(tmp_path / "twice.pt", tensor())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data.pkl", b"")
    for each in (tmp_path / "other.zip", path):
        with pytest.raises(UserError, match=r"a zip without a pickle of torch\.save"):
            read_torch_zip(each)


def test_no_flipped_byte_gets_through_as_an_error_of_another_kind(tmp_path):
    good = write_torch_file(tmp_path / "good.pt", dictionary(task_prompt=tensor())).read_bytes()
    path = tmp_path / "flipped.pt"
    refused = 0
    for i in range(len(good)):
        mask = (0x01, 0x55, 0x80)[i % 3]
        path.write_bytes(good[:i] + bytes([good[i] ^ mask]) + good[i + 1 :])
        try:
            assert read_torch_zip(path).array.ndim == 2
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > len(good) / 3
    for end in range(0, len(good), 7):
        path.write_bytes(good[:end])
        with pytest.raises(UserError, match="damaged"):
            read_torch_zip(path)


SAVE = """
import sys, collections, torch, numpy as np
folder, protocol = sys.argv[1], int(sys.argv[2])
array = torch.tensor(np.load(folder + "/array.npy"))
for name, value in {
    "tensor": array,
    "parameter": torch.nn.Parameter(array),
    "state": torch.nn.Embedding.from_pretrained(array).state_dict(),
    "view": {"task_prompt": array.T.contiguous().T},
    "slice": {"prompt": torch.cat([array, array, array])[len(array) : 2 * len(array)]},
    "double": collections.OrderedDict(a=array.double()),
}.items():
    torch.save(value, f"{folder}/{name}.pt", pickle_protocol=protocol)
"""


@pytest.mark.skipif(TORCH is None, reason="needs a Python that has torch, named by PEER_PYTHON")
@pytest.mark.parametrize("protocol", [2, 4])
def test_files_written_by_torch_are_read(tmp_path, protocol):
    array = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    np.save(tmp_path / "array.npy", array)
    assert TORCH is not None
    subprocess.run([TORCH, "-c", SAVE, str(tmp_path), str(protocol)], check=True)
    paths = sorted(Path(tmp_path).glob("*.pt"))
    assert len(paths) == 6
    for path in paths:
        np.testing.assert_array_equal(read_torch_zip(path).array, array)
