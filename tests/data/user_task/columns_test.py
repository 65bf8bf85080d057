"""Which columns are the input and the label, and how the input becomes a text."""

import pytest

from prompt_tuning.data.user_task.columns import (
    Columns,
    choose_columns,
    parse_template,
    template_of,
)
from prompt_tuning.data.user_task.table import BadValueError, Record, read_table
from prompt_tuning.types import UserError

LONG = "a text of quite some words"


def chosen(write, header: str, *rows: str, **given) -> Columns:
    settings = {"inputs": None, "label": None, "split": None, **given}
    content = "\n".join([header, *(rows or (",".join(["x"] * (header.count(",") + 1)),))])
    return choose_columns(read_table(write("a.csv", content)), **settings)


@pytest.mark.parametrize(
    ("header", "inputs", "label", "split"),
    [
        ("text,label", ("text",), "label", None),
        ("label,text", ("text",), "label", None),
        ("idx,Review,Sentiment", ("Review",), "Sentiment", None),
        ("premise,hypothesis,label", ("premise", "hypothesis"), "label", None),
        ("sentence2,sentence1,score", ("sentence1", "sentence2"), "score", None),
        ("context,question,answer", ("question", "context"), "answer", None),
        ("source,target", ("source",), "target", None),
        ("text,answer,label", ("text",), "label", None),
        ("utterance,user_id,Speech Act", ("utterance",), "Speech Act", None),
        (",remark,stars", ("remark",), "stars", None),
    ],
)
def test_columns_are_found_by_name(write, header, inputs, label, split):
    assert chosen(write, header) == (inputs, label, split)


def test_columns_are_found_by_what_is_left_and_by_their_texts(write):
    assert chosen(write, "a,b", f"yes,{LONG}", f"no,{LONG}") == (("b",), "a", None)
    rows = (f"{LONG},{LONG},paris,yes",)
    assert chosen(write, "a,b,c,label", *rows) == (("a", "b"), "label", None)
    assert chosen(write, "a,b,c", "p,q,yes", inputs=("a", "b")) == (("a", "b"), "c", None)


def test_given_columns_stay(write):
    rows = ("p,q,r,s",)
    assert chosen(write, "text,note,label,mark", *rows, inputs=("note",), label="mark") == (
        ("note",),
        "mark",
        None,
    )


def test_a_column_of_splits_is_one_where_it_names_splits(write):
    assert chosen(write, "text,label,split", "a,b,dev").split == "split"
    assert chosen(write, "text,label,split", "a,b,left").split is None
    assert chosen(write, "text,label,part", "a,b,dev", split="part").split == "part"


@pytest.mark.parametrize(
    ("header", "given", "message"),
    [
        ("a,b,c,label", {}, "cannot tell the column of the inputs among a, b, c (the first line"),
        ("text,a,b", {}, "cannot tell the column of the label among a, b (the first line"),
        ("label,id", {}, "cannot tell the column of the inputs as no column is left"),
        ("text,label", {"inputs": ("txt",)}, "no column 'txt' (TaskFile.inputs) (did you mean tex"),
        ("text,label", {"label": "mark"}, "no column 'mark' (TaskFile.label); it has text, label"),
        ("text,label", {"split": "part"}, "no column 'part' (TaskFile.split); it has text, label"),
    ],
)
def test_what_is_unclear_or_missing_is_asked(write, header, given, message):
    with pytest.raises(UserError) as error:
        chosen(write, header, **given)
    assert message in str(error.value)


RECORD = Record(1, {"premise": "It rains. ", "my note": "{x} %s", "empty": ""})


def test_a_template_takes_columns_by_name_and_braces_as_text():
    read = parse_template("{{nli}} premise: {premise} note: {my note}{premise}")
    assert read.columns == ("premise", "my note")
    assert read.fill(RECORD) == "{nli} premise: It rains. note: {x} %sIt rains."
    assert parse_template(str(read)) == read


def test_one_column_is_the_text_and_several_follow_their_names():
    assert template_of(["premise"]).fill(RECORD) == "It rains."
    several = template_of(["premise", "my note"])
    assert str(several) == "premise: {premise} my note: {my note}"
    assert several.fill(RECORD) == "premise: It rains. my note: {x} %s"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("premise: {premise", "cannot be read"),
        ("premise: {}", "braces hold the name of a column and nothing else"),
        ("premise: {premise!r}", "braces hold the name of a column and nothing else"),
        ("premise", "uses no column"),
    ],
)
def test_a_template_that_cannot_be(text, message):
    with pytest.raises(UserError, match=message):
        parse_template(text)


def test_an_empty_column_is_no_text():
    with pytest.raises(BadValueError, match="'empty' is empty"):
        parse_template("{premise} {empty}").fill(RECORD)
