"""Plans of transfer studies: which rows they have, and where these start."""

from typing import Any

import pytest

from prompt_tuning.prompts.initializers import FromRow, Uniform
from prompt_tuning.training.rows import Row, check_rows
from prompt_tuning.transfer.methods import EMBEDDING
from prompt_tuning.types import UserError
from tests.transfer import studies


def test_every_target_and_seed_starts_from_every_source_prompt():
    plan = studies.plan()
    assert plan.candidates == [("near", 0), ("near", 1), ("far", 0), ("far", 1)]
    rows = plan.transfer_rows
    assert len(rows) == 2 * 3 * 4
    assert rows[2] == Row(
        name="small.from.far.seed0.seed0",
        task="small",
        start=FromRow("far.source.seed0"),
        seed=0,
        schedule=plan.target,
        method="spot",
        source="far",
    )


def test_all_tasks_are_embedded_alike_and_once():
    plan = studies.plan(targets=("small", "near"))
    rows = [row for row in plan.first_rows if row.method == EMBEDDING]
    assert [row.name for row in rows] == [
        *(f"near.embedding.seed{seed}" for seed in (0, 1)),
        *(f"far.embedding.seed{seed}" for seed in (0, 1)),
        *(f"small.embedding.seed{seed}" for seed in (0, 1, 2)),
        "near.embedding.seed2",
    ]
    assert {(row.start, row.schedule.steps) for row in rows} == {(Uniform("paper"), 2)}
    check_rows([*plan.first_rows, *plan.transfer_rows], save_steps=())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": ()}, "study needs at least one of sources"),
        ({"targets": ("small", "small")}, "study has one of its targets twice"),
        ({"best_of": (1, 5)}, r"the top 5, but there are 4 source prompts; give k in \[1, 4\]"),
        ({"mixtures": (0,)}, "the top 0"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        studies.plan(**changes)
