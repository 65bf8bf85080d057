"""Tests of seeded choices."""

import pytest

from prompt_tuning.mini.draw import Draw


def test_numbers_depend_on_the_keys_alone():
    assert [Draw(1, "a").uniform() for _ in range(3)] == [Draw(1, "a").uniform()] * 3
    assert Draw(1, "a").uniform() != Draw(1, "b").uniform()


def test_numbers_are_those_of_every_machine():
    draw = Draw(20, "mini_sst2")
    assert [draw.below(1000) for _ in range(6)] == [6, 812, 95, 505, 349, 831]


def test_some_are_different_and_other_avoids():
    draw = Draw(0)
    assert sorted(draw.some("abcd", 4)) == list("abcd")
    assert {draw.other("abc", "a", "b") for _ in range(20)} == {"c"}


def test_shuffled_keeps_the_items():
    assert sorted(Draw(3).shuffled(range(50))) == list(range(50))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_below_covers_its_range(n):
    draw = Draw("range", n)
    assert {draw.below(n) for _ in range(200)} == set(range(n))
