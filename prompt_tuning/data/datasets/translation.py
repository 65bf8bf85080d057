"""WMT translation from English in the text-to-text format of Raffel et al. (2020)."""

import functools
from collections.abc import Iterator, Mapping

from prompt_tuning.data import text_metrics
from prompt_tuning.data.datasets.dataset import Dataset, Example, Mixture, Record


def _translate(record: Record, *, language: str) -> Iterator[Example]:
    yield {"inputs": record["en"], "targets": record[language]}


def _wmt(
    year: int, code: str, language: str, sizes: Mapping[str, int], *, streamed: bool = False
) -> Dataset:
    return Dataset(
        name=f"wmt{year}_en{code}",
        family="WMT",
        papers=("SPoT",),
        tfds=f"wmt{year}_translate/{code}-en:1.0.0",
        splits={split: (split,) for split in ("train", "validation", "test")},
        sizes=sizes,
        fields=("en", code),
        format=functools.partial(_translate, language=code),
        prefix=f"translate English to {language}:",
        metrics=(text_metrics.bleu,),
        streamed=streamed,
    )


DATASETS = (
    _wmt(14, "de", "German", {"train": 4508785, "validation": 3000, "test": 3003}),
    _wmt(
        15,
        "fr",
        "French",
        {"train": 40853298, "validation": 4503, "test": 1500},
        streamed=True,
    ),
    _wmt(16, "ro", "Romanian", {"train": 610320, "validation": 1999, "test": 1999}),
)

MIXTURES = (
    Mixture(
        name="spot_translation",
        papers=("SPoT",),
        members=tuple(dataset.name for dataset in DATASETS),
    ),
)
