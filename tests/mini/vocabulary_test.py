"""Tests of the SentencePiece vocabulary."""

from pathlib import Path

import pytest
import sentencepiece

import prompt_tuning
from prompt_tuning.mini import vocabulary
from prompt_tuning.mini.examples import draw_examples
from prompt_tuning.mini.suite import SUITE

SHIPPED = Path(prompt_tuning.__file__).parent / "mini" / "t5_mini" / "sentencepiece.model"


@pytest.fixture(scope="module")
def model():
    return sentencepiece.SentencePieceProcessor(model_file=str(SHIPPED))


def test_the_shipped_model_is_what_the_code_builds(tmp_path):
    vocabulary.write_model(tmp_path / "sentencepiece.model")
    assert (tmp_path / "sentencepiece.model").read_bytes() == SHIPPED.read_bytes()


def test_special_ids_are_those_of_t5(model):
    assert (model.pad_id(), model.eos_id(), model.unk_id(), model.bos_id()) == (0, 1, 2, -1)
    assert vocabulary.vocabulary_size(SHIPPED) == 1096


@pytest.mark.parametrize("name", SUITE)
def test_every_word_of_a_task_is_one_piece(model, name):
    ids = vocabulary.word_ids(SHIPPED)
    for example in draw_examples(name, "validation"):
        inputs = str(example["inputs"])
        assert model.encode(inputs) == [ids[word] for word in inputs.split()]


def test_real_text_is_spelt_without_unknown_pieces(model):
    text = "It's a Charming, über-strange journey -- 9/10 (really)!"
    assert 2 not in model.encode(text)
    assert model.decode(model.encode(text)) == text.lower()


def test_sentinels_are_the_last_rows():
    ids = vocabulary.word_ids(SHIPPED)
    assert [ids[f"<extra_id_{k}>"] for k in range(3)] == [1095, 1094, 1093]
