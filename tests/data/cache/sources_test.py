"""Sources: the files of a user's modules, and noticing that one changed."""

import sys

import pytest

from prompt_tuning.data.cache import sources


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Returns the folder of a package `zoo` with a.py and b.py."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('must not be imported')\n")
    (folder / "a.py").write_text("from zoo import b\n")
    (folder / "b.py").write_text("name = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_modules_are_read_without_importing(package):
    digests = sources.digests(["zoo.b", "zoo", "zoo.nowhere"], packages=())
    assert list(digests) == ["zoo", "zoo.b"]
    assert all(len(digest) == 64 for digest in digests.values())
    assert "zoo" not in sys.modules


def test_installed_packages_count_only_if_named():
    assert sources.digests(["numpy.version", "json"], packages=()) == {}
    assert list(sources.digests(["numpy.version"], packages=["numpy"])) == ["numpy.version"]


def test_this_package_has_versions_instead():
    assert sources.digests(["prompt_tuning.data.metrics"], packages=["prompt_tuning"]) == {}


def test_a_changed_or_missing_file_is_noticed(package):
    digests = sources.digests(["zoo.a", "zoo.b"], packages=())
    assert sources.changed(digests) == []
    (package / "b.py").write_text("name = 2\n")
    assert sources.changed(digests) == ["zoo.b"]
    (package / "a.py").unlink()
    assert sources.changed(digests) == ["zoo.a", "zoo.b"]
