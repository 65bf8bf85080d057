"""Reads the records of CSV, TSV and JSONL files, each with the line it begins on."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from prompt_tuning.types import UserError, nearest

_DELIMITERS = (",", ";", "\t")
_NAMED = 3  # bad records that a message names


class BadValueError(ValueError):
    """Explains what is wrong with a value; the caller adds the line."""


class Record(NamedTuple):
    """The values of a record by column, and the line of the file that it begins on."""

    line: int
    values: Mapping[str, Any]

    def text(self, column: str) -> str:
        """Returns a value as text, without surrounding space.

        Raises:
            BadValueError: The value is missing or empty, or is a list or an object.
        """
        if column not in self.values:
            raise BadValueError(f"no field '{column}'")
        value = self.values[column]
        if isinstance(value, list | dict):
            raise BadValueError(f"'{column}' is {json.dumps(value)[:40]}, not a text or a number")
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        text = text.strip()
        if not text:
            raise BadValueError(f"'{column}' is empty")
        return text


@dataclass(frozen=True)
class Table:
    """The records of a file.

    Attributes:
        path: The file.
        columns: Names of the columns; for JSONL, every field in order of first occurrence.
        records: The records in order.
        note: How the file was read, if that may surprise; otherwise empty.
    """

    path: Path
    columns: tuple[str, ...]
    records: Sequence[Record]
    note: str = ""

    def check_column(self, name: str, setting: str) -> None:
        """Checks that a column exists.

        Raises:
            UserError: It does not; the message names the setting that asks for it.
        """
        if name not in self.columns:
            known = f"{nearest(name, self.columns)}; it has {', '.join(self.columns)}"
            raise UserError(f"{self.path} has no column '{name}' ({setting}){known}")


class Problems:
    """Collects problems with the records of a file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path):
        self._path = path
        self._by_line: dict[int, str] = {}

    def add(self, line: int, what: str) -> None:
        """Adds a problem of the record that begins on a line, unless it already has one."""
        self._by_line.setdefault(line, what)

    def check(self) -> None:
        """Raises if there is any problem.

        Raises:
            UserError: Lists the first problems with their lines, and counts the rest.
        """
        if not self._by_line:
            return
        (first, what), *others = self._by_line.items()
        parts = [f"{self._path}:{first}: {what}"]
        parts += [f"line {line}: {what}" for line, what in others[: _NAMED - 1]]
        if len(others) >= _NAMED:
            parts.append(f"and {len(others) - _NAMED + 1:,} more")
        raise UserError(f"{'; '.join(parts)}; fix or remove {'them' if others else 'it'}")


def read_table(path: Path) -> Table:
    """Reads a file in the format of its extension: `.csv`, `.tsv`, or `.jsonl` and `.ndjson`.

    Text is UTF-8, with or without a byte order mark. CSV and TSV begin with a line of column names.
    The delimiter of CSV is a comma, a semicolon or a tab, whichever gives the first line the most
    columns; quoted fields may contain line breaks. Blank lines are skipped.

    Raises:
        UserError: The file cannot be read, has no header or no records, or records are malformed.
    """
    readers: dict[str, Callable[[Path, str], Table]] = {
        ".csv": _read_csv,
        ".tsv": _read_tsv,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
    }
    ending = path.suffix.lower()
    if ending not in readers:
        raise UserError(
            f"{path}: cannot tell what kind of file this is; a TASK_FILE ends in .csv, .tsv "
            "(both with a line of column names) or .jsonl (an object on each line)"
        )
    table = readers[ending](path, _text(path, tuple(readers)))
    if not table.records:
        raise UserError(f"{path}: no examples below the header; add some")
    return table


def _text(path: Path, endings: tuple[str, ...]) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        known = [file.name for file in beside if file.suffix.lower() in endings and file.is_file()]
        raise UserError(
            f"{path}: cannot read it ({error.strerror}){nearest(path.name, known)}; "
            "set TASK_FILE to a file with your examples"
        ) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path}:{line}: a zero byte, so not UTF-8 text; save the file as UTF-8")
    if not text.strip():
        raise UserError(f"{path}: the file is empty; add a header and examples")
    return text


def _read_csv(path: Path, text: str) -> Table:
    delimiter = max(_DELIMITERS, key=lambda mark: _header_width(text, mark))
    return _table(path, _fields(path, text, delimiter))


def _read_tsv(path: Path, text: str) -> Table:
    """Reads TSV, deciding whether quotes are quoting or ordinary characters.

    Some programs quote fields, others write them as they are. Quotes are honored if that gives one
    record per line, or if without it the lines differ in their number of columns.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    plain = [(n, line.split("\t")) for n, line in enumerate(lines, start=1) if line.strip()]
    even = len({len(fields) for _, fields in plain}) == 1
    try:
        quoted = list(_fields(path, text, "\t"))
    except UserError:
        quoted = []
    if quoted and (not even or len(quoted) == len(plain)):
        return _table(path, iter(quoted))
    return _table(path, iter(plain), note="double quotes are read as ordinary characters")


def _header_width(text: str, delimiter: str) -> int:
    """Counts the columns of the first line that is not blank; 0 if it cannot be parsed."""
    try:
        records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        return len(next(fields for fields in records if any(map(str.strip, fields))))
    except (csv.Error, StopIteration):
        return 0


def _fields(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the fields of each record that is not blank, with the line it begins on."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        begins = lines.line_num + 1
        try:
            fields = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{path}:{begins}: a double quote here is not closed, or text follows it "
                f"({error}); write a quote inside a quoted field twice"
            ) from None
        if any(field.strip() for field in fields):
            yield begins, fields


def _table(path: Path, fields: Iterator[tuple[int, list[str]]], note: str = "") -> Table:
    header_line, header = next(fields)
    columns = tuple(name.strip() or f"column {i}" for i, name in enumerate(header, start=1))
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}:{header_line}: two columns are called '{twice}'; rename one")
    problems = Problems(path)
    records = []
    for line, values in fields:
        if len(values) != len(columns):
            problems.add(
                line,
                f"{len(values)} column{'s' * (len(values) != 1)} where the header names "
                f"{len(columns)} ({', '.join(columns)})",
            )
        records.append(Record(line, dict(zip(columns, values, strict=False))))
    _check_header(path, header_line, columns, records)
    problems.check()
    return Table(path, columns, records, note)


def _check_header(path: Path, line: int, columns: Sequence[str], records: Sequence[Record]) -> None:
    """Raises if the first line looks like data: a name recurs as a value of its own column."""
    for name in columns:
        same = [record.line for record in records if record.values.get(name, "").strip() == name]
        if len(same) > 1:
            raise UserError(
                f"{path}:{line}: the first line must name the columns, but '{name}' is also the "
                f"value on lines {same[0]} and {same[1]}; add a line of column names"
            )


def _read_json_lines(path: Path, text: str) -> Table:
    problems = Problems(path)
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.add(number, f"not JSON ({getattr(error, 'msg', error)})")
            continue
        if isinstance(values, dict):
            records.append(Record(number, values))
        else:
            problems.add(number, 'not a JSON object, as in {"text": "...", "label": "..."}')
    problems.check()
    columns = dict.fromkeys(name for record in records for name in record.values)
    return Table(path, tuple(columns), records)
