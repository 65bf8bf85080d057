"""The catalog is whole: every dataset of the papers, and mixtures of what they say."""

import pytest

from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES
from prompt_tuning.data.datasets.dataset import HELD_BACK

GLUE = [f"glue_{task}" for task in "cola sst2 mrpc stsb qqp mnli qnli rte".split()]
SUPER_GLUE = [f"super_glue_{task}" for task in "boolq cb copa multirc record rte wic wsc".split()]
SPOT_MIXTURES = {  # Vu et al. 2022, table 1
    "glue": GLUE,
    "super_glue": SUPER_GLUE,
    "spot_nli": "anli_r1 anli_r2 anli_r3 super_glue_cb doc_nli glue_mnli glue_qnli super_glue_rte "
    "snli".split(),
    "spot_paraphrase": ["cxc_sts", "glue_mrpc", "glue_qqp", "glue_stsb"],
    "spot_sentiment": ["cr", "goemotions", "sentiment140", "glue_sst2", "yelp_polarity"],
    "mrqa": [
        f"mrqa_{task}"
        for task in "squad newsqa triviaqa searchqa hotpotqa natural_questions".split()
    ],
    "rainbow": "abductive_nli cosmos_qa hellaswag piqa social_i_qa winogrande".split(),
    "spot_translation": ["wmt14_ende", "wmt15_enfr", "wmt16_enro"],
    "spot_summarization": "aeslc billsum cnn_dailymail wiki_lingua gigaword multi_news newsroom "
    "samsum xsum".split(),
    "gem": [
        f"gem_{task}"
        for task in "common_gen dart e2e_nlg schema_guided_dialog web_nlg_en wiki_auto_asset_turk "
        "xsum wiki_lingua_english_en".split()
    ],
}
SPOT_STUDY = (  # Vu et al. 2022, section 3: sources, then targets
    "c4_prefix_lm doc_nli yelp_polarity glue_mnli glue_qqp glue_qnli super_glue_record cxc_sts "
    "squad drop glue_sst2 winogrande hellaswag super_glue_multirc cosmos_qa race_middle race_high "
    "super_glue_boolq glue_cola glue_stsb super_glue_wic cr glue_mrpc super_glue_rte "
    "super_glue_wsc super_glue_copa super_glue_cb"
).split()
SU = (  # Su et al. 2022, 17 tasks
    "imdb_reviews glue_sst2 laptop restaurant movie_rationales tweet_eval_sentiment glue_mnli "
    "glue_qnli snli ethics_deontology ethics_justice glue_qqp glue_mrpc squad "
    "natural_questions_open multi_news samsum"
).split()
LESTER = [  # Lester et al. 2021: LM adaptation, SuperGLUE, and the domain shifts
    "c4_prefix_lm",
    *SUPER_GLUE,
    *("squad", "glue_mrpc", "glue_qqp", "glue_mrpc_from_qqp", "glue_qqp_from_mrpc"),
    *(f"mrqa_{name}" for name in "textbookqa bioasq race relation_extraction duorc drop".split()),
]


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


@pytest.mark.parametrize("name", SPOT_MIXTURES)
def test_a_mixture_has_the_datasets_of_the_paper(name):
    assert sorted(MIXTURES[name].members) == sorted(SPOT_MIXTURES[name])
    assert MIXTURES[name].papers == ("SPoT",)


@pytest.mark.parametrize(
    ("paper", "names"),
    [
        ("Lester", LESTER),
        ("SPoT", SPOT_STUDY),
        ("SPoT", [name for members in SPOT_MIXTURES.values() for name in members]),
        ("Su", SU),
    ],
)
def test_every_dataset_of_a_paper_is_there(paper, names):
    assert set(names) <= set(DATASETS)
    assert [name for name in names if paper not in DATASETS[name].papers] == []


def test_no_paper_is_said_to_use_more():
    diagnostics = {"glue_ax", "super_glue_axb", "super_glue_axg"}
    lester = {name for name, each in DATASETS.items() if "Lester" in each.papers}
    su = {name for name, each in DATASETS.items() if "Su" in each.papers}
    assert (lester, su) == (set(LESTER), set(SU))
    assert len(SU) == 17 and diagnostics <= set(DATASETS)


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_members_can_be_trained_on_and_wnli_is_none(mixture):
    assert len(set(mixture.members)) == len(mixture.members) > 1
    assert all("train" in DATASETS[name].splits for name in mixture.members)
    assert "glue_wnli" not in mixture.members


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_a_declaration_is_whole(dataset):
    there = {*dataset.splits, *([HELD_BACK] if dataset.leaderboard else [])}
    assert there and set(dataset.sizes) <= there
    assert set(dataset.splits) <= {"train", "validation", "test"}
    assert set(dataset.papers) <= {"Lester", "SPoT", "Su"}
    assert dataset.fields and dataset.metrics
    assert dataset.tfds or dataset.obtain
    assert dataset.prefix == dataset.prefix.strip()


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
