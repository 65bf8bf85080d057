"""The curve of what retrieval keeps."""

import numpy as np

from prompt_tuning.analysis.retrieval_curve import draw, inline, retrieval_curve
from tests.analysis.studies import study_of, transfer_of

SCORES = np.array([[[60.0, 70, 80, 90]], [[60.0, 70, 80, 90]]])


def test_shares_are_of_the_oracles_gain():
    curve = retrieval_curve(study_of(transfer_of(SCORES), SCORES, ks=(1, 2, 4)))
    assert curve
    assert curve.kept["cosine of mean tokens"] == {1: 100, 2: 100, 4: 100}
    assert {k: round(share, 1) for k, share in curve.kept["random"].items()} == {
        1: 62.5,
        2: 83.3,
        4: 100,
    }
    assert curve.of == "gain"


def test_one_k_or_no_gain_has_no_curve():
    assert retrieval_curve(study_of(transfer_of(SCORES), SCORES, ks=(1,))) is None
    assert retrieval_curve(study_of(transfer_of(SCORES / 9), SCORES, ks=(1, 2))) is None


def test_the_picture_names_its_lines(tmp_path):
    curve = retrieval_curve(study_of(transfer_of(SCORES), SCORES, ks=(1, 2)))
    assert curve
    draw(curve, tmp_path / "retrieval")
    for text in ((tmp_path / "retrieval.svg").read_text(), inline(curve, "it").svg):
        assert ">cosine of mean tokens</text>" in text
        assert ">random</text>" in text
