"""What the documents name exists: their commands, with every setting they need, and their links."""

import re
from pathlib import Path

import pytest

from tests.documented import check_complete

DOCS = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
_COMMAND = re.compile(r"^    prompt-tuning (?:.*\\\n)*.*$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)")


def found(pattern: re.Pattern[str]) -> list[tuple[Path, str]]:
    """Returns what a pattern finds in the documents, each with its document."""
    return [(file, text) for file in DOCS for text in pattern.findall(file.read_text("utf-8"))]


def names(items: list[tuple[Path, str]]) -> list[str]:
    return [f"{file.name}-{i}" for i, (file, _) in enumerate(items)]


@pytest.mark.parametrize("item", found(_COMMAND), ids=names(found(_COMMAND)))
def test_a_command_is_complete(item: tuple[Path, str]):
    check_complete(item[1])


@pytest.mark.parametrize("item", found(_LINK), ids=names(found(_LINK)))
def test_a_link_leads_somewhere(item: tuple[Path, str]):
    file, target = item
    assert (file.parent / target).exists()


def test_there_are_commands_to_test():
    assert len(found(_COMMAND)) > 5
