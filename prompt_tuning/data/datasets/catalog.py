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
)
from prompt_tuning.data.datasets.dataset import Dataset, Mixture

_FAMILIES = (
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
MIXTURES: Mapping[str, Mixture] = {
    mixture.name: mixture for family in _FAMILIES for mixture in getattr(family, "MIXTURES", ())
}
