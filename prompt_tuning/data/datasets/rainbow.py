"""RAINBOW (Lourie et al. 2021): six multiple-choice commonsense tasks.

The text format is that of UNICORN, the paper's T5: the task in brackets, each field in tags, and
the answer's number, counted as in the dataset, as the target. UNICORN's line breaks are spaces
here; to T5's vocabulary they are the same. Tags lose their `<`, which it lacks, in UNICORN too.
"""

from collections.abc import Callable, Iterator, Sequence

from prompt_tuning.data import metrics
from prompt_tuning.data.datasets.dataset import (
    BadRecordError,
    Dataset,
    Example,
    Mixture,
    Record,
    label_word,
    text_field,
)

_FROM_ZERO = ("0", "1", "2", "3")
_FROM_ONE = ("1", "2", "3")


def _tagged(record: Record, *names: str) -> str:
    return " ".join(f"<{name}>{text_field(record, name)}</{name}>" for name in names)


def _numbered(record: Record, labels: Sequence[str]) -> str:
    """Returns the label in a dataset's own files, which count from one."""
    if str(record["label"]) not in labels:
        raise BadRecordError(f"label is {record['label']!r}; it must be one of {', '.join(labels)}")
    return str(record["label"])


def _abductive_nli(record: Record) -> Iterator[Example]:
    yield {
        "inputs": _tagged(record, "obs1", "obs2", "hyp1", "hyp2"),
        "targets": _numbered(record, _FROM_ONE[:2]),
    }


def _cosmos_qa(record: Record) -> Iterator[Example]:
    names = ("context", "question", "answer0", "answer1", "answer2", "answer3")
    yield {"inputs": _tagged(record, *names), "targets": label_word(record, _FROM_ZERO)}


def _hellaswag(record: Record) -> Iterator[Example]:
    endings = " ".join(
        f"<ending_options {number}>{ending}</ending_options {number}>"
        for number, ending in enumerate(record["endings"])
    )
    yield {
        "inputs": f"<ctx>{text_field(record, 'context')}</ctx> {endings}",
        "targets": label_word(record, _FROM_ZERO),
    }


def _piqa(record: Record) -> Iterator[Example]:
    yield {
        "inputs": _tagged(record, "goal", "sol1", "sol2"),
        "targets": label_word(record, _FROM_ZERO[:2]),
    }


def _social_i_qa(record: Record) -> Iterator[Example]:
    names = ("context", "question", "answerA", "answerB", "answerC")
    yield {"inputs": _tagged(record, *names), "targets": _numbered(record, _FROM_ONE)}


def _winogrande(record: Record) -> Iterator[Example]:
    yield {
        "inputs": _tagged(record, "sentence", "option1", "option2"),
        "targets": label_word(record, _FROM_ONE[:2]),
    }


def _own_files(archive: str) -> str:
    url = f"storage.googleapis.com/ai2-mosaic/public/{archive}-train-dev.zip"
    return (
        f"unzip {url}; take train.jsonl, and dev.jsonl as validation.jsonl, and add to each line "
        "its number in the file of labels as label"
    )


def _rainbow(
    name: str,
    unicorn: str,
    tfds: str | None,
    *,
    sizes: tuple[int, int],
    fields: tuple[str, ...],
    formatter: Callable[[Record], Iterator[Example]],
    labels: tuple[str, ...],
    train: str = "train",
    obtain: str = "",
) -> Dataset:
    return Dataset(
        name=name,
        family="RAINBOW",
        papers=("SPoT",),
        tfds=tfds,
        folder="" if tfds else name,
        splits={"train": (train,), "validation": ("validation",)},
        sizes=dict(zip(("train", "validation"), sizes, strict=True)),
        fields=(*fields, "label"),
        format=formatter,
        prefix=f"[{unicorn}]:",
        labels=labels,
        metrics=(metrics.accuracy,),
        obtain=obtain,
    )


DATASETS = (
    _rainbow(
        "abductive_nli",
        "anli",
        None,
        sizes=(169654, 1532),
        fields=("obs1", "obs2", "hyp1", "hyp2"),
        formatter=_abductive_nli,
        labels=_FROM_ONE[:2],
        obtain=_own_files("alphanli/alphanli"),
    ),
    _rainbow(
        "cosmos_qa",
        "cosmosqa",
        "cosmos_qa:1.0.0",
        sizes=(25262, 2985),
        fields=("context", "question", "answer0", "answer1", "answer2", "answer3"),
        formatter=_cosmos_qa,
        labels=_FROM_ZERO,
    ),
    _rainbow(
        "hellaswag",
        "hellaswag",
        "hellaswag:1.1.0",
        sizes=(39905, 10042),
        fields=("context", "endings"),
        formatter=_hellaswag,
        labels=_FROM_ZERO,
    ),
    _rainbow(
        "piqa",
        "physicaliqa",
        "piqa:1.0.0",
        sizes=(16113, 1838),
        fields=("goal", "sol1", "sol2"),
        formatter=_piqa,
        labels=_FROM_ZERO[:2],
    ),
    _rainbow(
        "social_i_qa",
        "socialiqa",
        None,
        sizes=(33410, 1954),
        fields=("context", "question", "answerA", "answerB", "answerC"),
        formatter=_social_i_qa,
        labels=_FROM_ONE,
        obtain=_own_files("socialiqa/socialiqa"),
    ),
    _rainbow(
        "winogrande",
        "winogrande",
        "winogrande:1.2.0",
        sizes=(40398, 1267),
        fields=("sentence", "option1", "option2"),
        formatter=_winogrande,
        labels=_FROM_ONE[:2],
        train="train_xl",
    ),
)

MIXTURES = (
    Mixture(name="rainbow", papers=("SPoT",), members=tuple(dataset.name for dataset in DATASETS)),
)
