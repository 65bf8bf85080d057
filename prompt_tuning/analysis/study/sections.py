"""The report of a transfer study: the sections of its page, with their pictures and tables."""

import textwrap
from html import escape
from pathlib import Path

import numpy as np

from prompt_tuning.analysis import table
from prompt_tuning.analysis.study import heat_map, learning_curves, panels
from prompt_tuning.analysis.study.chance import top_minus_random_table
from prompt_tuning.analysis.study.clustering import dendrogram, similarity_map
from prompt_tuning.analysis.study.correlation import (
    CANDIDATES,
    SOURCES,
    correlation_table,
    points_table,
    scatter_panels,
)
from prompt_tuning.analysis.study.findings import findings
from prompt_tuning.analysis.study.page import Section, as_html, as_markdown, details
from prompt_tuning.analysis.study.retrieval_table import (
    ranking_table,
    retrieval_panel,
    retrieval_table,
)
from prompt_tuning.analysis.study.scores import ERROR_REDUCTION, Study
from prompt_tuning.analysis.study.transfer_matrix import transfer_map, transfer_table
from prompt_tuning.analysis.table import Column, Line, Table
from prompt_tuning.storage import write_text
from prompt_tuning.transfer.similarity import display_name


def write_report(study: Study, folder: Path) -> None:
    """Writes the report: `index.html`, the same as `index.md`, and its pictures and tables.

    Pictures are PNG and SVG files, tables Markdown and CSV files. A section that the study has no
    data for is left out. The same study gives the same bytes.
    """
    sections = list(filter(None, (section(study, folder) for section in SECTIONS)))
    points = findings(study)
    write_text(folder / "index.md", as_markdown(study.title, points, sections))
    write_text(folder / "index.html", as_html(study.title, points, sections))


class _Parts:
    """The parts of a section as HTML and as Markdown; writes their files to `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.html = ""
        self.markdown = ""

    def add(self, html: str, markdown: str) -> None:
        """Adds a part, with a blank line before it in Markdown."""
        self.html += html
        separator = "\n" if self.markdown and not self.markdown.endswith("\n\n") else ""
        self.markdown += f"{separator}{markdown}"

    def add_heading(self, heading: str) -> None:
        """Adds a heading below that of the section."""
        self.add(f"<h3>{escape(heading)}</h3>\n", f"### {heading}\n\n")

    def add_table(
        self, name: str, content: Table, *, summary: str = "", in_html: bool = True
    ) -> None:
        """Adds a table; in HTML it is folded under its summary, if it has one."""
        html = table.html(content) if in_html else ""
        self.add(details(summary, html) if summary else html, table.markdown(content))
        self.write_csv(name, content)
        write_text(self.folder / f"{name}.md", table.markdown(content))

    def add_heat_map(self, name: str, matrix: heat_map.HeatMap) -> None:
        """Adds a heat map."""
        heat_map.save_heat_map(matrix, self.folder / name)
        self.add(heat_map.html(matrix), _picture(name, matrix.title))

    def add_panel(self, name: str, panel: panels.Panel, label: str) -> None:
        """Adds a plot."""
        panels.save_panel(panel, self.folder / name)
        self.add(panels.html([panel], name, wide=True), _picture(name, label))

    def write_csv(self, name: str, content: Table) -> None:
        """Writes a table as CSV only."""
        write_text(self.folder / f"{name}.csv", table.comma_separated(content))

    def section(self, anchor: str, heading: str, intro: str) -> Section:
        """Returns the section that has these parts."""
        return Section(
            anchor=anchor, heading=heading, intro=intro, html=self.html, markdown=self.markdown
        )


def transfer(study: Study, folder: Path) -> Section | None:
    """Returns the matrix of each source's gain on each target."""
    if not np.isfinite(study.gains).any():
        return None
    parts, matrix = _Parts(folder), transfer_map(study)
    parts.add_heat_map("transfer", matrix)
    parts.add_table("transfer", transfer_table(study), summary="Means and standard deviations")
    measure = study.measure.capitalize()
    formula = (
        "the share of the target's error without transfer (100 - score) that tuning from the "
        "source's prompt removes; below 0, tuning adds errors"
        if study.measure == ERROR_REDUCTION
        else "the test score of the source's prompt, used unchanged, as a share of the score of "
        "the target's own prompt"
    )
    return parts.section(
        "transfer",
        f"{measure} by source and target",
        f"{measure} in percent: {formula}. Each cell is a mean over pairs of seeds "
        f"({len(study.transfer.candidates)} source prompts, {_seeds(study)}); the last column is "
        "the mean over the targets other than the source. Sources are sorted by that mean, best "
        f"first.{_clipped(matrix)}",
    )


def similarity(study: Study, folder: Path) -> Section | None:
    """Returns the similarities of all tasks, clustered."""
    if len(study.tasks) < 2 or not study.task_similarities:
        return None
    parts = _Parts(folder)
    for name in study.task_similarities:
        matrix, tree = similarity_map(study, name), dendrogram(study, name)
        parts.add_heading(display_name(name).capitalize())
        parts.add_heat_map(f"similarity_{name}", matrix)
        parts.add_table(f"similarity_{name}", heat_map.as_table(matrix), in_html=False)
        parts.add_panel(f"clustering_{name}", tree, f"{tree.name}: {display_name(name)}")
    return parts.section(
        "similarity",
        "Similarity of tasks",
        f"Similarities between the embeddings of {len(study.tasks)} tasks, means over pairs of "
        "seeds. Tasks are in the order of hierarchical clustering (average linkage), which puts "
        "similar tasks next to each other. The color scale spans the pairs of different tasks.",
    )


def against_transfer(study: Study, folder: Path) -> Section | None:
    """Returns scatter plots of similarity against gain."""
    parts = _Parts(folder)
    for name in study.similarities:
        plots, stem = scatter_panels(study, name), f"scatter_{name}"
        if plots:
            panels.save_panels(plots, folder / stem)
            heading = escape(display_name(name).capitalize())
            parts.add(
                f"<h3>{heading}</h3>\n{panels.html(plots, stem)}",
                _picture(stem, f"{study.measure} against {display_name(name)}"),
            )
    if not parts.html:
        return None
    parts.write_csv("scatter", points_table(study))
    return parts.section(
        "scatter",
        "Similarity against transfer",
        "Each point is a source prompt: the similarity of its embedding to the target's, and its "
        f"{study.measure}, both means over {_seeds(study)}. r is Pearson's correlation and p its "
        "two-sided p value, over the n prompts of other tasks; prompts of the target itself are "
        "squares.",
    )


def retrieval(study: Study, folder: Path) -> Section | None:
    """Returns the scores of retrieval, beside the published ones and beside chance."""
    parts, panel = _Parts(folder), retrieval_panel(study)
    if panel:
        parts.add_panel("retrieval", panel, panel.name)
    parts.add_table("retrieval", retrieval_table(study))
    if study.similarities:
        parts.add_table("top_minus_random", top_minus_random_table(study))
        parts.add_table("ranking", ranking_table(study))
    return parts.section(
        "retrieval",
        "Retrieval",
        "Scores from source prompts retrieved by the similarity of their task embedding to the "
        "target's, beside as many random ones and the best of all (the oracle). "
        f"Test scores, {_seeds(study)}.",
    )


def correlation(study: Study, folder: Path) -> Section | None:
    """Returns the correlations of similarity with gain."""
    if not study.similarities:
        return None
    parts = _Parts(folder)
    parts.add_table("correlation", correlation_table(study, CANDIDATES))
    if len(study.transfer.candidates) > len(study.transfer.sources):
        parts.add_table(
            "correlation_of_sources",
            correlation_table(study, SOURCES),
            summary="The same with a point for each source task",
        )
    return parts.section(
        "correlation",
        "Correlation of similarity with transfer",
        f"Correlation of similarity with {study.measure} for each target, means over "
        f"{_seeds(study)}.",
    )


def curves(study: Study, folder: Path) -> Section | None:
    """Returns the learning curves of the targets."""
    targets = learning_curves.target_curves(study)
    if not targets:
        return None
    parts, plots = _Parts(folder), [target.panel for target in targets]
    panels.save_panels(plots, folder / "learning_curves", legend=True)
    parts.add(
        learning_curves.KEY + panels.html(plots, "curves"),
        _picture("learning_curves", "learning curves of the targets"),
    )
    parts.write_csv("learning_curves", learning_curves.as_table(targets))
    return parts.section(
        "curves",
        "Learning curves",
        "Validation score by training step, mean over seeds: tuned without transfer (dashed),"
        " from the source that is best on validation (thick), and from every other source (thin)."
        " The axis spans the scores after step 0.",
    )


def configuration(study: Study, folder: Path) -> Section | None:
    """Returns the configuration and the provenance of the numbers."""
    if not study.settings and not study.facts:
        return None
    parts = _Parts(folder)
    if study.facts:
        lines = [Line(list(fact)) for fact in study.facts.items()]
        parts.add_table("facts", Table([Column("fact"), Column("value")], lines))
    if study.settings:
        text = f'<pre tabindex="0">{escape(study.settings)}</pre>\n'
        parts.add(
            details("Configuration (gin)", text), f"{textwrap.indent(study.settings, '    ')}\n"
        )
    return parts.section(
        "configuration",
        "Configuration and provenance",
        "The settings of the run, and where its numbers come from.",
    )


SECTIONS = (transfer, similarity, against_transfer, retrieval, correlation, curves, configuration)
"""All sections, in the order of the page; each returns None where the study has no data for it."""


def _clipped(matrix: heat_map.HeatMap) -> str:
    beyond = matrix.scale.beyond(matrix.values)
    ends = f"{matrix.scale.low:.0f} and {matrix.scale.high:.0f} %"
    return f" The color scale ends at {ends}; {beyond} cells are beyond it." if beyond else ""


def _picture(name: str, label: str) -> str:
    return f"![{label}]({name}.png)\n\n"


def _seeds(study: Study) -> str:
    count = len(study.transfer.seeds)
    return f"{count} target seed" if count == 1 else f"{count} target seeds"
