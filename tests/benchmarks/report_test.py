"""Reports print what they hold, and write it whole."""

import io
import json

import pytest
from rich.console import Console

from benchmarks.report import Machine, Report, machine
from prompt_tuning.types import UserError

MACHINE = Machine("Abacus 9000", 2, None, "2026-01-31", {"Python": "3.11.7", "jax": "0.10.2"})
REPORT = Report(
    "vs_none",
    MACHINE,
    {"model": "small", "batch": 16},
    [
        {"measure": "step (s)", "ours": 1.23456, "theirs": 1234.5, "n": 12345},
        {"measure": "start (s)", "ours": 0.01, "theirs": None, "n": 1},
    ],
    "a note",
)


def test_the_table_shows_numbers_to_three_digits():
    console = Console(width=100, record=True, file=io.StringIO())
    REPORT.show(console)
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["vs_none:", "model", "small,", "batch", "16"] in lines
    assert ["step", "(s)", "1.23", "1,234", "12,345"] in lines
    assert ["start", "(s)", "0.0100", "-", "1"] in lines
    assert lines[-1] == "Abacus 9000, 2 cores; 2026-01-31; Python 3.11.7, jax 0.10.2".split()


def test_json_has_the_numbers_whole(tmp_path):
    REPORT.write(tmp_path / "report.json")
    read = json.loads((tmp_path / "report.json").read_text())
    assert read["lines"][0]["ours"] == 1.23456
    assert read["machine"]["processor"] == "Abacus 9000"
    with pytest.raises(UserError, match=r"cannot write .*; set --output"):
        REPORT.write(tmp_path)


def test_a_card_stands_in_the_place_of_the_cpu():
    assert str(machine("H9000", {"torch": "9.0"})).startswith("H9000; 20")
    found = machine()
    assert found.cores >= 1 and found.processor and "jax" in found.versions
    assert f"{found.processor}, {found.cores} cores; " in str(found)
