"""A report page: sections under headings, as one HTML file that needs no other, and as Markdown."""

import dataclasses
from collections.abc import Sequence
from html import escape
from importlib import resources

from prompt_tuning.analysis.study.color_scale import style_sheet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """Holds a part of a page.

    Attributes:
        anchor: Where links to it lead; differs between the sections of a page.
        heading: Its heading.
        words: What it shows: plain text, before the rest.
        html: The rest, as HTML.
        markdown: The rest, as Markdown.
    """

    anchor: str
    heading: str
    words: str
    html: str
    markdown: str


def as_html(title: str, points: Sequence[str], sections: Sequence[Section]) -> str:
    """Returns the whole page as HTML; it has no script and asks for no other file.

    Args:
        title: Its heading.
        points: What it shows, in sentences.
        sections: Its parts.
    """
    listed = "".join(f"<li>{escape(point)}</li>\n" for point in points)
    links = "".join(
        f'<li><a href="#{section.anchor}">{escape(section.heading)}</a></li>\n'
        for section in sections
    )
    parts = "".join(
        f'<section id="{section.anchor}" aria-labelledby="{section.anchor}-heading">\n'
        f'<h2 id="{section.anchor}-heading">{escape(section.heading)}</h2>\n'
        f"<p>{breakable(section.words)}</p>\n{section.html}</section>\n"
        for section in sections
    )
    css = resources.files("prompt_tuning.analysis.study").joinpath("page.css").read_text("utf-8")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{css}{style_sheet()}</style>\n</head>\n<body>\n"
        f'<header>\n<h1>{escape(title)}</h1>\n<ul class="lead">\n{listed}</ul>\n'
        f'<nav aria-label="contents">\n<ul>\n{links}</ul>\n</nav>\n</header>\n'
        f"<main>\n{parts}</main>\n</body>\n</html>\n"
    )


def as_markdown(title: str, points: Sequence[str], sections: Sequence[Section]) -> str:
    """Returns the whole page as Markdown; pictures are in files beside it. See `as_html`."""
    listed = "".join(f"- {point}\n" for point in points)
    parts = "".join(
        f"\n## {section.heading}\n\n{section.words}\n\n{section.markdown}" for section in sections
    )
    return f"# {title}\n\n{listed}{parts}"


def details(summary: str, html: str) -> str:
    """Returns HTML that is shown where a reader opens it."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{html}</details>\n"


def breakable(text: str) -> str:
    """Returns text as HTML that may go to the next line after an underscore."""
    return escape(text).replace("_", "_<wbr>")
