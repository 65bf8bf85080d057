"""CommonGen from real files, and how the inputs of GEM are written."""

import pytest

from prompt_tuning.data import cache
from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.data.datasets import gem
from prompt_tuning.data.datasets.dataset import BadRowError
from prompt_tuning.data.vocabulary import Vocabulary

BY_NAME = {dataset.name: dataset for dataset in gem.DATASETS}


def test_dialogue_acts_are_written_as_calls():
    acts = {"act": [4, 15, 13], "slot": ["city", "", "date"], "values": [["Ely", "Bath"], [], []]}
    row = {"service": "Trains_1", "prompt": "Where to?", "dialog_acts": acts, "target": "t"}
    (example,) = BY_NAME["gem_schema_guided_dialog"].format(row)
    assert example["inputs"] == (
        "service: Trains_1 prompt: Where to? acts: inform(city = Ely, Bath) && req_more && "
        "request(date)"
    )
    with pytest.raises(BadRowError, match="act is 18; it must be 0 to 17"):
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


def test_common_gen_end_to_end(tmp_path, shared_data):
    vocabulary = Vocabulary(shared_data / "t5" / "spiece.model", 100)
    (task,) = cache.ensure_cached(
        tmp_path,
        ["gem_common_gen"],
        vocabulary,
        {"inputs": 32, "targets": 32},
        modules=(),
        data_dir=str(shared_data),
        tfds_data_dir=None,
        report=lambda text: None,
    )
    assert isinstance(task, CachedTask)
    split = task.split("validation")
    assert (len(task.split("train")), len(split), task.scored_split) == (12000, 4018, "validation")
    assert vocabulary.decode(split.inputs[0]) == "common_gen field && stand && look"
    assert split.target_texts[0] == "The player stood in the field looking at the batter."
    head = split.head(50)
    right = task.metrics(head.target_texts, head.target_texts, head.fields)
    assert right == pytest.approx(
        {"bleu": 100.0, "rouge1": 100.0, "rouge2": 100.0, "rougeLsum": 100.0}
    )
    other = task.metrics(head.target_texts, [*head.target_texts[1:], "Nothing."], head.fields)
    assert 1.0 < other["bleu"] < other["rouge1"] < 60.0
