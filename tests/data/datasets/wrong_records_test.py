"""Rows that cannot be: each is told with what is wrong, before anything is made of it."""

import json

import pytest

from prompt_tuning.data.datasets.catalog import DATASETS
from prompt_tuning.data.datasets.reader import Reader
from prompt_tuning.types import UserError

WRONG = [
    ("glue_cola", {"sentence": None}, "sentence is None; it must be text"),
    ("glue_mnli", {"label": 3}, r"label is 3; it must be 0 to 2 \(entailment, neutral, contra"),
    ("glue_mnli", {"label": True}, "label is True; it must be 0 to 2"),
    ("glue_stsb", {"label": 5.2}, "label is 5.2; it must be 0 to 5"),
    ("glue_stsb", {"label": "4"}, "label is '4'; it must be a number, 0 to 5"),
    ("super_glue_multirc", {"idx": 3}, "a field is not as in super_glue/multirc:1.0.2 "),
    ("super_glue_record", {"answers": "Oslo"}, "answers is 'Oslo'; it must be a list of texts"),
    ("super_glue_record", {"entities": [1]}, r"entities is \[1\]; it must be a list of texts"),
    ("super_glue_wsc", {"span2_text": "she"}, "span2_text is 'she', which is not a word"),
    ("super_glue_wsc", {"label": 2}, r"label is 2; it must be 0 to 1 \(False, True\)"),
    ("goemotions", {"joy": "no"}, "joy is 'no'; it must be true or false"),
    ("goemotions", {"amusement": False, "gratitude": False}, "no emotion is true; one of"),
    ("sentiment140", {"polarity": 1}, "polarity is 1; it must be 0, 2 or 4"),
]


@pytest.mark.parametrize(("name", "change", "message"), WRONG)
def test_a_wrong_field_is_told(name, change, message, tmp_path, fixtures):
    dataset = DATASETS[name]
    rows = json.loads((fixtures / f"{name}.json").read_text(encoding="utf-8"))["rows"]
    (tmp_path / dataset.folder).mkdir()
    for split, lines in rows.items():
        text = "".join(json.dumps(row | change) + "\n" for row in lines)
        (tmp_path / dataset.folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=f"train.jsonl, line 1: {message}"):
        list(Reader(dataset, str(tmp_path), None).examples("train"))
