"""The mixtures of SPoT, counted."""

from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES

SIZES = {
    "glue": 8,
    "super_glue": 8,
    "spot_nli": 7,
    "spot_paraphrase": 4,
    "spot_sentiment": 5,
    "mrqa": 6,
    "rainbow": 6,
    "spot_translation": 3,
    "spot_summarization": 9,
    "gem": 8,
}


def datasets(mixture: str) -> set[str]:
    """Returns the datasets of a mixture: the rounds of ANLI are one."""
    return {
        name.partition("_r")[0] if "anli" in name else name for name in MIXTURES[mixture].members
    }


def test_the_source_mixtures_have_as_many_datasets_as_in_the_paper():
    assert {name: len(datasets(name)) for name in SIZES} == SIZES
    assert all(member in DATASETS for each in MIXTURES.values() for member in each.members)


def test_all_of_them_are_c4_and_55_labelled_datasets():
    labelled = datasets("spot_all") - {"c4_prefix_lm"}
    assert len(labelled) == 55 and "c4_prefix_lm" in MIXTURES["spot_all"].members
    # 64 in ten mixtures, of which 8 are met again in another, and RTE under another name
    assert sum(SIZES.values()) == 64
    assert set.union(*map(datasets, SIZES)) - labelled == {"super_glue_rte"}
    assert len(set(MIXTURES["spot_all"].members)) == len(MIXTURES["spot_all"].members)
