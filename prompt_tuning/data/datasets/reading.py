"""Questions about a passage: SQuAD, DROP, RACE; and NQ-Open, questions without one.

SQuAD is as T5 has it (Raffel et al. 2020, appendix D.15): `question: ... context: ...`, with spaces
around punctuation, answered by the first answer and scored against all of them. DROP follows it.
Neither has a task prefix, so that prefixed and unprefixed tasks are alike. Questions stand first:
where a passage is longer than the inputs may be, its end is what is lost.
"""

import re
from collections.abc import Iterator, Sequence

from prompt_tuning.data import metrics, postprocessors
from prompt_tuning.data.datasets.dataset import BadRowError, Dataset, Example, Mixture, Row

_LETTERS = ("A", "B", "C", "D")


def pad_punctuation(text: str) -> str:
    """Puts spaces around all but letters, digits and underscores of ASCII, as T5 does for SQuAD.

    An accented letter counts as punctuation there, so that `café` becomes `caf é`.
    """
    spaced = re.sub(r"(\W)", r" \1 ", text, flags=re.ASCII)
    return re.sub(r"\s+", " ", spaced, flags=re.ASCII).strip(" ")


def reading_example(question: str, context: str, answer: str, answers: Sequence[str]) -> Example:
    """Returns T5's example of a question about a passage.

    Args:
        question: The question.
        context: The passage.
        answer: The answer to train on.
        answers: All that count as right.
    """
    return {
        "inputs": f"question: {pad_punctuation(question)} context: {pad_punctuation(context)}",
        "targets": pad_punctuation(answer),
        "answers": [pad_punctuation(each) for each in answers],
    }


def _squad(row: Row) -> Iterator[Example]:
    answers = row["answers"]["text"]
    if not answers:
        raise BadRowError("answers.text is empty; every question of SQuAD 1.1 has an answer")
    yield reading_example(row["question"], row["context"], answers[0], answers)


def _drop(row: Row) -> Iterator[Example]:
    """Leaves out what has no answer: TensorFlow Datasets writes none for a date without a day."""
    answers = [text for text in [row["answer"], *row["validated_answers"]] if text]
    if answers:
        yield reading_example(row["question"], row["passage"], answers[0], answers)


def _race(row: Row) -> Iterator[Example]:
    """Asks each question of a passage: question, options, passage (the order of UnifiedQA,
    Khashabi et al. 2020), answered by the letter of the option, as the dataset's own key is.
    """
    counts = {len(row[name]) for name in ("questions", "options", "answers")}
    if len(counts) > 1:
        raise BadRowError("questions, options and answers differ in number")
    for question, options, answer in zip(
        row["questions"], row["options"], row["answers"], strict=True
    ):
        if answer not in _LETTERS:
            raise BadRowError(f"answers has {answer!r}; it must be one of {', '.join(_LETTERS)}")
        if len(options) != len(_LETTERS):
            raise BadRowError(f"a question has {len(options)} options; it must have four")
        listed = " ".join(
            f"({letter}) {option}" for letter, option in zip(_LETTERS, options, strict=True)
        )
        yield {
            "inputs": f"question: {question} options: {listed} article: {row['article']}",
            "targets": answer,
        }


def _nq_open(row: Row) -> Iterator[Example]:
    """Asks without a passage and trains on the first answer (Roberts et al. 2020)."""
    if not row["answer"]:
        raise BadRowError("answer is empty; every question has an answer")
    yield {
        "inputs": f"question: {row['question']}",
        "targets": row["answer"][0],
        "answers": list(row["answer"]),
    }


def _race_dataset(level: str, sizes: dict[str, int]) -> Dataset:
    return Dataset(
        name=f"race_{level}",
        family="RACE",
        papers=("SPoT",),
        tfds=f"race/{level}:2.0.0",
        splits={"train": ("train",), "validation": ("dev",), "test": ("test",)},
        sizes=sizes,
        fields=("article", "questions", "options", "answers"),
        format=_race,
        prefix="race",
        labels=_LETTERS,
        metrics=(metrics.accuracy,),
    )


DATASETS = (
    Dataset(
        name="squad",
        family="SQuAD",
        papers=("Lester", "SPoT", "Su"),
        tfds="squad/v1.1:3.0.0",
        splits={"train": ("train",), "validation": ("validation",)},
        sizes={"train": 87599, "validation": 10570},
        fields=("question", "context", "answers"),
        format=_squad,
        postprocess=postprocessors.answers,
        metrics=(metrics.exact_match, metrics.token_f1),
    ),
    Dataset(
        name="drop",
        family="DROP",
        papers=("SPoT",),
        tfds="drop:2.0.0",
        splits={"train": ("train",), "validation": ("dev",)},
        sizes={"train": 77409, "validation": 9536},
        fields=("question", "passage", "answer", "validated_answers"),
        format=_drop,
        postprocess=postprocessors.answers,
        metrics=(metrics.exact_match, metrics.token_f1),
    ),
    _race_dataset("high", {"train": 18728, "validation": 1021, "test": 1045}),
    _race_dataset("middle", {"train": 6409, "validation": 368, "test": 362}),
    Dataset(
        name="natural_questions_open",
        family="NQ-Open",
        papers=("Su",),
        tfds="natural_questions_open:1.0.0",
        splits={"train": ("train",), "validation": ("validation",)},
        sizes={"train": 87925, "validation": 3610},
        fields=("question", "answer"),
        format=_nq_open,
        prefix="nq",
        postprocess=postprocessors.answers,
        metrics=(metrics.exact_match, metrics.token_f1),
    ),
)

MIXTURES = (Mixture(name="race", papers=("SPoT",), members=("race_high", "race_middle")),)
