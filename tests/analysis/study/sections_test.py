"""The report of a transfer study: whole, self-contained, and the same each time."""

import csv
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from prompt_tuning.analysis.study.scores import Study
from prompt_tuning.analysis.study.sections import write_report
from tests.analysis.made_up_studies import made_up_matrix, made_up_study

NAMES = 'a<b>&"c_$d$'
VOID = {"br", "meta", "wbr"}


class Page(HTMLParser):
    """Reads a page: its ids, what it refers to, the tags in it, and the cells of its tables."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            self.cells[-1] += data

    def values(self, name: str) -> list[str]:
        """Returns all values of an attribute."""
        return [value for each, value in self.attributes if each == name]


@pytest.fixture(scope="module")
def study() -> Study:
    """Returns a small study whose tasks have names that HTML, Markdown and TeX would misread."""
    return made_up_study(4, 2, 2, names=NAMES)


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory) -> Path:
    """Returns the folder of its report."""
    folder = tmp_path_factory.mktemp("report")
    write_report(study, folder)
    return folder


@pytest.fixture(scope="module")
def page(folder) -> Page:
    """Returns its page."""
    return Page((folder / "index.html").read_text())


def test_the_page_is_balanced_and_every_reference_leads_to_one_place(page):
    assert page.open == []
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    references = [value[1:] for value in page.values("href")]
    for name in ("style", "clip-path"):
        references += [
            to for value in page.values(name) for to in re.findall(r"url\(#(.+?)\)", value)
        ]
    assert len(references) > 20
    assert set(references) | set(page.values("aria-labelledby")) <= set(ids)


def test_the_page_has_no_script_and_asks_for_no_file(folder, page):
    assert not page.tags.keys() & {"script", "link", "img", "iframe", "object", "embed", "image"}
    assert all(value.startswith("#") for value in page.values("href"))
    assert not page.values("src")
    text = (folder / "index.html").read_text()
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_names_are_escaped_and_read_as_they_are(folder, study, page):
    assert NAMES not in (folder / "index.html").read_text()
    for name in study.tasks:
        assert name in page.cells


def test_every_number_of_the_matrix_is_on_the_page_and_whole_in_csv(folder, study, page):
    gains = study.transfer.by_source(study.gains).mean(axis=(1, 3))
    with (folder / "transfer.csv").open() as file:
        lines = {line["source"]: line for line in csv.DictReader(file)}
    for s, source in enumerate(study.transfer.sources):
        for t, target in enumerate(study.transfer.targets):
            assert f"{gains[t, s]:z.1f}" in page.cells
            assert float(lines[source][target]) == pytest.approx(gains[t, s])
    similarities = study.task_similarities["mean_token"]
    assert {f"{value:z.2f}" for value in similarities[np.triu_indices(6, 1)]} <= set(page.cells)


def test_the_same_study_gives_the_same_bytes(folder, study, tmp_path):
    write_report(study, tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert files == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_parts_stand_beside_the_page_as_pictures_and_tables(folder):
    pictures = [
        "transfer",
        "scatter_mean_token",
        "similarity_per_token",
        "learning_curves",
        "retrieval",
    ]
    tables = ["transfer", "similarity_per_token", "retrieval", "correlation", "top_minus_random"]
    expected = [f"{name}.{suffix}" for name in pictures for suffix in ("png", "svg")]
    expected += [f"{name}.{suffix}" for name in tables for suffix in ("csv", "md")]
    assert {*expected, "index.html", "index.md"} <= {path.name for path in folder.iterdir()}
    shown = re.findall(r"^!\[.*\]\((.+)\)$", (folder / "index.md").read_text(), re.MULTILINE)
    assert len(shown) == 9
    assert all((folder / name).is_file() for name in shown)


def test_what_a_study_lacks_is_left_out(tmp_path):
    write_report(made_up_matrix(4), tmp_path)
    page = Page((tmp_path / "index.html").read_text())
    assert page.tags["section"] == 5
    assert {"curves", "configuration"}.isdisjoint(page.values("id"))
    assert not (tmp_path / "learning_curves.png").exists()
