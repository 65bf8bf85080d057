"""C4 (Raffel et al. 2020) as unlabeled text for the prefix LM objective."""

from collections.abc import Iterator

from prompt_tuning.data import likelihood_metrics, postprocessors
from prompt_tuning.data.datasets.dataset import Dataset, Example, Record


def _text(record: Record) -> Iterator[Example]:
    yield {"inputs": "", "targets": record["text"]}


DATASETS = (
    Dataset(
        name="c4_prefix_lm",
        family="Unlabelled text",
        papers=("Lester", "SPoT"),
        tfds="c4/en:3.1.0",
        splits={"train": ("train",), "validation": ("validation",)},
        sizes={"train": 364868892, "validation": 2048},
        limits={"validation": 2048},
        streamed=True,
        unlabeled=True,
        fields=("text",),
        format=_text,
        postprocess=postprocessors.target_tokens,
        metrics=(likelihood_metrics.token_probability,),
        obtain="the en files of huggingface.co/datasets/allenai/c4, unpacked and joined",
    ),
)
