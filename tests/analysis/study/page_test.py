"""The skeleton of a report page."""

from prompt_tuning.analysis.study.page import Section, as_html, as_markdown, breakable

SECTIONS = [
    Section(anchor="one", heading="A < B", intro="a_b & c", html="<p>x</p>", markdown="x\n"),
    Section(anchor="two", heading="Two", intro="words", html="", markdown=""),
]


def test_sections_stand_under_headings_that_the_contents_lead_to():
    text = as_html("<title>", ["sum & total"], SECTIONS)
    assert "<title>&lt;title&gt;</title>" in text
    assert '<ul class="lead">\n<li>sum &amp; total</li>\n</ul>' in text
    assert '<li><a href="#one">A &lt; B</a></li>\n<li><a href="#two">Two</a></li>' in text
    assert '<section id="one" aria-labelledby="one-heading">' in text
    assert '<h2 id="one-heading">A &lt; B</h2>\n<p>a_<wbr>b &amp; c</p>\n<p>x</p>' in text


def test_the_page_adapts_to_screen_and_scheme():
    text = as_html("", [], [])
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert "prefers-color-scheme: dark" in text


def test_markdown_has_the_same_sections():
    text = as_markdown("Title", ["sum"], SECTIONS)
    assert text == "# Title\n\n- sum\n\n## A < B\n\na_b & c\n\nx\n\n## Two\n\nwords\n\n"


def test_long_names_may_break_after_an_underscore():
    assert breakable("a_b<c>") == "a_<wbr>b&lt;c&gt;"
