"""One table in its four renderings, each against the whole expected text."""

import csv
import io

import pytest
from rich.console import Console

from prompt_tuning.analysis.statistics import Spread
from prompt_tuning.analysis.table import (
    Column,
    Decimal,
    Line,
    Probability,
    Score,
    Table,
    comma_separated,
    html,
    latex,
    markdown,
    rendered,
    text,
)

TABLE = Table(
    columns=[Column("task"), Column("50% done", numeric=True), Column("steps", numeric=True)],
    lines=[
        Line(["a_b|c", Score(Spread(82.04, 0.25, 3), 82.8), 100]),
        Line(["[x]", Score(Spread(7.0, None, 1)), 20]),
        Line(["d", Score(None, 60.0), None]),
        Line(["mean", Score(None), 1.25], strong=True),
    ],
    title="Scores",
    note="Means & deviations",
)


def test_the_terminal_has_a_published_score_below_ours():
    assert text(TABLE, width=80) == (
        "Scores\n"
        "              50%\n"
        "task         done  steps\n"
        "─────────────────────────\n"
        "a_b|c  82.0 ± 0.2    100\n"
        "           [82.8]\n"
        "[x]           7.0     20\n"
        "d               -      -\n"
        "           [60.0]\n"
        "\n"
        "mean            -    1.2\n"
        "Means & deviations\n"
    )


def test_a_narrow_terminal_folds_texts_and_no_number():
    long = Table([Column("task"), Column("score", numeric=True)], [Line(["t" * 40, 12.25])])
    shown = text(long, width=10)
    assert shown.count("t") == 41
    assert "12.2" in shown


def test_the_names_of_lines_stay_whole_where_other_texts_are_folded():
    name = "super_glue_wsc_unprefixed"
    columns = [Column("task"), Column("metric"), Column("score", numeric=True)]
    table = Table(columns, [Line([name, "macro_f1+accuracy" * 3, 12.25])])
    assert f"{name}  macro" in text(table, width=60)
    screen = io.StringIO()
    Console(file=screen, width=50).print(rendered(table))
    assert f"{name}  macro" in screen.getvalue()


def test_markdown_escapes_bars_and_marks_strong_lines():
    assert markdown(TABLE) == (
        "Scores:\n\n"
        "| task | 50% done | steps |\n"
        "| --- | ---: | ---: |\n"
        "| a_b\\|c | 82.0 ± 0.2 [82.8] | 100 |\n"
        "| [x] | 7.0 | 20 |\n"
        "| d | - [60.0] | - |\n"
        "| **mean** | **-** | **1.2** |\n"
        "\nMeans & deviations\n"
    )


def test_html_escapes_and_names_lines_and_columns():
    table = Table(
        columns=[Column("a<b"), Column("score", numeric=True)],
        lines=[Line(["x & y", Score(Spread(82.04, 0.25, 3), 82.8)]), Line(["mean", None], True)],
        title='"Scores"',
        note="1 < 2",
    )
    assert html(table) == (
        "<figure>\n<figcaption>&quot;Scores&quot;</figcaption>\n"
        '<div class="scroll" role="region" tabindex="0" aria-label="&quot;Scores&quot;">\n'
        '<table>\n<thead><tr><th scope="col">a&lt;b</th>'
        '<th scope="col" class="number">score</th></tr></thead>\n<tbody>\n'
        '<tr><th scope="row">x &amp; y</th><td class="number">82.0 ± 0.2 [82.8]</td></tr>\n'
        '<tr class="strong"><th scope="row">mean</th><td class="number">-</td></tr>\n'
        '</tbody>\n</table>\n</div>\n<p class="note">1 &lt; 2</p>\n</figure>\n'
    )


def test_latex_escapes_and_never_opens_a_line_with_a_bracket():
    assert latex(TABLE) == (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{table}\n"
        "\\centering\n"
        "\\caption{Scores. Means \\& deviations}\n"
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "task & 50\\% done & steps \\\\\n"
        "\\midrule\n"
        "a\\_b|c & 82.0 $\\pm$ 0.2 [82.8] & 100 \\\\\n"
        "{}[x] & 7.0 & 20 \\\\\n"
        "d & - [60.0] & - \\\\\n"
        "\\midrule\n"
        "\\textbf{mean} & \\textbf{-} & \\textbf{1.2} \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\end{table}\n"
    )


def test_csv_keeps_numbers_whole_and_missing_ones_empty():
    assert list(csv.reader(io.StringIO(comma_separated(TABLE)))) == [
        ["task", "50% done", "50% done std", "50% done n", "50% done published", "steps"],
        ["a_b|c", "82.04", "0.25", "3", "82.8", "100"],
        ["[x]", "7.0", "", "1", "", "20"],
        ["d", "", "", "0", "60.0", ""],
        ["mean", "", "", "0", "", "1.25"],
    ]


def test_a_decimal_is_shown_with_its_digits_and_kept_whole_in_csv():
    table = Table([Column("p", numeric=True)], [Line([Decimal(0.01234, 3)]), Line([None])])
    assert comma_separated(table) == 'p\n0.01234\n""\n'
    assert "| 0.012 |" in markdown(table)
    assert str(Decimal(-0.001, 2)) == "0.00"


@pytest.mark.parametrize("render", [markdown, html, latex, comma_separated, lambda t: text(t, 80)])
def test_a_table_without_lines_has_its_heading(render):
    assert "task" in render(Table(TABLE.columns, []))


def test_p_values_are_never_shown_as_nothing():
    assert [str(Probability(p)) for p in (0.0, 0.0004, 0.0005001, 0.05)] == [
        "<0.001",
        "<0.001",
        "0.001",
        "0.050",
    ]
    assert comma_separated(Table([Column("p")], [Line([Probability(0.0001)])])) == "p\n0.0001\n"
