"""What is wrong with a task is said in one line, and nothing of it is written."""

import functools
from pathlib import Path
from typing import Any

import pytest
import seqio
import tensorflow as tf

import prompt_tuning
from prompt_tuning.data import metrics
from prompt_tuning.data.cache.build import tokenize_missing
from prompt_tuning.data.cache.entry import Cache
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError

MODEL = Path(prompt_tuning.__file__).parent / "mini" / "t5_mini" / "sentencepiece.model"
FEATURE = seqio.Feature(seqio.SentencePieceVocabulary(str(MODEL), 16), add_eos=True)


def good_or_bad(split, shuffle_files):
    rows: Any = {"inputs": ["film"], "targets": ["good"]}
    return tf.data.Dataset.from_tensor_slices(rows)


def breaks(split, shuffle_files):
    raise FileNotFoundError("films.tsv is missing\nand more")


@seqio.map_over_dataset
def drop_targets(row):
    return {"inputs": row["inputs"]}


def with_aux(targets, predictions, aux_values):
    return {}


def build(cache_dir, *names, modules=()):
    lengths = {"inputs": 16, "targets": 4}
    cache = Cache(cache_dir, Vocabulary(MODEL, 16), lengths, modules=modules)
    tokenize_missing(cache, names, report=lambda text: None)


@pytest.fixture
def add():
    """Returns a function that registers a task `odd` with some settings for this test."""

    def register(source=good_or_bad, **changes):
        settings = {
            "source": seqio.FunctionDataSource(source, splits=("train",)),
            "preprocessors": [
                seqio.preprocessors.tokenize,
                seqio.preprocessors.append_eos_after_trim,
            ],
            "output_features": {"inputs": FEATURE, "targets": FEATURE},
            "metric_fns": [metrics.accuracy],
        }
        seqio.TaskRegistry.add("odd", **(settings | changes))

    yield register
    seqio.TaskRegistry.remove("odd")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": breaks}, "task odd failed with FileNotFoundError: films.tsv is missing$"),
        (
            {"metric_fns": [with_aux]},
            r"task odd has a metric of \(targets, predictions, aux_values\); metrics of",
        ),
        (
            {"metric_fns": [lambda targets, predictions: {}]},
            "task odd uses .*lambda.* cannot be found again by name",
        ),
        (
            {"postprocess_fn": functools.partial(metrics.accuracy, ["x"])},
            "task odd binds positional arguments",
        ),
        ({"preprocessors": []}, "task odd gives 'inputs' as string of rank 0, not token ids"),
        (
            {"preprocessors": [drop_targets, seqio.preprocessors.tokenize]},
            "task odd gives no 'targets' after its preprocessors, only inputs",
        ),
        (
            {
                "output_features": {
                    "inputs": seqio.Feature(seqio.ByteVocabulary()),
                    "targets": FEATURE,
                }
            },
            "task odd writes inputs with a ByteVocabulary",
        ),
    ],
)
def test_a_task_that_cannot_be_tokenized(tmp_path, add, changes, message):
    add(**changes)
    with pytest.raises(UserError, match=message) as caught:
        build(tmp_path / "cache", "odd")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_task_that_can(tmp_path, add):
    add()
    build(tmp_path, "odd")
    assert len(list(tmp_path.glob("odd-*"))) == 1


def test_unknown_names_and_modules(tmp_path):
    with pytest.raises(UserError, match=r"no task or mixture 'mini_cbb' \(did you mean mini_cb"):
        build(tmp_path, "mini_cbb")
    with pytest.raises(UserError, match="no task module my_films; give an importable name"):
        build(tmp_path, "mini_cb", modules=["my_films"])


def test_a_module_that_fails_to_import(tmp_path, monkeypatch):
    (tmp_path / "films_a.py").write_text("import no_such_package\n")
    (tmp_path / "films_b.py").write_text("x = 1 +\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="task module films_a failed with ModuleNotFoundError"):
        build(tmp_path, "mini_cb", modules=["films_a"])
    with pytest.raises(UserError, match="task module films_b failed with SyntaxError"):
        build(tmp_path, "mini_cb", modules=["films_b"])
