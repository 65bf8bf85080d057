"""Questions about a passage: SQuAD, DROP, RACE; and NQ-Open, questions without one.

SQuAD is as T5 has it (Raffel et al. 2020, appendix D.15): `question: ... context: ...`, with spaces
around punctuation, answered by the first answer and scored against all of them. DROP follows it.
Neither has a task prefix, so that prefixed and unprefixed tasks are alike. Questions stand first:
where a passage is longer than the inputs may be, its end is what is lost.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from prompt_tuning.data import metrics, postprocessors
from prompt_tuning.data.datasets.dataset import (
    BadRowError,
    Dataset,
    Example,
    Mixture,
    Row,
    text_field,
)

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
        "answers": [pad_punctuation(answer) for answer in answers],
    }


def answer_list(values: Any, name: str) -> list[str]:
    """Returns the answers in a field of a row.

    Raises:
        BadRowError: They are not a list of texts, or there are none.
    """
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadRowError(f"{name} is {values!r}; it must be a list of texts")
    if not values:
        raise BadRowError(f"{name} is empty; every question must have an answer")
    return values


def _squad(row: Row) -> Iterator[Example]:
    answers = answer_list(row["answers"]["text"], "answers.text")
    question, context = text_field(row, "question"), text_field(row, "context")
    yield reading_example(question, context, answers[0], answers)


def _drop(row: Row) -> Iterator[Example]:
    """Leaves out what has no answer: TensorFlow Datasets writes none for a date without a day."""
    given = answer_list([row["answer"], *row["validated_answers"]], "answer or validated_answers")
    answers = [text for text in given if text]
    if answers:
        question, passage = text_field(row, "question"), text_field(row, "passage")
        yield reading_example(question, passage, answers[0], answers)


def _race(row: Row) -> Iterator[Example]:
    """Asks each question of a passage: question, options, passage (the order of UnifiedQA,
    Khashabi et al. 2020), answered by the letter of the option, as the dataset's own key is.
    """
    counts = {len(row[name]) for name in ("questions", "options", "answers")}
    if len(counts) > 1:
        raise BadRowError("questions, options and answers differ in number")
    article = text_field(row, "article")
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
            "inputs": f"question: {question} options: {listed} article: {article}",
            "targets": answer,
        }


def _nq_open(row: Row) -> Iterator[Example]:
    """Asks without a passage and trains on the first answer (Roberts et al. 2020)."""
    answers = answer_list(row["answer"], "answer")
    question = text_field(row, "question")
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
