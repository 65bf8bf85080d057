"""The report of a transfer study: the sections of its page, with their pictures and tables."""

import dataclasses
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

    Pictures are PNG and SVG files, tables Markdown and CSV files. A part that the study has nothing
    for is left out. The same study gives the same bytes.
    """
    sections = list(filter(None, (section(study, folder) for section in SECTIONS)))
    points = findings(study)
    write_text(folder / "index.md", as_markdown(study.title, points, sections))
    write_text(folder / "index.html", as_html(study.title, points, sections))


def transfer(study: Study, folder: Path) -> Section | None:
    """Returns the matrix of what each source gives each target."""
    if not np.isfinite(study.gains).any():
        return None
    matrix, scores = transfer_map(study), transfer_table(study)
    heat_map.save_heat_map(matrix, folder / "transfer")
    _write(scores, folder / "transfer")
    measure = study.measure.capitalize()
    formula = (
        "the share of the target's error without transfer, 100 - score, that tuning from the "
        "source's prompt removes; below 0 it adds errors"
        if study.measure == ERROR_REDUCTION
        else "the test score of the source's prompt, used as it is, as a share of the score of the "
        "target's own prompt"
    )
    return Section(
        anchor="transfer",
        heading=f"{measure} by source and target",
        words=f"{measure} in percent: {formula}. A cell is the mean over pairs of seeds "
        f"({len(study.transfer.candidates)} source prompts, {_seeds(study)}), the last column the "
        f"mean over the targets other than the source. Sources that give most come first."
        f"{_clipped(matrix)}",
        html=heat_map.html(matrix) + details("Means and standard deviations", table.html(scores)),
        markdown=_picture("transfer", matrix.title) + table.markdown(scores),
    )


def similarity(study: Study, folder: Path) -> Section | None:
    """Returns the similarities of all tasks, clustered."""
    if len(study.tasks) < 2 or not study.task_similarities:
        return None
    html, markdown = "", ""
    for name in study.task_similarities:
        heading = display_name(name).capitalize()
        matrix, tree = similarity_map(study, name), dendrogram(study, name)
        values = heat_map.as_table(matrix)
        of_map, of_tree = f"similarity_{name}", f"clustering_{name}"
        heat_map.save_heat_map(matrix, folder / of_map)
        _write(values, folder / of_map)
        panels.save_panel(tree, folder / of_tree)
        drawn = panels.html([tree], of_tree, wide=True)
        html += f"<h3>{escape(heading)}</h3>\n{heat_map.html(matrix)}{drawn}"
        markdown += f"### {heading}\n\n{_picture(of_map, matrix.title)}{table.markdown(values)}\n"
        markdown += _picture(of_tree, f"{tree.name}: {display_name(name)}")
    return Section(
        anchor="similarity",
        heading="Similarity of tasks",
        words=f"How alike the embeddings of {len(study.tasks)} tasks are, mean over pairs of seeds."
        " Tasks are in the order of hierarchical clustering (average linkage), so that tasks that "
        "are alike stand side by side. The colors span the pairs of different tasks.",
        html=html,
        markdown=markdown,
    )


def against_transfer(study: Study, folder: Path) -> Section | None:
    """Returns scatter plots of similarity against gain."""
    html, markdown = "", ""
    for name in study.similarities:
        plots = scatter_panels(study, name)
        if plots:
            stem = f"scatter_{name}"
            panels.save_panels(plots, folder / stem)
            heading = escape(display_name(name).capitalize())
            html += f"<h3>{heading}</h3>\n{panels.html(plots, stem)}"
            markdown += _picture(stem, f"{study.measure} against {display_name(name)}")
    if not html:
        return None
    write_text(folder / "scatter.csv", table.comma_separated(points_table(study)))
    return Section(
        anchor="scatter",
        heading="Similarity against transfer",
        words="Each point is a source prompt: how similar its embedding is to the target's, and "
        f"the {study.measure} that it gives, both means over {_seeds(study)}. r is Pearson's "
        "correlation and p its two-sided p value, over the n prompts of other tasks; prompts of "
        "the target itself are squares.",
        html=html,
        markdown=markdown,
    )


def retrieval(study: Study, folder: Path) -> Section | None:
    """Returns what retrieval gives, beside the published figures, and beside chance."""
    tables = {"retrieval": retrieval_table(study)}
    if study.similarities:
        tables["top_minus_random"] = top_minus_random_table(study)
        tables["ranking"] = ranking_table(study)
    section = _of_tables(
        folder,
        tables,
        anchor="retrieval",
        heading="Retrieval",
        words="What the source prompts give that are retrieved by the similarity of their task "
        "embedding to the target's, beside as many at random and the best of all (the oracle). "
        f"Test scores, {_seeds(study)}.",
    )
    panel = retrieval_panel(study)
    if panel is None:
        return section
    panels.save_panel(panel, folder / "retrieval")
    return dataclasses.replace(
        section,
        html=panels.html([panel], "retrieval", wide=True) + section.html,
        markdown=_picture("retrieval", panel.name) + section.markdown,
    )


def correlation(study: Study, folder: Path) -> Section | None:
    """Returns the correlations of similarity with gain."""
    if not study.similarities:
        return None
    section = _of_tables(
        folder,
        {"correlation": correlation_table(study, CANDIDATES)},
        anchor="correlation",
        heading="Correlation of similarity with transfer",
        words=f"How well similarity predicts {study.measure}, for each target, means over "
        f"{_seeds(study)}.",
    )
    if len(study.transfer.candidates) == len(study.transfer.sources):
        return section
    of_sources = correlation_table(study, SOURCES)
    _write(of_sources, folder / "correlation_of_sources")
    more = details("The same with a point for each source task", table.html(of_sources))
    return dataclasses.replace(
        section,
        html=section.html + more,
        markdown=f"{section.markdown}\n{table.markdown(of_sources)}",
    )


def curves(study: Study, folder: Path) -> Section | None:
    """Returns the learning curves of the targets."""
    of_targets = learning_curves.target_curves(study)
    if not of_targets:
        return None
    plots = [of_target.panel for of_target in of_targets]
    panels.save_panels(plots, folder / "learning_curves", legend=True)
    points = learning_curves.as_table(of_targets)
    write_text(folder / "learning_curves.csv", table.comma_separated(points))
    return Section(
        anchor="curves",
        heading="Learning curves",
        words="Validation score by training step, mean over seeds: tuned without transfer (dashed),"
        " from the source that is best on validation (thick), and from every other source (thin)."
        " The axis spans the scores after step 0.",
        html=learning_curves.KEY + panels.html(plots, "curves"),
        markdown=_picture("learning_curves", "learning curves of the targets"),
    )


def configuration(study: Study, folder: Path) -> Section | None:
    """Returns how the numbers came about."""
    if not study.settings and not study.facts:
        return None
    html, markdown = "", ""
    if study.facts:
        facts = Table(
            [Column("fact"), Column("value")], [Line(list(fact)) for fact in study.facts.items()]
        )
        _write(facts, folder / "facts")
        html += table.html(facts)
        markdown += table.markdown(facts)
    if study.settings:
        text = f'<pre tabindex="0">{escape(study.settings)}</pre>\n'
        html += details("Configuration (gin)", text)
        markdown += f"\n{textwrap.indent(study.settings, '    ')}\n"
    return Section(
        anchor="configuration",
        heading="Configuration and provenance",
        words="What ran, and how the numbers came about.",
        html=html,
        markdown=markdown,
    )


SECTIONS = (transfer, similarity, against_transfer, retrieval, correlation, curves, configuration)
"""All sections, in the order of the page; each gives None where the study has nothing for it."""


def _of_tables(
    folder: Path, tables: dict[str, Table], *, anchor: str, heading: str, words: str
) -> Section:
    for name, content in tables.items():
        _write(content, folder / name)
    return Section(
        anchor=anchor,
        heading=heading,
        words=words,
        html="".join(map(table.html, tables.values())),
        markdown="\n".join(map(table.markdown, tables.values())),
    )


def _write(content: Table, stem: Path) -> None:
    write_text(stem.with_name(f"{stem.name}.csv"), table.comma_separated(content))
    write_text(stem.with_name(f"{stem.name}.md"), table.markdown(content))


def _clipped(matrix: heat_map.HeatMap) -> str:
    beyond = matrix.scale.beyond(matrix.values)
    ends = f"{matrix.scale.low:.0f} and {matrix.scale.high:.0f} %"
    return f" Colors end at {ends}; {beyond} cells lie beyond." if beyond else ""


def _picture(stem: str, label: str) -> str:
    return f"![{label}]({stem}.png)\n\n"


def _seeds(study: Study) -> str:
    count = len(study.transfer.seeds)
    return f"{count} target seed" if count == 1 else f"{count} target seeds"
