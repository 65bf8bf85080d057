"""The registered tasks are ordinary SeqIO tasks, and agree with the modules that avoid SeqIO."""

from pathlib import Path

import numpy as np
import seqio

import prompt_tuning
import prompt_tuning.data.tasks  # registers them
from prompt_tuning.data.datasets.catalog import MIXTURES
from prompt_tuning.data.datasets.dataset import UNPREFIXED
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.mini.examples import draw_examples


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
    texts = [example["inputs"] for example in draw_examples("mini_qqp", "test")[:20]]
    path = Path(prompt_tuning.__file__).parent / "mini" / "t5_mini" / "sentencepiece.model"
    check_agreement(path, 16, [*texts, "", "Zürich <extra_id_1> ??", "naïve café 東京"])


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
