"""Label words stand in the order of the builders' classes, which rows give as numbers."""

from collections.abc import Iterator
from typing import Any

import pytest

from prompt_tuning.data.datasets import gem
from prompt_tuning.data.datasets.catalog import DATASETS

RENAMED = {  # by the builder's names in lower case
    ("e", "n", "c"): ("entailment", "neutral", "contradiction"),  # ANLI
    ("neg", "pos"): ("negative", "positive"),  # IMDB, Movie Rationales
}
RENAMED_IN = {  # where the same names mean other things elsewhere
    "yelp_polarity": ("negative", "positive"),  # 1 and 2
    "glue_mrpc_from_qqp": ("not_duplicate", "duplicate"),  # the words of the other set
    "glue_qqp_from_mrpc": ("not_equivalent", "equivalent"),
}
WITHOUT_WORDS = {"super_glue_wsc": ("False", "True")}  # answered with a noun; 1 is the right one
OF_PARTS = {"gem_schema_guided_dialog": gem._ACTS}  # classes of the inputs


def classes(features: Any) -> Iterator[tuple[str, ...]]:
    """Yields the names of each class label among features, nested ones too."""
    import tensorflow_datasets as tfds

    if isinstance(features, tfds.features.ClassLabel):
        yield tuple(features.names or ())
    elif isinstance(features, tfds.features.Sequence):
        yield from classes(features.feature)
    elif isinstance(features, tfds.features.FeaturesDict):
        for feature in features.values():
            yield from classes(feature)


@pytest.fixture(scope="module")
def names() -> dict[str, tuple[str, ...]]:
    """Returns the names of the classes of every dataset whose builder declares some."""
    import tensorflow_datasets as tfds

    found = {}
    for name, dataset in DATASETS.items():
        if dataset.tfds is not None:
            builder: Any = tfds.builder(dataset.tfds, data_dir="/nowhere")
            found[name] = list(classes(builder.info.features))
    assert all(len(each) <= 1 for each in found.values())
    return {name: each[0] for name, each in found.items() if each}


def test_labels_are_in_the_order_of_the_builder(names):
    assert len(names) == 32
    for name, given in names.items():
        wanted = RENAMED_IN.get(name) or RENAMED.get(tuple(map(str.lower, given)), given)
        if name in OF_PARTS:
            assert (name, OF_PARTS[name]) == (name, tuple(map(str.lower, given)))
        elif name in WITHOUT_WORDS:
            assert (name, WITHOUT_WORDS[name]) == (name, given)
        else:
            assert (name, DATASETS[name].labels) == (name, wanted)


def test_labels_that_no_builder_declares_are_known(names):
    others = {name for name, each in DATASETS.items() if each.labels} - set(names)
    assert others == {
        *("cr", "laptop", "restaurant", "tweet_eval_sentiment", "sentiment140"),
        *("ethics_deontology", "ethics_justice", "abductive_nli", "social_i_qa"),
        *("hellaswag", "race_high", "race_middle"),
    }
