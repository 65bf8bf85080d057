"""Submission files for the GLUE and SuperGLUE leaderboards.

Names and formats are those of gluebenchmark.com and super.gluebenchmark.com.
"""

import dataclasses
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

Answer = tuple[Mapping[str, Any], Any]
"""The fields of an example, and the answer: a class, a number or a text."""

UNLABELED = -1
"""The answer when the predicted text is not a label of the task."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Submission:
    """One file of a submission.

    Attributes:
        name: Name in the zip.
        task: The task whose unlabeled examples it answers.
        prompted_by: The task whose prompt answers them; diagnostic sets have none of their own.
        count: Number of answers.
        labels: The written label of each class; none for numbers and texts.
        kind: The format of the answers.
        index: The fields of an example that identify it.
        where: Values of fields that select the examples of this file.
    """

    name: str
    task: str
    prompted_by: str
    count: int
    labels: tuple[str | int, ...] = ()
    kind: Literal["label", "similarity", "text", "nested"] = "label"
    index: tuple[str, ...] = ("idx",)
    where: Mapping[str, str] = dataclasses.field(default_factory=dict)


_BINARY = (0, 1)
_ENTAILMENT = ("entailment", "not_entailment")
_THREE_WAY = ("entailment", "neutral", "contradiction")


def _glue(name: str, config: str, count: int, labels=_BINARY, **others: Any) -> Submission:
    own = {"task": f"glue_{config}", "prompted_by": f"glue_{config}", "labels": labels}
    return Submission(name=f"{name}.tsv", count=count, **own | others)


def _super_glue(name: str, config: str, count: int, labels, **others: Any) -> Submission:
    own = {"task": f"super_glue_{config}", "prompted_by": f"super_glue_{config}", "labels": labels}
    return Submission(name=f"{name}.jsonl", count=count, **own | others)


LEADERBOARDS: Mapping[str, tuple[Submission, ...]] = {
    "glue": (
        _glue("CoLA", "cola", 1063),
        _glue("SST-2", "sst2", 1821),
        _glue("MRPC", "mrpc", 1725),
        _glue("STS-B", "stsb", 1379, (), kind="similarity"),
        _glue("QQP", "qqp", 390_965),
        _glue("MNLI-m", "mnli", 9796, _THREE_WAY, where={"half": "matched"}),
        _glue("MNLI-mm", "mnli", 9847, _THREE_WAY, where={"half": "mismatched"}),
        _glue("QNLI", "qnli", 5463, _ENTAILMENT),
        _glue("RTE", "rte", 3000, _ENTAILMENT),
        _glue("WNLI", "wnli", 146),
        _glue("AX", "ax", 1104, _THREE_WAY, prompted_by="glue_mnli"),
    ),
    "super_glue": (
        _super_glue("BoolQ", "boolq", 3245, ("false", "true")),
        _super_glue("CB", "cb", 250, ("entailment", "contradiction", "neutral")),
        _super_glue("COPA", "copa", 500, _BINARY),
        _super_glue(
            "MultiRC",
            "multirc",
            9693,
            _BINARY,
            kind="nested",
            index=("idx_paragraph", "idx_question", "idx_answer"),
        ),
        _super_glue("ReCoRD", "record", 10_000, (), kind="text", index=("idx_query",)),
        _super_glue("RTE", "rte", 3000, _ENTAILMENT),
        _super_glue("WiC", "wic", 1400, ("false", "true")),
        _super_glue("WSC", "wsc", 146, ("False", "True")),
        _super_glue("AX-b", "axb", 1104, _ENTAILMENT, prompted_by="super_glue_rte"),
        _super_glue("AX-g", "axg", 356, _ENTAILMENT, prompted_by="super_glue_rte"),
    ),
}
"""All files of each leaderboard."""

CONSTANT = {"WNLI.tsv": 0}
"""Files that may be written without a prompt, with one constant answer (no entailment).

GLUE requires WNLI although papers leave it out; this is the majority class of its test set.
"""

TSV_HEADER = "index\tprediction"


def answers_of(file: Submission, answers: Iterable[Answer]) -> list[Answer]:
    """Returns the answers that belong in a file, sorted by index."""
    belonging = [
        answer
        for answer in answers
        if all(answer[0].get(name) == value for name, value in file.where.items())
    ]
    return sorted(belonging, key=lambda answer: _index(file, answer[0]))


def constant_answers(file: Submission) -> list[Answer]:
    """Returns the constant answers of a file in `CONSTANT`."""
    return [({"idx": index}, CONSTANT[file.name]) for index in range(file.count)]


def remark(file: Submission, answers: Sequence[Answer]) -> str:
    """Returns a remark on answers that are not labels, if there are any, else an empty text."""
    if file.kind == "text":
        return ""
    wrong = sum(value == UNLABELED for _, value in answers)
    return f"{wrong:,} are not labels, written as {_shown(file, UNLABELED)}" if wrong else ""


def content(file: Submission, answers: Sequence[Answer]) -> str:
    """Returns the text of a file."""
    if file.kind == "nested":
        lines = _nested_lines(file, answers)
    elif file.name.endswith(".tsv"):
        lines = [
            TSV_HEADER,
            *(f"{_index(file, fields)[0]}\t{_shown(file, value)}" for fields, value in answers),
        ]
    else:
        lines = [
            json.dumps({"idx": _index(file, fields)[0], "label": _shown(file, value)})
            for fields, value in answers
        ]
    return "\n".join(lines) + "\n"


def write_zip(file: Path | BinaryIO, contents: Mapping[str, str]) -> None:
    """Writes a zip of texts by file name; equal contents give equal bytes."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in contents.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)


def _index(file: Submission, fields: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(fields[name]) for name in file.index)


def _shown(file: Submission, value: Any) -> str | int:
    """Returns an answer as the file has it."""
    if file.kind == "text":
        return str(value)
    if file.kind == "similarity":
        return f"{min(max(float(value), 0.0), 5.0):.3f}"
    return file.labels[0 if value == UNLABELED else int(value)]


def _nested_lines(file: Submission, answers: Sequence[Answer]) -> list[str]:
    """Returns a JSON line for each paragraph, with its questions and their answers."""
    paragraphs: dict[int, dict[int, list[dict[str, Any]]]] = {}
    for fields, value in answers:
        paragraph, question, answer = _index(file, fields)
        entry = {"idx": answer, "label": _shown(file, value)}
        paragraphs.setdefault(paragraph, {}).setdefault(question, []).append(entry)
    lines = []
    for paragraph, questions in paragraphs.items():
        nested = [{"idx": question, "answers": replies} for question, replies in questions.items()]
        lines.append(json.dumps({"idx": paragraph, "passage": {"questions": nested}}))
    return lines
