"""What the README names exists: its commands, with every setting they need, and its files."""

import re
from pathlib import Path

import pytest

from tests.documented import check_complete

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    line.replace("\\\n", " ").strip()
    for line in re.findall(r"^    (?:\S*prompt-tuning|scripts)(?:.*\\\n)*.*$", README, re.MULTILINE)
]


@pytest.mark.parametrize("line", [line for line in LINES if "prompt-tuning" in line])
def test_a_command_of_the_readme_is_complete(line: str):
    assert check_complete(line) == ".venv/bin/prompt-tuning"


def test_the_readme_has_the_commands_it_is_tested_for():
    assert len([line for line in LINES if "prompt-tuning" in line]) == 5
    assert {line for line in LINES if line.startswith("scripts")} == {
        "scripts/demo",
        "scripts/test",
    }


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_a_link_of_the_readme_leads_somewhere(target: str):
    assert (ROOT / target).exists()
