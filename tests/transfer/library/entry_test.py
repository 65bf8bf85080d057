"""Prompts of two backbones are told apart, by what is known of them."""

from pathlib import Path

import pytest

from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.entry import check_alike, entry_of
from prompt_tuning.types import UserError


def entries(*prompts):
    return [entry_of(prompt, Path(), 0) for prompt in prompts]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone_digest": "cd" * 32}, r"t5_mini \(digest cdcdcdcdcdcd, width 4\): they cannot"),
        ({"width": 8}, r"t5_mini \(digest abababababab, width 8\): they cannot be compared"),
        ({"backbone": "t5_base", "backbone_digest": ""}, r"t5_base \(digest unknown, width 4\)"),
    ],
)
def test_both_prompts_are_named_with_what_differs(make, changes, message):
    others = entries(make("b", 2), make("c", 3, **changes))
    ours = r"^prompt a is of t5_mini \(digest abababababab, width 4\), but prompt c is of "
    with pytest.raises(UserError, match=ours + message):
        check_alike(make("a", 1), others)


def test_one_backbone_may_have_two_names(make):
    others = entries(make("b", 2, backbone="t5_renamed"), make("c", 3, backbone_digest=""))
    check_alike(make("a", 1), others)


def test_a_prompt_that_does_not_tell_its_backbone_is_compared_with_those_of_one(make):
    bare = files.Prompt(make("", 1).array, {})
    check_alike(bare, entries(make("b", 2), bare))
    check_alike(make("b", 2), entries(bare))
    with pytest.raises(UserError, match=r"prompt b is of .* but prompt c is of .*cdcdcdcdcdcd"):
        check_alike(bare, entries(make("b", 2), make("c", 3, backbone_digest="cd" * 32)))
