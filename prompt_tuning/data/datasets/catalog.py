"""All published datasets and mixtures, by name."""

from collections.abc import Mapping

from prompt_tuning.data.datasets import (
    ethics,
    gem,
    glue,
    mrqa,
    nli,
    rainbow,
    reading,
    sentiment,
    similarity,
    summarization,
    super_glue,
    translation,
    unlabeled,
)
from prompt_tuning.data.datasets.dataset import LEADERBOARD, UNPREFIXED, Dataset, Mixture
from prompt_tuning.data.declarations import CAP, Declaration

_FAMILIES = (
    unlabeled,
    glue,
    super_glue,
    nli,
    similarity,
    sentiment,
    ethics,
    gem,
    summarization,
    translation,
    mrqa,
    rainbow,
    reading,
)

DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset for family in _FAMILIES for dataset in family.DATASETS
}
_OF_FAMILIES: Mapping[str, Mixture] = {
    mixture.name: mixture for family in _FAMILIES for mixture in getattr(family, "MIXTURES", ())
}


def _all_of_spot() -> Mixture:
    """Declares C4 with the 55 labeled datasets of all other mixtures (Vu et al. 2022, Table 1).

    Datasets in several mixtures count once, and the three rounds of ANLI count as one. RTE is in
    both GLUE and SuperGLUE; the second is left out. GEM's XSum and WikiLingua have other examples
    than those of summarization, and count separately.
    """
    families = (
        "glue",
        "super_glue",
        "spot_nli",
        "spot_paraphrase",
        "spot_sentiment",
        "mrqa",
        "rainbow",
        "spot_translation",
        "spot_summarization",
        "gem",
    )
    members = dict.fromkeys(member for name in families for member in _OF_FAMILIES[name].members)
    del members["super_glue_rte"]
    return Mixture(name="spot_all", papers=("SPoT",), members=("c4_prefix_lm", *members))


MIXTURES: Mapping[str, Mixture] = {**_OF_FAMILIES, "spot_all": _all_of_spot()}


def declared(name: str) -> Declaration | None:
    """Returns the declaration of a task or mixture in any form, or None for any other name."""
    base = name.removesuffix(LEADERBOARD).removesuffix(UNPREFIXED)
    if base in DATASETS:
        dataset = DATASETS[base]
        return Declaration(str(dataset.version), dataset.metrics, dataset.postprocess)
    if base in MIXTURES:
        return Declaration(f"{CAP}: {', '.join(MIXTURES[base].members)}")
    return None
