"""A report page: sections under headings, as one self-contained HTML file and as Markdown."""

import dataclasses
from collections.abc import Sequence
from html import escape
from importlib import resources

from prompt_tuning.analysis.study.color_scale import style_sheet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A section of a page.

    Attributes:
        anchor: Target of links to the section; unique within a page.
        heading: Heading.
        intro: Plain text below the heading.
        html: Content as HTML.
        markdown: Content as Markdown.
    """

    anchor: str
    heading: str
    intro: str
    html: str
    markdown: str


def as_html(title: str, points: Sequence[str], sections: Sequence[Section]) -> str:
    """Returns the page as HTML, without scripts or references to other files.

    Args:
        title: Heading of the page.
        points: Findings, one sentence or more each.
        sections: Sections in order.
    """
    listed = "".join(f"<li>{escape(point)}</li>\n" for point in points)
    links = "".join(
        f'<li><a href="#{section.anchor}">{escape(section.heading)}</a></li>\n'
        for section in sections
    )
    parts = "".join(
        f'<section id="{section.anchor}" aria-labelledby="{section.anchor}-heading">\n'
        f'<h2 id="{section.anchor}-heading">{escape(section.heading)}</h2>\n'
        f"<p>{breakable(section.intro)}</p>\n{section.html}</section>\n"
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
    """Returns the page as Markdown, with pictures in files beside it; see `as_html`."""
    listed = "".join(f"- {point}\n" for point in points)
    parts = "".join(
        f"\n## {section.heading}\n\n{section.intro}\n\n{section.markdown}" for section in sections
    )
    return f"# {title}\n\n{listed}{parts}"


def details(summary: str, html: str) -> str:
    """Returns HTML that is folded under a summary."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{html}</details>\n"


def breakable(text: str) -> str:
    """Returns text as HTML that may break after underscores."""
    return escape(text).replace("_", "_<wbr>")
