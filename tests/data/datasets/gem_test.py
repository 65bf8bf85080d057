"""How the inputs and references of GEM are written."""

import pytest

from prompt_tuning.data.datasets import gem
from prompt_tuning.data.datasets.dataset import BadRecordError

BY_NAME = {dataset.name: dataset for dataset in gem.DATASETS}


def test_dialogue_acts_are_written_as_calls():
    acts = {"act": [4, 15, 13], "slot": ["city", "", "date"], "values": [["Ely", "Bath"], [], []]}
    row = {"service": "Trains_1", "prompt": "Where to?", "dialog_acts": acts, "target": "t"}
    (example,) = BY_NAME["gem_schema_guided_dialog"].format(row)
    assert example["inputs"] == (
        "service: Trains_1 prompt: Where to? acts: inform(city = Ely, Bath) && req_more && "
        "request(date)"
    )
    with pytest.raises(BadRecordError, match="act is 18; it must be 0 to 17"):
        list(
            BY_NAME["gem_schema_guided_dialog"].format(
                row | {"dialog_acts": {"act": [18], "slot": ["city"], "values": [[]]}}
            )
        )


def test_references_count_where_there_are_some():
    row = {"concepts": ["dog", "run"], "target": "A dog runs."}
    (train,) = BY_NAME["gem_common_gen"].format(row | {"references": []})
    (scored,) = BY_NAME["gem_common_gen"].format(row | {"references": ["A dog runs.", "Dogs run."]})
    assert (train["inputs"], train["answers"]) == ("dog && run", ["A dog runs."])
    assert (scored["targets"], scored["answers"]) == ("A dog runs.", ["A dog runs.", "Dogs run."])
