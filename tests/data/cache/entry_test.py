"""The cache on disk: entries are whole, keyed by what they depend on, and never used when stale."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import prompt_tuning
from prompt_tuning.data import declarations, ragged, references
from prompt_tuning.data import metrics as task_metrics
from prompt_tuning.data.cache import entry, opening, sources, writer
from prompt_tuning.data.cache.entry import Cache
from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError

LENGTHS = {"inputs": 16, "targets": 4}


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    model = Path(prompt_tuning.__file__).parent / "mini" / "t5_mini" / "sentencepiece.model"
    return Vocabulary(model, 16)


def write(cache_dir, vocabulary, name="films", *, labels=("bad", "good"), **changes) -> Path:
    tokens = ragged.from_sequences([[5, 6, 1], [7, 1]])
    targets = ragged.from_sequences([[9, 1], [8, 1]])
    fields = [{"targets_pretokenized": label, "label": i} for i, label in enumerate(labels)]
    settings = {
        "splits": {
            "train": writer.Tokenized(tokens, targets, None),
            "validation[:50%]": writer.Tokenized(tokens, targets, fields),
        },
        "scoring": references.Scoring(
            (references.refer(task_metrics.accuracy, name),),
            {
                "fn": "prompt_tuning.data.postprocessors:label_index",
                "kwargs": {"labels": list(labels)},
            },
        ),
        "origin": writer.Origin(),
    }
    return writer.write_task(Cache(cache_dir, vocabulary, LENGTHS), name, **(settings | changes))


def opened(cache_dir, vocabulary, name="films") -> CachedTask:
    task = opening.find_cached(Cache(cache_dir, vocabulary, LENGTHS), name)
    assert isinstance(task, CachedTask)
    return task


def test_what_is_written_is_read(tmp_path, vocabulary):
    write(tmp_path, vocabulary)
    task = opened(tmp_path, vocabulary)
    assert [row.tolist() for row in task.split("train").inputs] == [[5, 6, 1], [7, 1]]
    assert task.labels == ("bad", "good")
    assert task.split("validation[:50%]").target_texts == ["bad", "good"]
    assert task.evaluate("validation[:50%]", ["bad", "bad"]) == {"accuracy": 50.0}
    assert {path.name for path in tmp_path.iterdir()} == {
        Cache(tmp_path, vocabulary, LENGTHS).entry_directory("films").name
    }


def test_missing_splits_name_the_nearest(tmp_path, vocabulary):
    write(tmp_path, vocabulary)
    with pytest.raises(UserError, match=r"no split 'trian' \(did you mean train\?\)"):
        opened(tmp_path, vocabulary).split("trian")


def test_other_lengths_vocabulary_or_name_is_another_entry(tmp_path, vocabulary):
    write(tmp_path, vocabulary)
    other = Vocabulary(vocabulary.path, 8)
    assert (
        opening.find_cached(Cache(tmp_path, vocabulary, LENGTHS | {"inputs": 17}), "films") is None
    )
    assert opening.find_cached(Cache(tmp_path, other, LENGTHS), "films") is None
    assert opening.find_cached(Cache(tmp_path, vocabulary, LENGTHS), "film") is None


def test_digest_follows_the_content_alone(tmp_path, vocabulary):
    write(tmp_path / "a", vocabulary)
    write(tmp_path / "b", vocabulary, origin=writer.Origin(version="2"))
    write(tmp_path / "c", vocabulary, labels=("poor", "good"))
    a, b, c = (opened(tmp_path / name, vocabulary).digest for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "manifest", "edit", "empty"])
def test_damage_is_noticed(tmp_path, vocabulary, damage):
    directory = write(tmp_path, vocabulary)
    tokens, manifest = directory / "train.inputs.tokens.npy", directory / "manifest.json"
    content = bytearray(tokens.read_bytes())
    if damage == "truncate":
        tokens.write_bytes(content[:-4])
    elif damage == "flip":
        content[-1] ^= 1
        tokens.write_bytes(content)
    elif damage == "remove":
        tokens.unlink()
    elif damage == "manifest":
        manifest.write_text(manifest.read_text()[:-20])
    elif damage == "edit":
        manifest.write_text(manifest.read_text().replace('"good"', '"fine"'))
    else:
        manifest.write_text("[]")
    with pytest.raises(entry.UnusableError, match="damaged"):
        Cache(tmp_path, vocabulary, LENGTHS).open_entry("films")
    assert opening.find_cached(Cache(tmp_path, vocabulary, LENGTHS), "films") is None


def test_changed_data_files_are_noticed(tmp_path, vocabulary):
    data, later = tmp_path / "data.tsv", tmp_path / "later.tsv"
    data.write_text("one\n")
    gone = (str(tmp_path / "elsewhere.tsv"), 4, 1)  # data need not be on a training machine
    records = [entry.data_file_record(str(path)) for path in (data, later)]
    write(tmp_path, vocabulary, origin=writer.Origin(data_files=[*records, gone]))
    assert opened(tmp_path, vocabulary).name == "films"
    later.write_text("one\n")
    with pytest.raises(entry.UnusableError, match=r"later\.tsv changed since it was made"):
        Cache(tmp_path, vocabulary, LENGTHS).open_entry("films")
    later.unlink()
    data.write_text("one\ntwo\n")
    with pytest.raises(entry.UnusableError, match=r"data\.tsv changed since it was made"):
        Cache(tmp_path, vocabulary, LENGTHS).open_entry("films")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Returns the file of a user's module `cinema`."""
    monkeypatch.syspath_prepend(tmp_path / "modules")
    path = tmp_path / "modules" / "cinema.py"
    path.parent.mkdir()
    path.write_text("GENRE = 'western'\n")
    return path


@pytest.mark.parametrize("kind", ["token_modules", "scoring_modules"])
def test_a_changed_module_of_a_user_is_noticed(tmp_path, vocabulary, module, kind):
    origin = writer.Origin()._replace(**{kind: sources.digests(["cinema"], ())})
    write(tmp_path, vocabulary, origin=origin)
    assert opened(tmp_path, vocabulary).name == "films"
    module.write_text("GENRE = 'noir'\n")
    with pytest.raises(entry.UnusableError, match="cinema changed since it was made"):
        Cache(tmp_path, vocabulary, LENGTHS).open_entry("films")


@pytest.mark.parametrize(
    ("kind", "before", "after", "renewed"),
    [
        ("scoring_modules", None, None, True),
        ("token_modules", None, None, False),
        ("token_modules", "3", "3", True),
        ("token_modules", "3", "4", False),
        ("token_modules", None, "3", False),
        ("token_modules", "3", None, False),
        ("scoring_modules", "3", "4", False),
    ],
)
def test_tokens_stay_while_nothing_changes_them(
    tmp_path, vocabulary, module, kind, before, after, renewed
):
    def origin(version):
        digests = sources.digests(["cinema"], packages=())
        return writer.Origin(version=version)._replace(**{kind: digests})

    write(tmp_path, vocabulary, origin=origin(before))
    module.write_text("GENRE = 'noir'\n")
    scoring = references.Scoring((references.refer(task_metrics.matthews, "films"),), None)
    cache = Cache(tmp_path, vocabulary, LENGTHS)
    writer.update_scoring(cache, "films", scoring, origin(after))
    task = opening.find_cached(cache, "films")
    assert (task is not None) == renewed
    if isinstance(task, CachedTask):
        assert task.metric_functions == scoring.metrics
        assert [row.tolist() for row in task.split("train").inputs] == [[5, 6, 1], [7, 1]]


def test_a_damaged_manifest_is_not_renewed(tmp_path, vocabulary):
    manifest = write(tmp_path, vocabulary) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"examples": 2', '"examples": 3'))
    scoring = references.Scoring((), None)
    cache = Cache(tmp_path, vocabulary, LENGTHS)
    writer.update_scoring(cache, "films", scoring, writer.Origin())
    assert opening.find_cached(cache, "films") is None


def test_a_task_of_the_package_has_its_version_and_the_scoring_of_today(
    tmp_path, vocabulary, monkeypatch
):
    module = next(iter(declarations.REGISTRARS))
    declared = declarations.Declaration("1", [task_metrics.matthews], None)
    monkeypatch.setattr(f"{module}.declared", lambda name: declared)
    write(tmp_path, vocabulary, origin=writer.Origin(module, "1"))
    task = opened(tmp_path, vocabulary)
    assert task.metric_functions == (
        references.refer(task_metrics.matthews, "") | {"of": "predictions"},
    )
    assert task.evaluate("validation[:50%]", ["bad", "good"]) == {"matthews": 100.0}
    declared = declared._replace(version="2")
    with pytest.raises(entry.UnusableError, match="another version"):
        Cache(tmp_path, vocabulary, LENGTHS).open_entry("films")
    write(tmp_path, vocabulary, origin=writer.Origin("os", "1"))
    with pytest.raises(entry.UnusableError, match="damaged"):
        Cache(tmp_path, vocabulary, LENGTHS).open_entry("films")


def test_a_mixture_opens_its_tasks(tmp_path, vocabulary):
    rates = {"films": 3.0, "books": 1.0}
    cache = Cache(tmp_path, vocabulary, LENGTHS)
    writer.write_mixture(cache, "all", rates, writer.Origin())
    with pytest.raises(entry.UnusableError, match="its task films is missing"):
        cache.open_entry("all")
    write(tmp_path, vocabulary)
    write(tmp_path, vocabulary, "books")
    mixture = opening.find_cached(cache, "all")
    assert isinstance(mixture, CachedMixture)
    assert [(part.name, rate) for part, rate in mixture.parts] == list(rates.items())


def test_two_writers_and_a_reader_at_once(tmp_path, vocabulary):
    write(tmp_path, vocabulary)
    cache, failures = Cache(tmp_path, vocabulary, LENGTHS), []

    def keep_writing():
        try:
            for _ in range(15):
                write(tmp_path, vocabulary)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=keep_writing) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        task = opening.find_cached(cache, "films")  # None between two renames
        assert task is None or len(task.parts[0][0].split("train")) == 2
    for thread in threads:
        thread.join()
    assert failures == []
    assert opened(tmp_path, vocabulary).name == "films"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_writer_that_fails_leaves_nothing(tmp_path, vocabulary):
    with pytest.raises(TypeError):
        write(tmp_path, vocabulary, labels=(object(), "good"))
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written(tmp_path, vocabulary):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cache directory .*file cannot be written"):
        write(tmp_path / "file", vocabulary)
    with pytest.raises(UserError, match=r"cache directory .*file/in cannot be written"):
        cache = Cache(tmp_path / "file" / "in", vocabulary, LENGTHS)
        opening.ensure_cached(cache, ["films"], print)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({"inputs": 16}, "feature lengths are given for inputs;"),
        ({"inputs": 16, "targets": 1}, "feature length 1 of targets"),
    ],
)
def test_bad_lengths(tmp_path, vocabulary, lengths, message):
    with pytest.raises(UserError, match=message):
        Cache(tmp_path, vocabulary, lengths)


def test_names_cannot_leave_the_directory(tmp_path, vocabulary):
    directory = write(tmp_path / "cache", vocabulary, "../films")
    assert directory.parent == tmp_path / "cache"
    manifest = json.loads((directory / "manifest.json").read_text())
    files = [file for split in manifest["splits"].values() for file in split["files"]]
    assert all(os.path.basename(file) == file for file in files)


def test_arrays_are_mapped_not_copied(tmp_path, vocabulary):
    write(tmp_path, vocabulary)
    tokens = opened(tmp_path, vocabulary).split("train").inputs.tokens
    assert type(tokens) is np.ndarray
    assert isinstance(tokens.base, np.memmap)
