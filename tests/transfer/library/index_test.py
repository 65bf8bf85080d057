"""The index: what it holds, what it reads, and that it is a cache."""

import json

import numpy as np
import pytest
import safetensors.numpy

from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.entry import entry_of
from prompt_tuning.transfer.library.index import (
    Index,
    differences,
    empty_index,
    read_index,
    updated_index,
    write_index,
)
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.similarity import SIMILARITIES


@pytest.fixture
def folder(tmp_path, make):
    """Returns the folder of two prompts, `a` of width 4 and `b` of width 8."""
    library = Library.create(tmp_path)
    library.add([make("a", 1), make("b", 2, width=8)])
    return tmp_path / "prompts"


def stems(folder):
    return [path.stem for path in folder.iterdir()]


def complain(error):
    raise AssertionError(error)


def test_the_file_holds_entries_and_a_matrix_for_each_similarity_and_width(folder, make):
    index = updated_index(empty_index(), stems(folder), folder, complain)
    write_index(index, folder.parent / "index.safetensors")
    tensors = safetensors.numpy.load_file(folder.parent / "index.safetensors")
    assert {name: tensor.shape for name, tensor in tensors.items() if name != "entries"} == {
        "mean_token.4": (1, 4),
        "per_token.4": (1, 4),
        "mean_token.8": (1, 8),
        "per_token.8": (1, 8),
    }
    for name, signature in SIMILARITIES.items():
        expected = signature(make("", 2, width=8).array)
        np.testing.assert_array_equal(tensors[f"{name}.8"][0], expected)
        assert tensors[f"{name}.8"].dtype == np.float32
    rows = json.loads(tensors["entries"].tobytes())
    assert [row[1]["name"] for row in rows] == ["a", "b"]


def test_what_is_written_is_read_back(folder):
    path = folder.parent / "index.safetensors"
    index = updated_index(empty_index(), stems(folder), folder, complain)
    write_index(index, path)
    found = read_index(path, folder)
    assert found.entries.keys() == index.entries.keys()
    for name, entry in index.entries.items():
        other = found.entries[name]
        assert (other.path, other.metadata, other.shape) == (
            entry.path,
            entry.metadata,
            entry.shape,
        )
        np.testing.assert_array_equal(
            found.signatures([other], "per_token"), index.signatures([entry], "per_token")
        )
    assert updated_index(found, stems(folder), folder, complain) is found
    assert differences(index, found) == []


def test_only_files_that_it_lacks_are_read(folder, make):
    index = updated_index(empty_index(), stems(folder), folder, complain)
    Library(folder.parent).add([make("c", 3), make("d", 4, width=8)])
    for name in index.entries:
        (folder / f"{name}.safetensors").write_bytes(b"unreadable")
    index = updated_index(index, stems(folder), folder, complain)
    by_label = {entry.label: entry for entry in index.entries.values()}
    for label, seed, width in (("a", 1, 4), ("b", 2, 8), ("c", 3, 4), ("d", 4, 8)):
        np.testing.assert_array_equal(
            index.signatures([by_label[label]], "mean_token")[0],
            SIMILARITIES["mean_token"](make("", seed, width=width).array),
        )


def test_signatures_come_in_the_order_that_is_asked_for(folder, make):
    Library(folder.parent).add([make("c", 3), make("d", 4)])
    index = updated_index(empty_index(), stems(folder), folder, complain)
    a, _, c, d = index.entries.values()
    found = index.signatures([d, a], "mean_token")
    np.testing.assert_array_equal(found[0], index.signatures([d], "mean_token")[0])
    np.testing.assert_array_equal(found[1], index.signatures([a], "mean_token")[0])
    assert index.signatures([a, c, d], "mean_token").shape == (3, 4)


def rewritten(path, metadata=None, **changes):
    tensors = safetensors.numpy.load_file(path) | changes
    path.write_bytes(safetensors.numpy.save(tensors, metadata or {"format_version": "1"}))


BAD = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "text": lambda path: path.write_text("hello"),
    "a prompt": lambda path: files.save(path, files.Prompt(np.eye(2), {})),
    "another version": lambda path: rewritten(path, {"format_version": "0"}),
    "no entries": lambda path: rewritten(path, entries=np.frombuffer(b"[[]]", np.uint8)),
    "no JSON": lambda path: rewritten(path, entries=np.frombuffer(b"[[", np.uint8)),
    "deep JSON": lambda path: rewritten(path, entries=np.full(100_000, ord("["), np.uint8)),
    "another shape": lambda path: rewritten(path, **{"per_token.8": np.eye(2, 8)}),
}


@pytest.mark.parametrize("bad", BAD)
def test_an_index_of_no_use_is_made_anew(folder, bad):
    path = folder.parent / "index.safetensors"
    assert len(Library(folder.parent).entries()) == 2
    before = read_index(path, folder)
    assert len(before.entries) == 2
    BAD[bad](path)
    assert not read_index(path, folder).entries
    assert len(Library(folder.parent).entries()) == 2
    assert differences(before, read_index(path, folder)) == []


def test_an_index_cannot_name_what_is_not_there(folder, make):
    path = folder.parent / "index.safetensors"
    liar = entry_of(make("../../a", 3), folder, 1)
    index = updated_index(empty_index(), stems(folder), folder, complain)
    width_4 = next(iter(index.entries.values()))
    signatures = {name: index.signatures([width_4], name) for name in SIMILARITIES}
    wrong = {f"{name}.4": signature for name, signature in signatures.items()}
    write_index(Index([liar], wrong), path)
    assert [entry.label for entry in Library(folder.parent).entries()] == ["a", "b"]


def test_many_files_are_indexed_without_a_word_where_nobody_looks_on(tmp_path, make, capfd):
    library = Library.create(tmp_path)
    library.add([make(f"p{i:03}", i) for i in range(201)])
    assert [entry.label for entry in library.entries()] == [f"p{i:03}" for i in range(201)]
    assert capfd.readouterr() == ("", "")
