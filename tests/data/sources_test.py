"""Sources: which files a task depends on, and noticing that one changed."""

import sys

import pytest

from prompt_tuning.data import sources


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Returns the folder of a package `zoo` with a.py -> b.py -> c.py, and other.py."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('must not be imported')\n")
    (folder / "a.py").write_text("import json\nimport numpy\nfrom zoo.b import name\n")
    (folder / "b.py").write_text("def later():\n    from . import c\n\n\nname = 1\n")
    (folder / "c.py").write_text("value = 1\n")
    (folder / "other.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_imports_are_followed_without_importing(package):
    found = sources.digests(["zoo.a"], packages=())
    assert list(found) == ["zoo", "zoo.a", "zoo.b", "zoo.c"]
    assert all(len(digest) == 64 for digest in found.values())
    assert "zoo" not in sys.modules


def test_installed_packages_are_followed_only_if_named(package):
    assert sources.digests(["numpy.version"], packages=()) == {}
    assert "numpy.version" in sources.digests(["numpy.version"], packages=["numpy"])


def test_a_changed_or_missing_file_is_noticed(package):
    found = sources.digests(["zoo.a"], packages=())
    assert sources.changed(found) == []
    (package / "c.py").write_text("value = 2\n")
    assert sources.changed(found) == ["zoo.c"]
    (package / "b.py").unlink()
    assert sources.changed(found) == ["zoo.b", "zoo.c"]
