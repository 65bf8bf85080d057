"""English summarization in the text-to-text format of Raffel et al. (2020)."""

import functools
from collections.abc import Iterator, Mapping

from prompt_tuning.data import text_metrics
from prompt_tuning.data.datasets.dataset import Dataset, Example, Mixture, Record

_FEW = {"validation": 2048}  # out of over 100,000, all decoded at every evaluation


def _summarize(record: Record, *, text: str, summary: str) -> Iterator[Example]:
    yield {"inputs": record[text], "targets": record[summary]}


def _summaries(
    name: str,
    text: str,
    summary: str,
    *,
    tfds: str | None,
    sizes: Mapping[str, int],
    papers: tuple[str, ...] = ("SPoT",),
    holdout: int = 0,
    limits: Mapping[str, int] | None = None,
    obtain: str = "",
) -> Dataset:
    return Dataset(
        name=name,
        family="Summarization",
        papers=papers,
        tfds=tfds,
        folder=name,
        splits={split: (split,) for split in ("train", "validation", "test")},
        holdout=holdout,
        limits=limits or {},
        sizes=sizes,
        fields=(text, summary),
        format=functools.partial(_summarize, text=text, summary=summary),
        prefix="summarize:",
        metrics=(text_metrics.rouge,),
        obtain=obtain,
    )


DATASETS = (
    _summaries(
        "aeslc",
        "email_body",
        "subject_line",
        tfds="aeslc:1.0.0",
        sizes={"train": 14436, "validation": 1960, "test": 1906},
    ),
    _summaries(
        "billsum",
        "text",
        "summary",
        tfds="billsum:3.0.0",
        sizes={"train": 17952, "validation": 997, "test": 3269},
        holdout=19,
    ),
    _summaries(
        "cnn_dailymail",
        "article",
        "highlights",
        tfds="cnn_dailymail:3.4.0",
        sizes={"train": 287113, "validation": 13368, "test": 11490},
    ),
    _summaries(
        "wiki_lingua",
        "document",
        "summary",
        tfds=None,
        sizes={},
        holdout=100,
        obtain="the English pairs of github.com/esdurmus/Wikilingua; "
        "GEM's split of them is gem_wiki_lingua_english_en",
    ),
    _summaries(
        "gigaword",
        "document",
        "summary",
        tfds="gigaword:1.2.0",
        sizes={"train": 3803957, "validation": 2048, "test": 1951},
        limits=_FEW,
    ),
    _summaries(
        "multi_news",
        "document",
        "summary",
        tfds="multi_news:2.1.0",
        sizes={"train": 44972, "validation": 5622, "test": 5622},
        papers=("SPoT", "Su"),
    ),
    _summaries(
        "newsroom",
        "text",
        "summary",
        tfds="newsroom:1.0.0",
        sizes={"train": 995041, "validation": 2048, "test": 108862},
        limits=_FEW,
        obtain="after registration at summari.es; TensorFlow Datasets reads its train.jsonl, "
        "dev.jsonl and test.jsonl from downloads/manual",
    ),
    _summaries(
        "samsum",
        "dialogue",
        "summary",
        tfds="samsum:1.0.0",
        sizes={"train": 14732, "validation": 818, "test": 819},
        papers=("SPoT", "Su"),
        obtain="corpus.7z of arxiv.org/src/1911.12237v2/anc; TensorFlow Datasets reads its "
        "train.json, val.json and test.json from downloads/manual",
    ),
    _summaries(
        "xsum",
        "document",
        "summary",
        tfds="xsum:1.1.0",
        sizes={"train": 203577, "validation": 11305, "test": 11301},
        obtain="by the scripts of github.com/EdinburghNLP/XSum; TensorFlow Datasets reads "
        "xsum-extracts-from-downloads.tar.gz from downloads/manual",
    ),
)

MIXTURES = (
    Mixture(
        name="spot_summarization",
        papers=("SPoT",),
        members=tuple(dataset.name for dataset in DATASETS),
    ),
)
