"""Settings recorded in prompt files, on which all prompts of a command must agree."""

import numpy as np
import pytest

from prompt_tuning.prompts.files import Prompt, lengths_text
from prompt_tuning.prompts.usage import agreed_setting, check_labels, remarks, task_data_changed
from prompt_tuning.types import UserError


def prompt(**metadata: str) -> Prompt:
    return Prompt(np.ones((1, 1), np.float32), metadata)


FRONT, BEHIND, UNKNOWN = prompt(placement="prefix"), prompt(placement="suffix_after_eos"), prompt()


def placement(*prompts: Prompt, chosen: str | None = None) -> str:
    paths = [f"{number}.safetensors" for number in range(len(prompts))]
    return agreed_setting(paths, prompts, "placement", chosen=chosen, default="prefix")


def test_the_placement_comes_from_the_files():
    assert placement(BEHIND, BEHIND) == "suffix_after_eos"
    assert placement(UNKNOWN, FRONT) == "prefix"


def test_a_chosen_value_applies_to_prompts_without_one_and_must_equal_the_others():
    assert placement(UNKNOWN, chosen="suffix_after_eos") == "suffix_after_eos"
    assert placement(BEHIND, UNKNOWN, chosen="suffix_after_eos") == "suffix_after_eos"
    with pytest.raises(UserError) as error:
        placement(UNKNOWN, BEHIND, chosen="prefix")
    for word in ("1.safetensors", "placement", "'suffix_after_eos'", "'prefix'"):
        assert word in str(error.value)


@pytest.mark.parametrize("first", [FRONT, UNKNOWN])
def test_prompts_that_differ_are_both_named(first: Prompt):
    with pytest.raises(UserError) as error:
        placement(first, BEHIND)
    for word in ("0.safetensors", "1.safetensors", "'suffix_after_eos'", "'prefix'"):
        assert word in str(error.value)


def test_an_empty_target_prefix_is_a_value():
    plain, odd = prompt(target_prefix=""), prompt(target_prefix="<extra_id_0>")
    key = "target_prefix"
    assert agreed_setting(["a"], [odd], key, chosen=None, default="") == "<extra_id_0>"
    with pytest.raises(UserError, match=r"target prefix '<extra_id_0>', but '' is set"):
        agreed_setting(["a"], [odd], key, chosen="", default="")
    with pytest.raises(UserError, match=r"a has '', and b has '<extra_id_0>'"):
        agreed_setting(["a", "b"], [plain, odd], key, chosen=None, default="")


def test_a_task_whose_labels_have_changed_is_refused():
    tuned = prompt(name="p", task="reviews", label_words='["bad", "good"]')
    check_labels(tuned, "reviews", ("good", "bad", "fair"))
    check_labels(tuned, "reviews", ())
    check_labels(tuned, "other", ("0", "1"))
    check_labels(prompt(task="reviews"), "reviews", ("0", "1"))
    with pytest.raises(UserError, match=r"prompt p .* reviews with bad, good, but .* has 0, 1"):
        check_labels(tuned, "reviews", ("0", "1"))


def test_changed_data_of_the_prompts_task_is_detected():
    lengths = {"inputs": 64, "targets": 8}
    tuned = {"task": "reviews", "task_digest": "ab", "feature_lengths": lengths_text(lengths)}
    assert task_data_changed(prompt(**tuned), "reviews", "cd", lengths)
    assert not task_data_changed(prompt(**tuned), "reviews", "ab", lengths)
    assert not task_data_changed(prompt(**tuned), "other", "cd", lengths)
    assert not task_data_changed(prompt(**tuned), "reviews", "cd", lengths | {"inputs": 512})
    assert not task_data_changed(prompt(task="reviews"), "reviews", "cd", lengths)


def test_each_difference_from_the_runs_is_one_line():
    half, full = prompt(compute_dtype="bfloat16"), prompt(compute_dtype="float32")
    here = {"compute_dtype": "float32", "param_dtype": "float32"}
    assert remarks("abcd", [full, half, UNKNOWN, half], here) == [
        "compute dtype: float32 here, bfloat16 when b (and 1 more) was tuned; scores may differ"
    ]
    assert remarks("a", [full], here) == []
