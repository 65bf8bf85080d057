"""The MRQA 2019 shared task (Fisch et al. 2019): six training sets and six out-of-domain sets.

All are extractive and in SQuAD's format, without a task prefix. The metric is F1, by which the
shared task ranks, and which Lester et al. (2021, section 5) report for the out-of-domain sets. Each
of those has a single split, "development" to the shared task and "test" to TensorFlow Datasets.
"""

from collections.abc import Iterator

from prompt_tuning.data import metrics, postprocessors
from prompt_tuning.data.datasets.dataset import Dataset, Example, Mixture, Record, text_field
from prompt_tuning.data.datasets.reading import answer_list, reading_example

_FIELDS = ("question", "context", "answers", "detected_answers")

_BIOASQ = (
    "register at participants-area.bioasq.org/MRQA2019, and write a line for each question of "
    "BioASQ.jsonl.gz with its passage as context and detected_answers as {'text': [...]}"
)


def _mrqa(record: Record) -> Iterator[Example]:
    """Trains on the first answer as spelled in the passage; scores against the given answers."""
    spelled = answer_list(record["detected_answers"]["text"], "detected_answers.text")
    answers = answer_list(record["answers"], "answers")
    question, context = text_field(record, "question"), text_field(record, "context")
    yield reading_example(question, context, spelled[0], answers)


def _in_domain(name: str, config: str, train: int, validation: int) -> Dataset:
    return Dataset(
        name=f"mrqa_{name}",
        family="MRQA",
        papers=("SPoT",),
        tfds=f"mrqa/{config}:1.0.0",
        splits={"train": ("train",), "validation": ("validation",)},
        sizes={"train": train, "validation": validation},
        fields=_FIELDS,
        format=_mrqa,
        postprocess=postprocessors.answers,
        metrics=(metrics.token_f1,),
    )


def _out_of_domain(name: str, config: str, size: int, obtain: str = "") -> Dataset:
    return Dataset(
        name=f"mrqa_{name}",
        family="MRQA out of domain",
        papers=("Lester",),
        tfds=f"mrqa/{config}:1.0.0",
        splits={"test": ("test",)},
        sizes={"test": size},
        fields=_FIELDS,
        format=_mrqa,
        postprocess=postprocessors.answers,
        metrics=(metrics.token_f1,),
        obtain=obtain,
    )


_TRAINING = (
    _in_domain("squad", "squad", 86588, 10507),
    _in_domain("newsqa", "news_qa", 74160, 4212),
    _in_domain("triviaqa", "trivia_qa", 61688, 7785),
    _in_domain("searchqa", "search_qa", 117384, 16980),
    _in_domain("hotpotqa", "hotpot_qa", 72928, 5901),
    _in_domain("natural_questions", "natural_questions", 104071, 12836),
)

DATASETS = (
    *_TRAINING,
    _out_of_domain("textbookqa", "textbook_qa", 1503),
    _out_of_domain("bioasq", "bio_asq", 1504, _BIOASQ),
    _out_of_domain("race", "race", 674),
    _out_of_domain("relation_extraction", "relation_extraction", 2948),
    _out_of_domain("duorc", "duo_rc", 1501),
    _out_of_domain("drop", "drop", 1503),
)

MIXTURES = (
    Mixture(name="mrqa", papers=("SPoT",), members=tuple(dataset.name for dataset in _TRAINING)),
)
