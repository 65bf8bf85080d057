"""The library: what it keeps, finds and refuses, whoever writes to it and whatever is damaged."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.index import Index, write_index
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.similarity import SIMILARITIES, similarities
from prompt_tuning.types import UserError


@pytest.fixture
def library(tmp_path, make):
    """Returns a library of three prompts of one backbone; the last has a task embedding."""
    library = Library.create(tmp_path / "library")
    last = make("c", 3, task="mini_mnli")
    library.add([make("a", 1), make("b", 2), last.embedded(make("c", 9).array, step=10)])
    return library


def names(library):
    return [entry.label for entry in library.entries()]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_prompt_comes_back_as_it_was_put_in(tmp_path, make):
    prompt = make("a", 1).embedded(make("a", 2).array, step=10)
    (entry,) = Library.create(tmp_path / "new" / "library").add([prompt])
    library = Library(tmp_path / "new" / "library")
    found = library.load(library.find(entry.name))
    np.testing.assert_array_equal(found.array, prompt.array)
    np.testing.assert_array_equal(found.embedding, prompt.embedding)
    assert found.metadata == prompt.metadata
    assert (entry.shape, entry.has_embedding, entry.task) == ((2, 4), True, "mini_sst2")
    assert entry.digest == files.digest(prompt.array)
    assert entry.metrics == {"validation": 91.0}


def test_what_was_trained_is_kept_and_makes_a_prompt_another_one(library, make):
    plain = make("a", 1)
    halves, same = (
        dataclasses.replace(plain, trainable={"half": plain.array / 2, "n": np.array(n)})
        for n in (2, 3)
    )
    entries = library.add([plain, halves, same, halves])
    assert len({entry.name for entry in entries}) == 3 and len(library.entries()) == 5
    trainable = library.load(entries[1]).trainable
    np.testing.assert_array_equal(trainable["half"], plain.array / 2)
    assert library.load(entries[0]).trainable is None
    assert not library.verify()


def test_what_is_there_is_not_written_again(library, make):
    before = {path.name: path.stat().st_mtime_ns for path in (library.path / "prompts").iterdir()}
    first, again = library.add([make("a", 1), make("a", 1)])
    assert first.name == again.name and len(library.entries()) == 3
    after = {path.name: path.stat().st_mtime_ns for path in (library.path / "prompts").iterdir()}
    assert before == after


def test_whatever_differs_in_a_prompt_makes_another_file(library, make):
    prompt = make("a", 1)
    others = [
        make("a", 1, step=401),
        prompt.embedded(prompt.array, step=400),
        files.Prompt(prompt.array[:, ::-1], prompt.metadata),
    ]
    added = library.add([prompt, *others])
    assert len({entry.content for entry in added}) == len({entry.path for entry in added}) == 4


@pytest.mark.parametrize("name", ["../../out", "/etc/x", "", "..", ".hidden", "ü" * 400, "a\n\x1b"])
def test_no_name_leads_out_of_the_directory(library, make, name):
    (entry,) = library.add([make(name, 5)])
    assert entry.path.parent == library.path / "prompts" and entry.path.is_file()
    assert not set(entry.name) - set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    assert library.find(entry.name).label == name
    assert sorted(path.name for path in library.path.iterdir()) == ["index.safetensors", "prompts"]


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_search_ranks_by_the_similarity_to_the_task_embeddings(library, make, similarity):
    like = make("q", 7)
    keys = np.stack([make("", seed).array for seed in (1, 2, 9)])
    values = similarities(like.array, keys, similarity)
    found = Library(library.path).search(like, library.entries(), similarity)
    assert [entry.label for entry, _ in found] == [
        "abc"[i] for i in sorted(range(3), key=lambda i: -values[i])
    ]
    np.testing.assert_allclose([v for _, v in found], sorted(values, reverse=True), atol=1e-6)


def test_a_search_is_by_the_embedding_of_the_prompt_that_is_searched_for(library, make):
    like = files.Prompt(make("q", 7).array, {}).embedded(make("", 9).array, step=10)
    found = library.search(like, library.entries(), "mean_token")
    assert found[0][0].label == "c" and found[0][1] == pytest.approx(1)
    assert len(library.search(like, library.entries()[:2], "per_token")) == 2
    assert library.search(like, [], "mean_token") == []


def test_a_search_takes_what_was_just_added(library, make):
    (entry,) = library.add([make("d", 4)])
    ((found, value),) = library.search(make("", 4), [entry], "mean_token")
    assert found is entry and value == pytest.approx(1)


def test_prompts_of_two_backbones_are_not_compared(library, make):
    library.add([make("d", 4, backbone_digest="cd" * 32)])
    with pytest.raises(UserError, match=r"prompt a is of t5_mini .* but prompt d is of t5_mini"):
        library.search(make("a", 1), library.entries(), "mean_token")


def test_prompts_of_two_widths_are_indexed_side_by_side(library, make):
    library.add([make("w", 4, width=8), make("aa", 5)])
    library = Library(library.path)
    wide = [entry for entry in library.entries() if entry.shape[1] == 8]
    assert library.search(make("", 4, width=8), wide, "per_token")[0][0].label == "w"
    like, narrow = make("", 5), [entry for entry in library.entries() if entry.shape[1] == 4]
    ((first, value), *_) = library.search(like, narrow, "mean_token")
    assert (first.label, value) == ("aa", pytest.approx(1))


def test_prompts_are_selected_by_all_that_is_given(library, make):
    library.add([make("d", 4, backbone="t5_base", backbone_digest="cd" * 32, metrics={"f1": 1})])

    def selected(**wanted):
        return "".join(entry.label for entry in library.select(**wanted))

    assert selected() == "abcd"
    assert selected(task="mini_sst2") == "abd" and selected(task="mini") == ""
    assert selected(backbone="t5_mini") == "abc" and selected(backbone="cdcdcd") == "d"
    assert selected(metric="f1") == "d" and selected(metric="validation", at_least=92) == "bc"
    assert selected(task="mini_sst2", metric="validation", at_least=92) == "b"


def test_a_prompt_is_found_by_name_or_digest_or_the_beginning_of_one(library, make):
    entry = library.entries()[1]
    for text in ("b", entry.name, entry.name[:6], entry.content[:8], entry.digest[:8]):
        assert library.find(text).name == entry.name
    library.add([make("b", 4), make("bb", 5)])
    with pytest.raises(UserError, match=r"'b' matches 2 prompts; give one of b-[0-9a-f]{16}, b-"):
        library.find("b")
    assert library.find("bb").label == "bb"
    with pytest.raises(UserError, match=r"has no prompt 'bbb' \(did you mean bb, b\?\)"):
        library.find("bbb")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-5])


def flip(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def rename_metadata(path):
    prompt = files.load(path)
    files.save(path, files.Prompt(prompt.array, prompt.metadata | {"task": "other"}))


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, rename_metadata, empty])
def test_a_damaged_file_is_named_and_left_out_and_adding_it_again_mends_it(library, make, damage):
    path = library.find("a").path
    damage(path)
    (library.path / "index.safetensors").unlink()
    before = contents(library.path / "prompts")
    library = Library(library.path)
    with pytest.warns(UserWarning, match=rf"prompt file {path}: .*; it is left out$"):
        assert names(library) == ["b", "c"]
    assert contents(library.path / "prompts") == before
    library.add([make("a", 1)])
    assert names(library) == ["a", "b", "c"]


def test_a_file_of_another_name_is_left_out(library):
    path = library.find("a").path
    path.rename(path.with_name("mine.safetensors"))
    with pytest.warns(UserWarning, match=r"its name should end in -[0-9a-f]{16}\.safetensors"):
        assert names(library) == ["b", "c"]
    path.with_name("mine.safetensors").rename(path.with_name(f"mine-{path.stem[-16:]}.safetensors"))
    assert library.find("mine").label == "a" and len(library.entries()) == 3


def test_what_is_indexed_is_not_read_again_but_its_damage_is_seen_when_it_is_used(library, make):
    assert names(library) == ["a", "b", "c"]
    truncate(library.find("a").path)
    library = Library(library.path)
    library.add([make("d", 4)])
    assert names(library) == ["a", "b", "c", "d"]
    entry = library.find("a")
    with pytest.warns(UserWarning, match="damaged, or gone since"):
        assert not library.has(entry)
    with pytest.raises(UserError, match="damaged"):
        library.load(entry)
    assert library.has(library.find("b"))


def test_hidden_files_and_others_are_no_prompts(library):
    folder = library.path / "prompts"
    (folder / "._a-0123456789abcdef.safetensors").write_text("left by a file manager")
    (folder / "notes.txt").write_text("")
    assert names(library) == ["a", "b", "c"] and library.verify() == []


def test_a_deleted_file_is_gone_from_the_index(library):
    assert names(library) == ["a", "b", "c"]
    library.find("b").path.unlink()
    assert names(Library(library.path)) == ["a", "c"]
    found = library.search(library.load(library.find("c")), library.entries(), "mean_token")
    assert [entry.label for entry, _ in found] == ["c", "a"]


def test_verify_reads_everything_and_corrects_the_index(library):
    assert library.verify() == []
    path = library.find("b").path
    flip(path)
    (problem,) = library.verify()
    assert problem.startswith(f"prompt file {path}: it is damaged")
    with pytest.warns(UserWarning, match=path.name):
        assert names(Library(library.path)) == ["a", "c"]


def test_verify_tells_what_the_index_was_wrong_about(library):
    entries = library.entries()
    swapped = {"mean_token.4": np.eye(3, 4, dtype=np.float32), "per_token.4": np.eye(3, 4)}
    wrong = dataclasses.replace(entries[0], metadata={"name": "x"})
    index = Index([wrong, *entries[1:]], swapped)
    write_index(index, library.path / "index.safetensors")
    assert names(Library(library.path)) == ["x", "b", "c"]
    told = [problem.split()[-1] for problem in library.verify()]
    assert sorted(told) == [entry.name for entry in entries]
    assert names(Library(library.path)) == ["a", "b", "c"] and library.verify() == []


def test_a_copy_is_a_library(library, tmp_path):
    library.entries()
    shutil.copytree(library.path, tmp_path / "copy")
    shutil.rmtree(library.path)
    copy = Library(tmp_path / "copy")
    assert names(copy) == ["a", "b", "c"] and copy.verify() == []
    assert copy.find("a").path.is_relative_to(tmp_path / "copy")


def test_a_library_that_cannot_be_written_to_is_read(library):
    (library.path / "index.safetensors").unlink(missing_ok=True)
    (library.path / "index.safetensors").mkdir()  # Also root cannot write a file here.
    library = Library(library.path)
    assert names(library) == ["a", "b", "c"]
    found = library.search(library.load(library.find("a")), library.entries(), "mean_token")
    assert found[0][0].label == "a"
    assert not list(library.path.glob(".*"))


def test_what_is_no_library_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no library at"):
        Library(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot create it"):
        Library.create(tmp_path / "file")
    with pytest.raises(UserError, match="it is a file; give the directory of a library"):
        Library(tmp_path / "file")
    with pytest.raises(UserError, match=r"cannot read it .*too long.*; give another one"):
        Library(tmp_path / ("x" * 300))
    for opened in (Library, Library.create):
        with pytest.raises(UserError, match="the path of the library is empty"):
            opened("")
    (tmp_path / "run" / "prompts" / "row").mkdir(parents=True)
    with pytest.raises(UserError, match="is a run's directory, not a library"):
        Library.create(tmp_path / "run").add([])


WRITER = """
import sys
import numpy as np
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.transfer.library.library import Library

library = Library.create(sys.argv[1])
for i in range(int(sys.argv[2]), int(sys.argv[3])):
    library.add([Prompt(np.full((2, 4), i + 1, np.float32), {"name": f"p{i}"})])
    assert f"p{i}" in [entry.label for entry in library.entries()]
"""


def test_writers_at_once_lose_nothing(tmp_path):
    path = tmp_path / "library"
    command = [sys.executable, "-W", "error", "-c", WRITER, str(path)]
    ranges = [("0", "20"), ("10", "30"), ("20", "40")]
    writers = [subprocess.Popen([*command, *each]) for each in ranges]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert set(names(Library(path))) == {f"p{i}" for i in range(40)}
    assert len(Library(path).entries()) == 40 and Library(path).verify() == []


KILLED = """
import os, signal
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_that_is_killed_leaves_no_half_of_a_prompt(library, make):
    command = [sys.executable, "-c", KILLED + WRITER, str(library.path), "0", "1"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (left,) = (library.path / "prompts").glob(".*")
    assert names(library) == ["a", "b", "c"]
    library.add([make("d", 4)])
    assert left.exists()  # Its writer may be at work.
    os.utime(left, (0, time.time() - 2 * 24 * 3600))
    library.add([make("e", 5)])
    assert not left.exists() and names(library) == ["a", "b", "c", "d", "e"]
