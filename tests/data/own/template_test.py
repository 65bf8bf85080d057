"""Templates are read, filled and written back."""

import pytest

from prompt_tuning.data.own import template
from prompt_tuning.data.own.table import BadValueError, Row
from prompt_tuning.types import UserError

ROW = Row(1, {"premise": "It rains. ", "my note": "{x} %s", "empty": ""})


def test_a_template_takes_columns_by_name_and_braces_as_text():
    read = template.parse("{{nli}} premise: {premise} note: {my note}{premise}")
    assert read.columns == ("premise", "my note")
    assert read.fill(ROW) == "{nli} premise: It rains. note: {x} %sIt rains."
    assert template.parse(str(read)) == read


def test_one_column_is_the_text_and_several_follow_their_names():
    assert template.of_columns(["premise"]).fill(ROW) == "It rains."
    several = template.of_columns(["premise", "my note"])
    assert str(several) == "premise: {premise} my note: {my note}"
    assert several.fill(ROW) == "premise: It rains. my note: {x} %s"


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
        template.parse(text)


def test_an_empty_column_is_no_text():
    with pytest.raises(BadValueError, match="'empty' is empty"):
        template.parse("{premise} {empty}").fill(ROW)
