"""The registered tasks are ordinary SeqIO tasks, and agree with the modules that avoid SeqIO."""

import numpy as np
import pytest
import seqio

from prompt_tuning.data import tasks
from prompt_tuning.data.datasets.catalog import MIXTURES
from prompt_tuning.data.datasets.dataset import UNPREFIXED
from prompt_tuning.data.mini.suite import SOURCES, SUITE
from prompt_tuning.data.vocabulary import Vocabulary


def test_every_task_of_the_suite_is_registered():
    for name, mini in SUITE.items():
        task = seqio.get_mixture_or_task(name)
        assert isinstance(task, seqio.Task)
        assert set(task.splits) == set(mini.sizes)
        assert set(task.output_features) == {"inputs", "targets"}
        assert len(task.metric_fns) == 1


def test_examples_end_in_eos_even_when_cut():
    task = seqio.TaskRegistry.get("mini_cb")
    lengths = {"inputs": 12, "targets": 4}
    for example in task.get_dataset(lengths, "validation", shuffle=False).take(5):
        tokens = example["inputs"].numpy()
        assert len(tokens) == 12 and tokens[-1] == 1 and 1 not in tokens[:-1]
        assert example["targets"].numpy()[-1] == 1


@pytest.mark.parametrize("name", ["mini_cb", "mini_squad"])
def test_a_seqio_evaluator_can_score(name):
    task = seqio.TaskRegistry.get(name)
    rows = SUITE[name].examples("test")
    targets = [task.postprocess_fn(row["targets"], example=row, is_target=True) for row in rows]
    wrong = [task.postprocess_fn("none of them", example=row, is_target=False) for row in rows]
    (metric,) = task.predict_metric_fns
    assert set(metric(targets, targets).values()) == {100.0}
    assert set(metric(targets, wrong).values()) == {0.0}


def test_rates_are_examples_with_a_cap():
    task = seqio.TaskRegistry.get("mini_qqp")
    count = SUITE["mini_qqp"].sizes["train"]
    assert tasks.proportional_rate(tasks.CAP)(task) == count
    assert tasks.proportional_rate(100)(task) == 100.0


def test_mixtures_of_sources():
    everything = seqio.MixtureRegistry.get("mini_sources")
    assert {task.name for task in everything.tasks} == set(SOURCES)
    inference = seqio.MixtureRegistry.get("mini_inference_sources")
    assert {task.name for task in inference.tasks} == {"mini_docnli", "mini_mnli", "mini_qnli"}


def check_agreement(path, extra_ids, texts):
    ours = Vocabulary(path, extra_ids)
    theirs = seqio.SentencePieceVocabulary(str(path), extra_ids)
    assert ours.size == theirs.vocab_size
    for text in texts:
        assert ours.encode(text) == list(theirs.encode(text))
        assert ours.encode(text) == theirs.encode_tf(text).numpy().tolist()
    draw = np.random.default_rng(0)
    for ids in draw.integers(0, ours.size + 30, (50, 12)).tolist():
        assert ours.decode(ids) == theirs.decode(ids)


def test_vocabulary_agrees_with_seqio_on_the_mini_model():
    texts = [row["inputs"] for row in SUITE["mini_qqp"].examples("test")[:20]]
    task = seqio.TaskRegistry.get("mini_qqp")
    vocabulary = task.output_features["inputs"].vocabulary
    assert isinstance(vocabulary, seqio.SentencePieceVocabulary)
    path, extra_ids = vocabulary.sentencepiece_model_file, vocabulary.extra_ids
    check_agreement(path, extra_ids, [*texts, "", "Zürich <extra_id_1> ??", "naïve café 東京"])


def test_vocabulary_agrees_with_seqio_on_the_published_model(shared_data):
    texts = ["Hello, World!", "a <extra_id_0> b <extra_id_99>", "  two  spaces ", "naïve 東京"]
    check_agreement(shared_data / "t5" / "spiece.model", 100, texts)


def test_mixtures_with_and_without_prefixes_share_no_task():
    for name, mixture in MIXTURES.items():
        members = {
            suffix: {task.name for task in seqio.MixtureRegistry.get(name + suffix).tasks}
            for suffix in ("", UNPREFIXED)
        }
        assert members[""] == set(mixture.members)
        assert members[UNPREFIXED] == {f"{member}{UNPREFIXED}" for member in mixture.members}
        assert not members[""] & members[UNPREFIXED]


def test_a_diagnostic_set_is_there_for_leaderboards_alone():
    names = seqio.TaskRegistry.names()
    assert {"glue_ax_leaderboard", "super_glue_axb_leaderboard"} <= set(names)
    assert "glue_ax" not in names
    assert tuple(seqio.TaskRegistry.get("glue_ax_leaderboard").splits) == ("test",)
