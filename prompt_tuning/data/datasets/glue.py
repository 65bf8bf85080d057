"""GLUE (Wang et al. 2019a) in the text-to-text format of Raffel et al. (2020)."""

from collections.abc import Iterator

from prompt_tuning.data import metrics
from prompt_tuning.data.datasets.dataset import Dataset, Example, Row, label_word

_COLA_LABELS = ("unacceptable", "acceptable")


def _cola(row: Row) -> Iterator[Example]:
    yield {
        "inputs": f"sentence: {row['sentence']}",
        "targets": label_word(row, _COLA_LABELS),
        "idx": row.get("idx", -1),
    }


DATASETS = (
    Dataset(
        name="glue_cola",
        family="GLUE",
        papers=("SPoT",),
        tfds="glue/cola:2.0.0",
        splits={"train": ("train",), "validation": ("validation",)},
        leaderboard="test",
        sizes={"train": 8551, "validation": 1043},
        fields=("sentence", "label"),
        format=_cola,
        prefix="cola",
        labels=_COLA_LABELS,
        metrics=(metrics.matthews,),
    ),
)
