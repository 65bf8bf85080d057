"""Reading a file of rows: CSV, TSV or JSON lines, each row with the line it begins on."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from prompt_tuning.types import UserError, nearest

_DELIMITERS = (",", ";", "\t")
_NAMED = 3  # rows of a file that a message names


class BadValueError(ValueError):
    """Says what is wrong with a value; who reads it adds where it stands."""


class Row(NamedTuple):
    """A row: its values by column, and the line of the file that it begins on."""

    line: int
    values: Mapping[str, Any]

    def text(self, column: str) -> str:
        """Returns the text of a value, without surrounding space.

        Raises:
            BadValueError: There is none, or it is a list or an object.
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
    """The rows of a file.

    Attributes:
        path: The file.
        columns: Names of the columns; of JSON lines, every field in order of first mention.
        rows: The rows in order.
        note: How the file was read, where that may surprise; empty where not.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Sequence[Row]
    note: str = ""

    def check_column(self, name: str, setting: str) -> None:
        """Raises for a column that is not there.

        Raises:
            UserError: It names the setting that asks for the column.
        """
        if name not in self.columns:
            known = f"{nearest(name, self.columns)}; it has {', '.join(self.columns)}"
            raise UserError(f"{self.path} has no column '{name}' ({setting}){known}")


class Problems:
    """Gathers what is wrong with the rows of a file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path):
        self._path = path
        self._by_line: dict[int, str] = {}

    def add(self, line: int, what: str) -> None:
        """Notes what is wrong with the row that begins on a line; the first note counts."""
        self._by_line.setdefault(line, what)

    def check(self) -> None:
        """Raises if anything is wrong.

        Raises:
            UserError: It names the first rows with their lines, and how many more there are.
        """
        if not self._by_line:
            return
        (first, what), *others = self._by_line.items()
        parts = [f"{self._path}:{first}: {what}"]
        parts += [f"line {line}: {what}" for line, what in others[: _NAMED - 1]]
        if len(others) >= _NAMED:
            parts.append(f"and {len(others) - _NAMED + 1:,} more rows")
        raise UserError(f"{'; '.join(parts)}; mend or remove {'them' if others else 'it'}")


def read_table(path: Path) -> Table:
    """Reads a file by its ending: `.csv`, `.tsv`, or `.jsonl` and `.ndjson`.

    Text is UTF-8, with or without a byte order mark. CSV and TSV begin with a line that names the
    columns. CSV is delimited by the one of comma, semicolon and tab that gives its first line the
    most columns; quoted fields may hold line breaks. Blank lines are passed over.

    Raises:
        UserError: The file cannot be read, has no header or no rows, or rows are malformed.
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
    if not table.rows:
        raise UserError(f"{path}: no rows below the header; add examples")
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
    return _table(path, _records(path, text, delimiter))


def _read_tsv(path: Path, text: str) -> Table:
    """Reads TSV, in which a quote is an ordinary character unless the lines say otherwise.

    Some programs quote fields, others write them as they are. Quotes are honored where that gives
    a row for each line, or where the lines do not all have the same columns.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    plain = [(n, line.split("\t")) for n, line in enumerate(lines, start=1) if line.strip()]
    even = len({len(fields) for _, fields in plain}) == 1
    try:
        quoted = list(_records(path, text, "\t"))
    except UserError:
        quoted = []
    if quoted and (not even or len(quoted) == len(plain)):
        return _table(path, iter(quoted))
    return _table(path, iter(plain), note="double quotes are read as ordinary characters")


def _header_width(text: str, delimiter: str) -> int:
    """Returns the columns of the first line that is not blank; 0 where it cannot be read so."""
    try:
        records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        return len(next(fields for fields in records if any(map(str.strip, fields))))
    except (csv.Error, StopIteration):
        return 0


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
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
                f"{path}:{begins}: a double quote in this row is not closed, or text follows it "
                f"({error}); write a quote inside a quoted field twice"
            ) from None
        if any(field.strip() for field in fields):
            yield begins, fields


def _table(path: Path, records: Iterator[tuple[int, list[str]]], note: str = "") -> Table:
    header_line, header = next(records)
    columns = tuple(name.strip() or f"column {i}" for i, name in enumerate(header, start=1))
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}:{header_line}: two columns are called '{twice}'; rename one")
    problems = Problems(path)
    rows = []
    for line, fields in records:
        if len(fields) != len(columns):
            problems.add(
                line,
                f"{len(fields)} column{'s' * (len(fields) != 1)} where the header names "
                f"{len(columns)} ({', '.join(columns)})",
            )
        rows.append(Row(line, dict(zip(columns, fields, strict=False))))
    _check_header(path, header_line, columns, rows)
    problems.check()
    return Table(path, columns, rows, note)


def _check_header(path: Path, line: int, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Raises where the first line is data: a name is a value of its own column, and not once."""
    for name in columns:
        same = [row.line for row in rows if row.values.get(name, "").strip() == name]
        if len(same) > 1:
            raise UserError(
                f"{path}:{line}: the first line must name the columns, but '{name}' is also the "
                f"value on lines {same[0]} and {same[1]}; add a line of column names"
            )


def _read_json_lines(path: Path, text: str) -> Table:
    problems = Problems(path)
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.add(number, f"not JSON ({getattr(error, 'msg', error)})")
            continue
        if isinstance(values, dict):
            rows.append(Row(number, values))
        else:
            problems.add(number, 'not a JSON object, as in {"text": "...", "label": "..."}')
    problems.check()
    columns = dict.fromkeys(name for row in rows for name in row.values)
    return Table(path, tuple(columns), rows)
