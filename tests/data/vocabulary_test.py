"""The vocabulary: T5's special ids, sentinels, and errors that say what to do."""

from pathlib import Path

import numpy as np
import pytest

import prompt_tuning
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError

T5_MINI = Path(prompt_tuning.__file__).parent / "mini" / "t5_mini" / "sentencepiece.model"


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(T5_MINI, 16)


def test_text_survives_a_round_trip(vocabulary):
    ids = vocabulary.encode("the film was good")
    assert 1 not in ids
    assert vocabulary.decode(ids) == "the film was good"


def test_decoding_stops_at_end_of_sequence_and_drops_padding(vocabulary):
    good, bad = vocabulary.encode("good"), vocabulary.encode("bad")
    assert vocabulary.decode(np.array([*good, 0, 0, 1, *bad])) == "good"
    assert vocabulary.decode([1, *good]) == ""


def test_sentinels_count_down_from_the_last_row(vocabulary):
    assert vocabulary.sentinel(0) == vocabulary.size - 1
    assert vocabulary.encode("<extra_id_3>") == [vocabulary.sentinel(3)]
    assert vocabulary.decode([vocabulary.sentinel(3)]) == "<extra_id_3>"


def test_rows_beyond_the_vocabulary_print_as_unknown(vocabulary):
    assert vocabulary.decode([vocabulary.size + 5]) == vocabulary.decode([2])


def test_published_t5_vocabulary(shared_data):
    vocabulary = Vocabulary(shared_data / "t5" / "spiece.model", 100)
    assert vocabulary.size == 32100
    assert vocabulary.encode("translate <extra_id_0> German") == [13959, 32099, 2968]


def test_digest_tells_sentinels_apart(vocabulary):
    assert Vocabulary(T5_MINI, 16).digest == vocabulary.digest
    assert Vocabulary(T5_MINI, 15).digest != vocabulary.digest


def test_files_that_are_no_vocabulary(tmp_path):
    with pytest.raises(UserError, match=r"missing\.model cannot be read"):
        Vocabulary(tmp_path / "missing.model", 0)
    (tmp_path / "text.model").write_text("not a model")
    with pytest.raises(UserError, match="is not a SentencePiece model"):
        Vocabulary(tmp_path / "text.model", 0).encode("text")
