"""Where prompts come from: chains through a library, and how they end."""

import pytest

from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.library.provenance import provenance


@pytest.fixture
def chain(tmp_path):
    """Returns a function that puts prompts in a library, and follows the first one."""

    def follow(*prompts):
        library = Library.create(tmp_path)
        first, *_ = library.add(prompts)
        found = provenance(first, library.entries())
        return [entry.label for entry in found.sources], found.start, found.end

    return follow


def digest(prompt):
    return files.digest(prompt.array)


def test_a_prompt_is_followed_to_its_beginning(chain, make):
    first = make("first", 1, init="sampled_vocab")
    second = make("second", 2, init=digest(first))
    third = make("third", 3, init=digest(second))
    others = [make("other", 4), make("another", 5, init=digest(first))]
    expected = (["second", "first"], "sampled_vocab", "initializer")
    assert chain(third, second, first, *others) == expected


def test_a_prompt_without_sources_is_its_own_beginning(chain, make):
    assert chain(make("a", 1)) == ([], "class_labels", "initializer")
    assert chain(files.Prompt(make("b", 2).array, {})) == ([], "", "initializer")


def test_a_chain_tells_where_it_leaves_the_library(chain, make):
    gone = make("gone", 1)
    second = make("second", 2, init=digest(gone))
    third = make("third", 3, init=digest(second))
    assert chain(third, second) == (["second"], digest(gone), "absent")


def test_a_circle_ends(chain, make):
    a, b, c = (make(name, seed) for seed, name in enumerate("abc"))
    prompts = [make("a", 0, init=digest(b)), make("b", 1, init=digest(c))]
    prompts.append(make("c", 2, init=digest(a)))
    assert chain(*prompts) == (["b", "c"], digest(a), "circle")


def test_a_prompt_that_its_tuning_left_as_it_was_comes_from_its_source(chain, make):
    source = make("source", 1)
    tuned = [make(name, 1, init=digest(source), step=0) for name in ("a", "b")]
    assert chain(tuned[0], tuned[1], source) == (["source"], "class_labels", "initializer")


def test_without_its_source_such_a_prompt_comes_from_outside(chain, make):
    same = digest(make("", 1))
    assert chain(make("x", 1, init=same)) == ([], same, "absent")
