"""Reading comprehension: SQuAD, DROP and RACE; and NQ-Open, questions without a passage.

SQuAD is in T5's format (Raffel et al. 2020, appendix D.15): `question: ... context: ...` with
spaces around punctuation. The target is the first answer, and scores are against all answers. DROP
follows it. Neither has a task prefix, so prefixed and unprefixed tasks are equal. The question
comes first, so that truncation removes the end of the passage.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from prompt_tuning.data import metrics, postprocessors
from prompt_tuning.data.datasets.dataset import (
    BadRecordError,
    Dataset,
    Example,
    Mixture,
    Record,
    text_field,
)

_LETTERS = ("A", "B", "C", "D")


def pad_punctuation(text: str) -> str:
    """Puts spaces around all characters but ASCII letters, digits and `_`, as T5 does for SQuAD.

    Accented letters count as punctuation: `café` becomes `caf é`.
    """
    spaced = re.sub(r"(\W)", r" \1 ", text, flags=re.ASCII)
    return re.sub(r"\s+", " ", spaced, flags=re.ASCII).strip(" ")


def reading_example(question: str, context: str, answer: str, answers: Sequence[str]) -> Example:
    """Returns T5's example of a question about a passage.

    Args:
        question: The question.
        context: The passage.
        answer: The answer to train on.
        answers: All correct answers.
    """
    return {
        "inputs": f"question: {pad_punctuation(question)} context: {pad_punctuation(context)}",
        "targets": pad_punctuation(answer),
        "answers": [pad_punctuation(answer) for answer in answers],
    }


def answer_list(values: Any, name: str) -> list[str]:
    """Returns the answers in a field of a record.

    Raises:
        BadRecordError: The field is not a list of texts, or is empty.
    """
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadRecordError(f"{name} is {values!r}; it must be a list of texts")
    if not values:
        raise BadRecordError(f"{name} is empty; every question must have an answer")
    return values


def _squad(record: Record) -> Iterator[Example]:
    answers = answer_list(record["answers"]["text"], "answers.text")
    question, context = text_field(record, "question"), text_field(record, "context")
    yield reading_example(question, context, answers[0], answers)


def _drop(record: Record) -> Iterator[Example]:
    """Leaves out unanswered questions: TensorFlow Datasets drops dates without a day."""
    given = answer_list(
        [record["answer"], *record["validated_answers"]], "answer or validated_answers"
    )
    answers = [text for text in given if text]
    if answers:
        question, passage = text_field(record, "question"), text_field(record, "passage")
        yield reading_example(question, passage, answers[0], answers)


def _race(record: Record) -> Iterator[Example]:
    """Yields one example per question: question, options and passage, in the order of UnifiedQA
    (Khashabi et al. 2020); the target is the letter of the right option, as in the dataset.
    """
    counts = {len(record[name]) for name in ("questions", "options", "answers")}
    if len(counts) > 1:
        raise BadRecordError("questions, options and answers differ in number")
    article = text_field(record, "article")
    for question, options, answer in zip(
        record["questions"], record["options"], record["answers"], strict=True
    ):
        if answer not in _LETTERS:
            raise BadRecordError(f"answers has {answer!r}; it must be one of {', '.join(_LETTERS)}")
        if len(options) != len(_LETTERS):
            raise BadRecordError(f"a question has {len(options)} options; it must have four")
        listed = " ".join(
            f"({letter}) {option}" for letter, option in zip(_LETTERS, options, strict=True)
        )
        yield {
            "inputs": f"question: {question} options: {listed} article: {article}",
            "targets": answer,
        }


def _nq_open(record: Record) -> Iterator[Example]:
    """Yields a question without a passage; the target is the first answer (Roberts et al. 2020)."""
    answers = answer_list(record["answer"], "answer")
    question = text_field(record, "question")
    yield {"inputs": f"question: {question}", "targets": answers[0], "answers": list(answers)}


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
        fields=("question", "passage", "answer", "validated_answers"),
        format=_drop,
        postprocess=postprocessors.answers,
        metrics=(metrics.exact_match, metrics.token_f1),
    ),
    _race_dataset("high", {"train": 62445, "validation": 3451, "test": 3498}),
    _race_dataset("middle", {"train": 25421, "validation": 1436, "test": 1436}),
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
