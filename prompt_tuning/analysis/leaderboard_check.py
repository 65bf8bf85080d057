"""Checks a zip of leaderboard files: names, headers, counts, indices and labels."""

import collections
import json
import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prompt_tuning.analysis.leaderboard import TSV_HEADER, Submission

MOST_FAULTS = 3
"""Faults reported per file, at most."""


def faults(path: Path, files: Sequence[Submission]) -> list[str]:
    """Returns the faults of a zip as a submission of `files`, one line each.

    A valid zip holds each file once, at its top level, with every index below the file's count
    exactly once and every answer among its labels.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if damaged:
                return [f"{path}: {damaged} is damaged"]
            names = archive.namelist()
            texts = {name: archive.read(name) for name in set(names)}
    except FileNotFoundError:
        return [f"{path}: there is no such file"]
    except zipfile.BadZipFile as error:
        return [f"{path}: not a zip file ({error})"]
    wanted = {file.name for file in files}
    problems = [f"{name} is missing" for name in sorted(wanted - set(names))]
    problems += [f"{name} does not belong in the zip" for name in sorted(set(names) - wanted)]
    problems += [f"{name} appears twice" for name in sorted(set(names)) if names.count(name) > 1]
    for file in files:
        if file.name in texts:
            problems += [f"{file.name}{fault}" for fault in _of_file(file, texts[file.name])]
    return problems


def _of_file(file: Submission, data: bytes) -> list[str]:
    try:
        lines = data.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        return [f": not UTF-8 ({error.reason})"]
    parse = _tsv if file.name.endswith(".tsv") else _jsonl
    problems: list[str] = []
    seen: list[Any] = []
    for number, index, fault in parse(file, lines):
        if fault:
            problems.append(f", line {number}: {fault}")
        else:
            seen.append(index)
    if not problems:
        problems = [f": {fault}" for fault in _of_indices(file, seen)]
    rest = len(problems) - MOST_FAULTS
    return problems[:MOST_FAULTS] + ([f": {rest} more faults"] if rest > 0 else [])


Parsed = Iterator[tuple[int, Any, str | None]]
"""Line number, index, and fault or None."""


def _tsv(file: Submission, lines: Sequence[str]) -> Parsed:
    if not lines or lines[0] != TSV_HEADER:
        first = lines[0] if lines else ""
        yield 1, None, f"the header is {first!r}, not {TSV_HEADER!r}"
        return
    for number, line in enumerate(lines[1:], start=2):
        index, tab, prediction = line.partition("\t")
        if not tab or "\t" in prediction:
            yield number, None, f"{line!r} is not an index and a prediction with a tab between"
        elif not index.isdecimal():
            yield number, None, f"the index {index!r} is not an integer"
        elif file.kind == "similarity":
            yield number, int(index), _similarity_fault(prediction)
        else:
            known = [str(label) for label in file.labels]
            yield number, int(index), _label_fault(prediction, known)


def _jsonl(file: Submission, lines: Sequence[str]) -> Parsed:
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            yield number, None, f"not JSON ({error.msg})"
            continue
        if file.kind == "nested":
            for index, fault in _nested(file, entry):
                yield number, index, fault
        else:
            yield number, *_entry(file, entry)


def _entry(file: Submission, entry: Any) -> tuple[Any, str | None]:
    """Returns the index and the fault of `{"idx": ..., "label": ...}`."""
    if not isinstance(entry, dict) or set(entry) != {"idx", "label"}:
        return None, f'{json.dumps(entry)} is not {{"idx": ..., "label": ...}}'
    index, label = entry["idx"], entry["label"]
    if type(index) is not int:
        return None, f"the idx {json.dumps(index)} is not an integer"
    if file.kind == "text":
        return index, None if isinstance(label, str) else f"{json.dumps(label)} is not a text"
    return index, _label_fault(label, file.labels)


def _nested(file: Submission, entry: Any) -> Iterator[tuple[Any, str | None]]:
    """Yields index and fault of every answer in a paragraph."""
    try:
        places = [
            (entry["idx"], question["idx"], answer)
            for question in entry["passage"]["questions"]
            for answer in question["answers"]
        ]
    except (KeyError, TypeError):
        shape = '{"idx", "passage": {"questions": [{"idx", "answers": [{"idx", "label"}]}]}}'
        yield None, f"it is not of the form {shape}"
        return
    for paragraph, question, answer in places:
        index, fault = _entry(file, answer)
        if type(paragraph) is not int or type(question) is not int:
            fault = fault or "the idx of a passage or a question is not an integer"
        yield (paragraph, question, index), fault


def _label_fault(label: Any, known: Sequence[str | int]) -> str | None:
    if any(type(label) is type(other) and label == other for other in known):
        return None
    return f"{json.dumps(label)} is none of {', '.join(map(json.dumps, known))}"


def _similarity_fault(text: str) -> str | None:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return None if 0 <= value <= 5 else f"{text!r} is not a number from 0 to 5"


def _of_indices(file: Submission, seen: Sequence[Any]) -> Iterator[str]:
    """Yields faults of a file's indices: their number, duplicates and gaps."""
    if len(seen) != file.count:
        yield f"{len(seen)} answers, not {file.count}"
    # Answers of MultiRC are numbered across paragraphs and questions.
    numbers = [index[-1] for index in seen] if file.kind == "nested" else list(seen)
    distinct = set(numbers)
    if len(distinct) < len(numbers):
        ((again, times),) = collections.Counter(numbers).most_common(1)
        yield f"the index {again} appears {times} times"
    missing = next((n for n in range(file.count) if n not in distinct), None)
    if missing is not None:
        yield f"the index {missing} is missing"
    beyond = next((n for n in numbers if not 0 <= n < file.count), None)
    if beyond is not None:
        yield f"the index {beyond} is not in 0 to {file.count - 1}"
