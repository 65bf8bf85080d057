"""Published datasets as SeqIO tasks, tokenised from JSON lines."""

import json
from pathlib import Path

import pytest

from prompt_tuning.data import cache
from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.data.datasets.catalog import DATASETS
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError

LENGTHS = {"inputs": 64, "targets": 8}


@pytest.fixture(scope="module")
def vocabulary(shared_data):
    return Vocabulary(shared_data / "t5" / "spiece.model", 100)


def ensure(folder, data_dir, vocabulary, *names):
    tasks = cache.ensure_cached(
        folder,
        names,
        vocabulary,
        LENGTHS,
        modules=(),
        data_dir=str(data_dir),
        tfds_data_dir=None,
        report=lambda text: None,
    )
    return [task for task in tasks if isinstance(task, CachedTask)]


def test_a_wrong_line_is_told_and_nothing_is_written(tmp_path, shared_data, vocabulary):
    folder = tmp_path / "data" / "glue_cola"
    folder.mkdir(parents=True)
    (folder / "validation.jsonl").write_text('{"sentence": "a", "label": 1}\n')
    (folder / "train.jsonl").write_text('{"sentence": "a", "label": 1}\n{"sentence": "b"}\n')
    with pytest.raises(UserError, match=r"glue_cola/train.jsonl, line 2: no field label; add it$"):
        ensure(tmp_path / "cache", tmp_path / "data", vocabulary, "glue_cola")
    assert not list((tmp_path / "cache").iterdir())


def test_every_gold_answer_counts_in_and_out_of_domain(tmp_path, shared_data, vocabulary):
    for name in ("squad", "mrqa_bioasq"):
        fixture = Path(__file__).parent / "fixtures" / f"{name}.json"
        folder = tmp_path / DATASETS[name].folder
        folder.mkdir()
        for split, rows in json.loads(fixture.read_text(encoding="utf-8"))["rows"].items():
            (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    squad, shifted = ensure(tmp_path / "cache", tmp_path, vocabulary, "squad", "mrqa_bioasq")
    # the third of three answers, and half of the words of one given twice
    scores = squad.evaluate("validation", ["A lark named Ada", "3 . 5"])
    assert scores == pytest.approx({"exact_match": 50.0, "token_f1": (100 + 80) / 2})
    assert (list(shifted.splits), shifted.scored_split) == (["test"], "test")
    assert shifted.evaluate("test", ["xyz1", "Byr"]) == pytest.approx({"token_f1": 250 / 3})
