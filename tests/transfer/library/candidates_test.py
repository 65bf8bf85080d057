"""Which prompts of a library a run may start from, and what is said of the others."""

from pathlib import Path

import numpy as np
import pytest

from prompt_tuning.prompts.files import Prompt
from prompt_tuning.transfer.library.candidates import Candidates, find_candidates
from prompt_tuning.types import UserError
from tests.transfer.libraries import BACKBONE, library, prompt

ONES = np.ones((3, 16))


def _find(folder: Path, *prompts: Prompt) -> Candidates:
    found = library(folder, *prompts)
    return find_candidates(
        found,
        **BACKBONE,
        prompt_length=3,
        hidden_size=16,
        placement="prefix",
        target_prefix="",
    )


def test_prompts_of_another_backbone_length_or_width_are_left_out(tmp_path: Path):
    found = _find(
        tmp_path,
        prompt("fits", ONES),
        prompt("digest", ONES, backbone_digest="e" * 64),
        prompt("name", ONES, backbone="t5_xl"),
        prompt("large", ONES, backbone="t5_xl", backbone_digest="e" * 64),
        prompt("wide", np.ones((3, 17))),
        prompt("long", np.ones((4, 16))),
        Prompt(ONES.astype(np.float32), {"name": "imported"}),
    )
    assert [entry.label for entry in found.entries] == ["fits"]
    assert found.left_out == (
        "6 of 7 prompts are left out: 2 of another backbone (t5_xl), 1 of another backbone (toy "
        "with other weights), "
        "1 of no known backbone, 1 of another length (4 tokens, not 3), "
        "1 of another width (17, not 16)."
    )


def test_prompts_tuned_otherwise_are_left_out_where_their_files_say_so(tmp_path: Path):
    found = _find(
        tmp_path,
        prompt("fits", ONES, placement="prefix", target_prefix=""),
        prompt("unknown", 2 * ONES),
        prompt("behind", ONES, placement="suffix_after_eos"),
        prompt("sentinel", ONES, target_prefix="<extra_id_0>"),
    )
    assert [entry.label for entry in found.entries] == ["fits", "unknown"]
    assert found.left_out is not None
    assert "1 of another placement (suffix_after_eos, not prefix)" in found.left_out
    assert "1 of another target prefix ('<extra_id_0>', not '')" in found.left_out


def test_nothing_is_said_where_all_fit_and_are_embedded_alike(tmp_path: Path):
    found = _find(
        tmp_path, prompt("a", ONES).embedded(ONES, 4), prompt("b", ONES).embedded(ONES, 4)
    )
    assert found.left_out is None
    assert found.describe(4) == [f"Library {tmp_path}: 2 prompts to choose from."]


def test_keys_of_another_kind_are_left_out_or_told_of(tmp_path: Path):
    found = _find(
        tmp_path,
        prompt("a", ONES),
        prompt("b", ONES).embedded(ONES, 4),
        prompt("c", ONES).embedded(ONES, 8),
        prompt("d", ONES).embedded(ONES, 9),
    )
    assert [entry.label for entry in found.entries] == ["b", "c", "d"]
    assert found.left_out == "1 of 4 prompts are left out: 1 without a task embedding."
    (line,) = found.describe(4)[1:]
    assert "2 of them are embedded after 8, 9 steps, the new task after 4 (EMBEDDING_STEPS)" in line


def test_prompts_are_found_by_themselves_where_none_is_embedded(tmp_path: Path):
    found = _find(tmp_path, prompt("a", ONES), prompt("b", ONES))
    assert len(found.entries) == 2
    (line,) = found.describe(4)[1:]
    assert "None of them has a task embedding" in line


def test_a_library_without_a_prompt_that_fits_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"is empty; add prompts with prompt-tuning library add"):
        _find(tmp_path / "empty")
    with pytest.raises(UserError, match=r"no prompt of toy with 3 tokens .* \(1 of another width"):
        _find(tmp_path / "wide", prompt("wide", np.ones((3, 17))))
