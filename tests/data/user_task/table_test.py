"""Files of each kind are read row by row, and what is wrong is told with its line."""

import re

import pytest

from prompt_tuning.data.user_task.table import BadValueError, Record, read_table
from prompt_tuning.types import UserError


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label\nwarm,good\ncold,bad\n"),
        ("a.csv", "text;label\r\nwarm;good\r\ncold;bad\r\n"),
        ("a.csv", "text\tlabel\nwarm\tgood\ncold\tbad"),
        ("a.CSV", b"\xef\xbb\xbftext,label\nwarm,good\n,\n\ncold,bad\n"),
        ("a.csv", '"text","label"\n"warm","good"\n"cold","bad"\n'),
        ("a.tsv", "text\tlabel\nwarm\tgood\ncold\tbad\n"),
        ("a.tsv", '"text"\t"label"\n"warm"\t"good"\n"cold"\t"bad"\n'),
        ("a.jsonl", '{"text": "warm", "label": "good"}\n\n{"text": "cold", "label": "bad"}\n'),
    ],
)
def test_every_kind_of_file_gives_the_same_rows(write, name, content):
    read = read_table(write(name, content))
    assert read.columns == ("text", "label")
    assert [(record.text("text"), record.text("label")) for record in read.records] == [
        ("warm", "good"),
        ("cold", "bad"),
    ]
    assert read.note == ""


def test_rows_begin_on_their_lines_whatever_breaks_quoted_fields_hold(write):
    content = 'text,label\n"one\ntwo, ""three""\n\nfour",good\r\nfive,bad\n\n"six\r\nseven",good\n'
    records = read_table(write("a.csv", content)).records
    assert [record.line for record in records] == [2, 6, 8]
    assert records[0].text("text") == 'one\ntwo, "three"\n\nfour'


def test_separators_of_unicode_do_not_end_a_line(write):
    records = read_table(write("a.jsonl", '{"text": "a\u2028b\x85c"}\n{"text": "d"}\n')).records
    assert [record.line for record in records] == [1, 2]
    assert records[0].text("text") == "a\u2028b\x85c"


@pytest.mark.parametrize("third", ['"quoted" at first', "plain"])
def test_quotes_of_a_tsv_are_plain_where_they_would_join_lines(write, third):
    content = f'text\tlabel\n"hello\tgood\nthere"\tbad\n{third}\tgood\n'
    read = read_table(write("a.tsv", content))
    assert [record.text("text") for record in read.records] == ['"hello', 'there"', third]
    assert read.note == "double quotes are read as ordinary characters"


def test_quotes_of_a_tsv_hold_line_breaks_where_lines_are_uneven(write):
    records = read_table(write("a.tsv", 'text\tlabel\n"two\nlines"\tgood\nsix\tbad\n')).records
    assert [(record.line, record.text("text")) for record in records] == [
        (2, "two\nlines"),
        (4, "six"),
    ]


def test_a_column_without_a_name_is_numbered(write):
    assert read_table(write("a.csv", ",text\n0,warm\n")).columns == ("column 1", "text")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"label": 1}, "no field 'text'"),
        ({"text": None}, "'text' is empty"),
        ({"text": " \n"}, "'text' is empty"),
        ({"text": ["a"]}, re.escape("'text' is [\"a\"], not a text or a number")),
    ],
)
def test_a_value_that_is_no_text(values, message):
    with pytest.raises(BadValueError, match=f"^{message}$"):
        Record(1, values).text("text")


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (0.5, "0.5"), (True, "true"), (" a ", "a")])
def test_values_of_json_are_written_as_json_does(value, text):
    assert Record(1, {"x": value}).text("x") == text


WIDE = "text,label\n" + 'ok,good\n"a\nb",good\none\na,b,c\n' + "x\n" * 4
BROKEN = '{"text": "a"}\n{"text": \n[1]\n'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            WIDE,
            "a.csv:5: 1 column where the header names 2 (text, label); line 6: 3 columns where "
            "the header names 2 (text, label); line 7: 1 column where the header names 2 (text, "
            "label); and 3 more; fix or remove them",
        ),
        ("a.csv", 'text,label\nok,good\n"a"b,good\n', "a.csv:3: a double quote here is not closed"),
        (
            "a.csv",
            'text,label\nok,good\n"a,good\nb,bad\n',
            "a.csv:3: a double quote here is not closed",
        ),
        ("a.csv", "text,text\na,b\n", "a.csv:1: two columns are called 'text'; rename one"),
        ("a.csv", "text,label\n", "a.csv: no examples below the header"),
        ("a.csv", " \n\n", "a.csv: the file is empty; add a header and examples"),
        ("a.csv", "b,good\na,bad\nc,good\nd,good\n", "but 'good' is also the value on lines 3 and"),
        ("a.csv", b"text,label\nok,good\ncaf\xe9,bad\n", "a.csv:3: not UTF-8 text; save the file"),
        ("a.csv", "text,label\na\0,b\n", "a.csv:2: a zero byte, so not UTF-8 text"),
        ("a.tsv", 'text\tlabel\n"a\tgood\nb\n', "a.tsv:3: 1 column where the header names 2"),
        ("a.jsonl", BROKEN, "a.jsonl:2: not JSON (Expecting value); line 3: not a JSON object, as"),
        ("a.jsonl", "{'text': 1}\n", "a.jsonl:1: not JSON (Expecting property name"),
        ("a.json", "[]", "a.json: cannot tell what kind of file this is; a TASK_FILE ends in"),
    ],
)
def test_malformed_files_are_refused_with_their_lines(write, name, content, message):
    path = write(name, content)
    with pytest.raises(UserError) as error:
        read_table(path)
    assert f"{path.parent}/{message}" in str(error.value) or message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_told_with_those_beside_it(write, tmp_path):
    write("reviews.csv", "text,label\na,b\n")
    with pytest.raises(UserError, match=r"cannot read it \(No such.*\(did you mean reviews"):
        read_table(tmp_path / "review.csv")
    with pytest.raises(UserError, match="cannot read it"):
        read_table(tmp_path / "none" / "review.csv")
    (tmp_path / "reviews2.csv").mkdir()
    with pytest.raises(UserError, match=r"\(Is a directory\) \(did you mean reviews.csv\?\)"):
        read_table(tmp_path / "reviews2.csv")
