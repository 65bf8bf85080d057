"""Published datasets as SeqIO tasks, tokenized from JSON lines."""

import json

import pytest

from prompt_tuning.data.cache import opening
from prompt_tuning.data.cache.entry import Cache
from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.data.datasets.catalog import DATASETS
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError

LENGTHS = {"inputs": 64, "targets": 8}


@pytest.fixture(scope="module")
def vocabulary(shared_data):
    return Vocabulary(shared_data / "t5" / "spiece.model", 100)


def ensure(folder, data_dir, vocabulary, *names):
    cache = Cache(folder, vocabulary, LENGTHS, data_dir=str(data_dir))
    tasks = opening.ensure_cached(cache, names, report=lambda text: None)
    return [task for task in tasks if isinstance(task, CachedTask)]


def test_a_wrong_line_is_told_and_nothing_is_written(tmp_path, shared_data, vocabulary):
    folder = tmp_path / "data" / "glue_cola"
    folder.mkdir(parents=True)
    (folder / "validation.jsonl").write_text('{"sentence": "a", "label": 1}\n')
    (folder / "train.jsonl").write_text('{"sentence": "a", "label": 1}\n{"sentence": "b"}\n')
    with pytest.raises(UserError, match=r"glue_cola/train.jsonl, line 2: no field label; add it$"):
        ensure(tmp_path / "cache", tmp_path / "data", vocabulary, "glue_cola")
    assert not list((tmp_path / "cache").iterdir())


@pytest.fixture(scope="module")
def invented(tmp_path_factory, shared_data, vocabulary, fixtures):
    """Tokenizes invented rows of tasks whose metrics look at more than the target's text."""
    names = ["squad", "mrqa_bioasq", "glue_mnli", "super_glue_multirc", "super_glue_record"]
    data_dir = tmp_path_factory.mktemp("data")
    for name in names:
        rows = json.loads((fixtures / f"{name}.json").read_text(encoding="utf-8"))["rows"]
        folder = data_dir / DATASETS[name].folder
        folder.mkdir()
        for split, each in rows.items():
            (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, each)))
    tasks = ensure(tmp_path_factory.mktemp("cache"), data_dir, vocabulary, *names)
    return dict(zip(names, tasks, strict=True))


def test_every_gold_answer_counts_in_and_out_of_domain(invented):
    # the third of three answers, and half of the words of one given twice
    scores = invented["squad"].evaluate("validation", ["A lark named Ada", "3 . 5"])
    assert scores == pytest.approx({"exact_match": 50.0, "token_f1": (100 + 80) / 2})
    shifted = invented["mrqa_bioasq"]
    assert (list(shifted.splits), shifted.scored_split) == (["test"], "test")
    assert shifted.evaluate("test", ["xyz1", "Byr"]) == pytest.approx({"token_f1": 250 / 3})


def test_answers_are_grouped_by_half_and_by_question(invented):
    mnli, multirc, record = (
        invented[name] for name in ("glue_mnli", "super_glue_multirc", "super_glue_record")
    )
    assert mnli.labels == ("entailment", "neutral", "contradiction")
    scores = mnli.evaluate("validation", ["entailment", "neutral", "neutral"])
    assert scores == {"accuracy_matched": 50.0, "accuracy_mismatched": 100.0}
    # the first question has a wrong answer, the second and the one of another paragraph none
    scores = multirc.evaluate("validation", ["True", "True", "True", "False"])
    assert scores == pytest.approx({"f1a": 80.0, "exact_match": 200 / 3})
    # an answer that is not the target, and half of one
    assert [len(record.split(split)) for split in ("train", "validation")] == [3, 2]
    scores = record.evaluate("validation", ["Lind", "Oslo fjord"])
    assert scores == pytest.approx({"exact_match": 50.0, "token_f1": (100 + 200 / 3) / 2})
