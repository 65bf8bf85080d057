"""The report in a real browser: nothing on the console, nothing wider than the screen."""

import pytest

from prompt_tuning.analysis.study.sections import write_report
from tests.analysis.made_up_studies import made_up_study
from tests.analysis.study.browser import CHROMIUM, Browser

GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 20, 24)"}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Returns the report of a study with more columns than a phone has room for."""
    folder = tmp_path_factory.mktemp("report")
    write_report(made_up_study(6, 5, 1, names="a_task_with_a_long_name"), folder)
    return folder / "index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Starts the browser once."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium, which is not on PATH")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.mark.parametrize("scheme", GROUNDS)
@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_a_page_fits_the_screen_without_a_complaint(browser, page, width, scheme):
    browser.open(page, width=width, scheme=scheme)
    assert browser.complaints == []
    assert browser.value("innerWidth") == width
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    assert browser.value("getComputedStyle(document.body).backgroundColor") == GROUNDS[scheme]
    # The axes of the plots are drawn in the color of the text.
    assert browser.value(
        "getComputedStyle(document.querySelector('.panels text')).fill"
    ) == browser.value("getComputedStyle(document.body).color")


def test_a_wide_table_scrolls_in_its_own_box_with_its_names_in_sight(browser, page):
    browser.open(page, width=360, scheme="light")
    box = "document.querySelector('#transfer .scroll')"
    assert browser.value(f"{box}.scrollWidth > {box}.clientWidth")
    browser.value(f"{box}.scrollTo(200, 100)")
    first = f"{box}.querySelector('tbody tr:last-child th').getBoundingClientRect().left"
    assert browser.value(f"Math.abs({first} - {box}.getBoundingClientRect().left) < 4")
    head = f"{box}.querySelector('thead th').getBoundingClientRect().top"
    assert browser.value(f"Math.abs({head} - {box}.getBoundingClientRect().top) < 4")


def test_plots_stack_on_a_phone_and_stand_side_by_side_on_a_laptop(browser, page):
    plots = "[...document.querySelectorAll('#curves svg')]"
    tops = f"new Set({plots}.map(plot => plot.getBoundingClientRect().top)).size"
    count = f"{plots}.length"
    browser.open(page, width=360, scheme="light")
    assert browser.value(tops) == browser.value(count) == 5
    browser.open(page, width=1280, scheme="light")
    assert browser.value(tops) < 5


def test_text_on_every_cell_of_a_heat_map_can_be_read(browser, page):
    pairs = (
        "[...document.querySelectorAll('.heat tbody td')].map(e => "
        "getComputedStyle(e).backgroundColor + '/' + getComputedStyle(e).color)"
    )
    for scheme in GROUNDS:
        browser.open(page, width=1280, scheme=scheme)
        found = set(browser.value(pairs))
        assert len(found) > 10
        for pair in found:
            ground, text = map(_luminance, pair.split("/"))
            assert (max(ground, text) + 0.05) / (min(ground, text) + 0.05) >= 4.5


def _luminance(color: str) -> float:
    parts = [int(part) / 255 for part in color.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
