"""The sections of a transfer study's report, each with its pictures and tables in files."""

import dataclasses
import textwrap
from html import escape
from pathlib import Path

import numpy as np

from prompt_tuning.analysis import (
    dendrogram,
    heat_map,
    learning_curves,
    retrieval_curve,
    scatter,
    table,
)
from prompt_tuning.analysis.correlation import CANDIDATES, SOURCES
from prompt_tuning.analysis.correlation_table import correlation_table
from prompt_tuning.analysis.page import Section, details, panels
from prompt_tuning.analysis.ranking_table import ranking_table
from prompt_tuning.analysis.retrieval_table import retrieval_table, top_minus_random_table
from prompt_tuning.analysis.scatter import similarity_name
from prompt_tuning.analysis.study import ERROR_REDUCTION, Study
from prompt_tuning.analysis.study_maps import similarity_map, transfer_map
from prompt_tuning.analysis.table import Column, Line, Table
from prompt_tuning.analysis.transfer_table import transfer_table
from prompt_tuning.storage import write_text


def transfer(study: Study, folder: Path) -> Section | None:
    """Returns the matrix of what each source gives each target."""
    if not np.isfinite(study.gains).any():
        return None
    shown, scores = transfer_map(study), transfer_table(study)
    heat_map.draw(shown, folder / "transfer")
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
        f"{_clipped(shown)}",
        html=heat_map.html(shown) + details("Means and standard deviations", table.html(scores)),
        markdown=_picture("transfer", shown.title) + table.markdown(scores),
    )


def similarity(study: Study, folder: Path) -> Section | None:
    """Returns the similarities of all tasks, clustered."""
    if len(study.tasks) < 2 or not study.task_similarities:
        return None
    html, markdown = "", ""
    for name in study.task_similarities:
        heading = similarity_name(name).capitalize()
        shown = similarity_map(study, name, f"Similarity of tasks: {similarity_name(name)}")
        stem = f"similarity_{name}"
        heat_map.draw(shown, folder / stem)
        values = heat_map.as_table(shown)
        _write(values, folder / stem)
        tree = dendrogram.task_dendrogram(study, name)
        dendrogram.draw(tree, folder / f"clustering_{name}")
        panel = dendrogram.inline(tree, f"clustering_{name}")
        html += f"<h3>{escape(heading)}</h3>\n{heat_map.html(shown)}{panels([panel], wide=True)}"
        markdown += f"### {heading}\n\n{_picture(stem, shown.title)}{table.markdown(values)}\n"
        markdown += _picture(f"clustering_{name}", f"{panel.name}: {similarity_name(name)}")
    return Section(
        anchor="similarity",
        heading="Similarity of tasks",
        words=f"How alike the embeddings of {len(study.tasks)} tasks are, mean over pairs of seeds."
        " Tasks are in the order of hierarchical clustering (average linkage), so that tasks that "
        "are alike stand side by side. The colours span the pairs of different tasks.",
        html=html,
        markdown=markdown,
    )


def against_transfer(study: Study, folder: Path) -> Section | None:
    """Returns scatter plots of similarity against gain."""
    html, markdown, points = "", "", []
    for name in study.similarities:
        plots = scatter.scatters(study, name)
        if not plots:
            continue
        stem = f"scatter_{name}"
        scatter.draw(plots, folder / stem)
        drawn = panels(scatter.inline(plots, stem))
        html += f"<h3>{escape(similarity_name(name).capitalize())}</h3>\n{drawn}"
        markdown += _picture(stem, f"{study.measure} against {similarity_name(name)}")
        points += [
            Line([plot.target, name, float(alike), float(gain), bool(same)])
            for plot in plots
            for alike, gain, _, same in zip(*plot.points, strict=True)
        ]
    if not points:
        return None
    names = ("target", "similarity", "value", study.measure, "same task")
    every = Table([Column(name) for name in names], points)
    write_text(folder / "scatter.csv", table.comma_separated(every))
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
        words="What the source prompts give that are found by the similarity of their task "
        "embedding to the target's, beside as many at random and the best of all (the oracle). "
        f"Test scores, {_seeds(study)}.",
    )
    curve = retrieval_curve.retrieval_curve(study)
    if curve is None:
        return section
    retrieval_curve.draw(curve, folder / "retrieval")
    panel = retrieval_curve.inline(curve, "retrieval")
    return dataclasses.replace(
        section,
        html=panels([panel], wide=True) + section.html,
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
    found = learning_curves.target_curves(study)
    if not found:
        return None
    learning_curves.draw(found, folder / "learning_curves")
    points = learning_curves.as_table(found)
    write_text(folder / "learning_curves.csv", table.comma_separated(points))
    return Section(
        anchor="curves",
        heading="Learning curves",
        words="Validation score by training step, mean over seeds: tuned without transfer (dashed),"
        " from the source that is best on validation (thick), and from every other source (thin)."
        " The axis spans the scores after step 0.",
        html=learning_curves.KEY + panels(learning_curves.inline(found, "curves")),
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
    for name, each in tables.items():
        _write(each, folder / name)
    return Section(
        anchor=anchor,
        heading=heading,
        words=words,
        html="".join(map(table.html, tables.values())),
        markdown="\n".join(map(table.markdown, tables.values())),
    )


def _write(values: Table, stem: Path) -> None:
    write_text(stem.with_name(f"{stem.name}.csv"), table.comma_separated(values))
    write_text(stem.with_name(f"{stem.name}.md"), table.markdown(values))


def _clipped(shown: heat_map.HeatMap) -> str:
    beyond = shown.scale.beyond(shown.values)
    ends = f"{shown.scale.low:.0f} and {shown.scale.high:.0f} %"
    return f" Colours end at {ends}; {beyond} cells lie beyond." if beyond else ""


def _picture(stem: str, label: str) -> str:
    return f"![{label}]({stem}.png)\n\n"


def _seeds(study: Study) -> str:
    count = len(study.transfer.seeds)
    return f"{count} target seed" if count == 1 else f"{count} target seeds"
