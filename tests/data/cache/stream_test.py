"""Streams: the same examples from any position, in the order of the rows, for one process each."""

import dataclasses
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

import prompt_tuning
from prompt_tuning.data import ragged
from prompt_tuning.data.batches.pipeline import Batches
from prompt_tuning.data.cache import opening, stream_writer, worker
from prompt_tuning.data.cache.entry import Cache
from prompt_tuning.data.cache.stream import (
    WRITER,
    Stream,
    read_block,
    write_block,
    write_failure,
)
from prompt_tuning.data.cached_task import Block, CachedTask, in_memory
from prompt_tuning.data.datasets.source import DIRECTORIES
from prompt_tuning.data.target_prefix import with_target_prefix
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError

MINI = Path(prompt_tuning.__file__).parent / "mini" / "t5_mini"
LENGTHS = {"inputs": 16, "targets": 12}
ROWS = 300


def text(number: int) -> str:
    """Returns a text of 1 to 40 words, by turns one of two: chunks of odd length differ."""
    return " ".join(("good", "bad")[(number + i) % 2] for i in range(1 + number % 40))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A directory with a stand-in for C4."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "c4_en").mkdir()
    for split, count in (("train", ROWS), ("validation", 30)):
        lines = "".join(json.dumps({"text": text(i)}) + "\n" for i in range(count))
        (folder / "c4_en" / f"{split}.jsonl").write_text(lines)
    return folder


@pytest.fixture(scope="module")
def vocabulary():
    facts = json.loads((MINI / "config.json").read_text())["vocabulary"]
    return Vocabulary(MINI / "sentencepiece.model", facts["extra_ids"])


@pytest.fixture(scope="module")
def task(tmp_path_factory, data_dir, vocabulary):
    cache = Cache(tmp_path_factory.mktemp("cache"), vocabulary, LENGTHS, data_dir=str(data_dir))
    (task,) = opening.ensure_cached(cache, ["c4_prefix_lm"], report=lambda line: None)
    assert isinstance(task, CachedTask)
    return task


def listed(block: Block) -> list[tuple[list[int], list[int]]]:
    inputs, targets = block
    return [(inputs[i].tolist(), targets[i].tolist()) for i in range(len(inputs))]


def written(task: CachedTask, seed: int, start: int, count: int) -> list[tuple[list, list]]:
    """Returns what the process would write, written by this one."""
    assert task.stream is not None
    examples = []
    for block in stream_writer.blocks(task.stream.request(seed, start)):
        examples += listed(block)
        if len(examples) >= count:
            break
    return examples[:count]


@pytest.fixture(scope="module")
def first(task):
    """The first 400 examples with seed 3: more than there are rows."""
    return written(task, 3, 0, 400)


@pytest.fixture(autouse=True)
def _directories():
    before = dataclasses.replace(DIRECTORIES)
    yield
    DIRECTORIES.data_dir, DIRECTORIES.tfds_data_dir = before.data_dir, before.tfds_data_dir


def test_examples_are_chunks_of_the_rows_in_order(first, vocabulary):
    most = LENGTHS["inputs"] - 1
    cut, drawn = set(), set()
    for number, (inputs, targets) in enumerate(first):
        whole = vocabulary.encode(text(number % ROWS))
        chunks = [whole[start : start + most] for start in range(0, len(whole), most)]
        assert inputs[-1] == targets[-1] == 1
        assert len(targets) <= LENGTHS["targets"]
        got = inputs[:-1] + targets[:-1]
        kept = [chunk[: len(inputs) - 2 + LENGTHS["targets"]] for chunk in chunks]
        drawn.add(kept.index(got))
        if len(got) > 1:
            cut.add(len(inputs) - 1)
    assert cut == set(range(1, most))
    assert {0, 1} <= drawn


def test_each_cut_is_as_likely_as_the_others(task):
    examples = written(task, 5, 0, 6000)
    long = [len(inputs) - 1 for number, (inputs, _) in enumerate(examples) if number % 40 == 14]
    assert len(long) == 150  # texts of 15 words, cut after 1 to 14 of them
    counts = np.bincount(long, minlength=15)[1:]
    assert scipy.stats.chisquare(counts).pvalue > 1e-4


def test_any_position_can_be_gone_to(task, first):
    assert written(task, 3, 150, 10) == first[150:160]
    assert written(task, 3, 350, 50) == first[350:400]  # beyond the last row: the second pass


def test_seeds_and_passes_draw_differently(task, first):
    assert written(task, 4, 0, 100) != first[:100]
    assert first[ROWS:400] != first[: 400 - ROWS]


def test_validation_is_held_and_scored_by_likelihood(task):
    split = task.split("validation")
    assert (len(split), list(task.splits), task.scored_split) == (30, ["validation"], "validation")
    tokens = [fields["target_tokens"] for fields in split.fields]
    assert tokens == split.targets.lengths.tolist()
    scores = [-2.0 * count for count in tokens]
    values = task.evaluate("validation", [""] * 30, scores)
    assert values == pytest.approx({"token_probability": 100.0 * np.exp(-2.0)})
    with pytest.raises(UserError, match="c4_prefix_lm has no split 'train'"):
        task.split("train")


def test_a_stream_gives_what_is_asked_for_until_a_row_is_wrong(tmp_path, task, data_dir, first):
    shutil.copytree(data_dir, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "c4_en" / "train.jsonl").open("a") as file:
        file.write('{"txt": "bad"}\n')
    stream = Stream(dataclasses.replace(task.stream, data_dir=str(tmp_path)), 3)
    parts = [stream.take(10, 7), stream.take(17, 0), stream.take(17, 200)]
    assert [listed(part) for part in parts] == [first[10:17], [], first[17:217]]
    with pytest.raises(UserError, match=r"^[^\n]*train.jsonl, line 301: no field text"):
        stream.take(217, 100)


def test_streamed_targets_take_no_prefix(task, vocabulary):
    with pytest.raises(UserError, match="c4_prefix_lm are streamed as they are; set TARGET_PREFIX"):
        with_target_prefix(task, "good", vocabulary)


def batches(parts, **options) -> Batches:
    settings = {"batch_size": 8, "seed": 3, "shapes": [(8, 6), (16, 12)]}
    return Batches(parts, **(settings | options), process_index=0, process_count=1)


def test_a_mixture_with_a_stream_has_its_rates_and_resumes(task, first):
    marked = in_memory([[9, 9, 9, 1]] * 10, [[5, 1]] * 10)
    parts = [(marked, 1.0), (task.training, 3.0)]
    source = batches(parts)
    drawn = [source.next() for _ in range(68)]
    assert {batch.encoder_tokens.shape[1] for batch in drawn} == {8, 16}
    for window in (0, 1):
        of_window = drawn[32 * window : 32 * (window + 1)]
        rows = [tuple(row[row > 0]) for batch in of_window for row in batch.encoder_tokens]
        assert rows.count((9, 9, 9, 1)) == 64  # a quarter
        streamed = sorted(tuple(inputs) for inputs, _ in first[192 * window : 192 * (window + 1)])
        assert sorted(row for row in rows if row != (9, 9, 9, 1)) == streamed
    again = batches(parts)
    again.restore(source.state() | {"position": 61})
    for batch in drawn[61:]:
        for one, other in zip(again.next(), batch, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_process_ends_with_its_input(task):
    """The input closes where the parent is gone, whatever the process waits for."""
    process = subprocess.Popen(
        [sys.executable, "-m", WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=worker.environment(),
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(task.stream.request(0, 0)).encode() + b"\n")
    process.stdin.flush()
    assert read_block(process.stdout) is not None
    assert process.poll() is None  # it waits until the next blocks are read
    process.stdin.close()
    assert process.wait(timeout=60) == 1
    process.stdout.close()


def test_blocks_are_read_as_they_were_written():
    file = io.BytesIO()
    block = Block(ragged.from_sequences([[4, 1], [1]]), ragged.from_sequences([[1], [5, 6, 1]]))
    write_block(file, block)
    write_failure(file, "no")
    file.seek(0)
    read = read_block(file)
    assert read is not None and listed(read) == listed(block)
    with pytest.raises(UserError, match=r"^no$"):
        read_block(file)
    assert read_block(file) is None
    assert read_block(io.BytesIO(file.getvalue()[:30])) is None
