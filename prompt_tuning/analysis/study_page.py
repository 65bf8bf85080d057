"""The report of a transfer study: one page, and what it shows as pictures and tables beside it."""

from pathlib import Path

from prompt_tuning.analysis.headline import headline
from prompt_tuning.analysis.page import as_html, as_markdown
from prompt_tuning.analysis.study import Study
from prompt_tuning.analysis.study_sections import SECTIONS
from prompt_tuning.storage import write_text


def write(study: Study, folder: Path) -> None:
    """Writes the report: `index.html`, the same as `index.md`, and its pictures and tables.

    Pictures are PNG and SVG files, tables Markdown and CSV files. A part that the study has nothing
    for is left out. The same study gives the same bytes.
    """
    made = [section(study, folder) for section in SECTIONS]
    sections = [section for section in made if section]
    points = headline(study)
    write_text(folder / "index.md", as_markdown(study.title, points, sections))
    write_text(folder / "index.html", as_html(study.title, points, sections))
