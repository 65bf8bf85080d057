"""Two parts of ETHICS (Hendrycks et al. 2021): deontology and justice."""

import functools
from collections.abc import Mapping

from prompt_tuning.data import metrics
from prompt_tuning.data.datasets.dataset import Dataset, classified

_LABELS = ("unacceptable", "acceptable")


def _ethics(part: str, *names: str, sizes: Mapping[str, int]) -> Dataset:
    name = f"ethics_{part}"
    return Dataset(
        name=name,
        family="Ethics",
        papers=("Su",),
        tfds=None,
        folder=name,
        splits={split: (split,) for split in ("train", "validation", "test")},
        holdout=20,
        sizes=sizes,
        fields=(*names, "label"),
        format=functools.partial(classified, names=names, labels=_LABELS),
        prefix=name,
        labels=_LABELS,
        metrics=(metrics.accuracy,),
        obtain=f"{part}_train.csv and {part}_test.csv of github.com/hendrycks/ethics",
    )


DATASETS = (
    _ethics(
        "deontology",
        "scenario",
        "excuse",
        sizes={"train": 17256, "validation": 908, "test": 3596},
    ),
    _ethics(
        "justice",
        "scenario",
        sizes={"train": 20702, "validation": 1089, "test": 2704},
    ),
)
