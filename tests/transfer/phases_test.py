"""The phases of a plan share one open model: its weights are read once, and steps compiled once."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from prompt_tuning.models.parameters import Index, InMemory, Parameter, in_memory
from prompt_tuning.models.weights import Backbone
from prompt_tuning.prompts.initializers import SampledVocab
from prompt_tuning.training import loop, step
from prompt_tuning.training.plan import Plan
from prompt_tuning.transfer.library.candidates import find_candidates
from prompt_tuning.transfer.library_spot import LibrarySpot, LibrarySpotPlan
from prompt_tuning.transfer.spot import MOST_SIMILAR, SpotPlan
from tests.training import toy
from tests.transfer.libraries import library, prompt

SCHEDULE = dataclasses.replace(toy.SCHEDULE, steps=4)


class CountedParameter(InMemory):
    """A parameter that counts how often it is read."""

    reads: ClassVar[Counter[str]] = Counter()

    def read_into(self, index: Index, out: np.ndarray) -> None:
        self.reads[self.place] += 1
        super().read_into(index, out)


@pytest.fixture
def backbone() -> Backbone:
    parameters: dict[str, Parameter] = {
        name: CountedParameter(np.asarray(parameter.array), name)
        for name, parameter in in_memory(toy.params()).items()
        if isinstance(parameter, InMemory)
    }
    CountedParameter.reads.clear()
    return dataclasses.replace(toy.backbone(), parameters=parameters)


def _spot(backbone: Backbone, folder: Path) -> Plan[Any]:
    del backbone, folder
    return SpotPlan(
        sources=("near", "far"),
        targets=("counting",),
        source_of=MOST_SIMILAR,
        similarity="mean_token",
        embedding_steps=2,
        source_start=SampledVocab(None),
        baselines=(SampledVocab(None),),
        source=SCHEDULE,
        target=SCHEDULE,
        source_seeds=(0,),
        target_seeds=(0,),
    )


def _library_spot(backbone: Backbone, folder: Path) -> Plan[Any]:
    digest = toy.backbone().digest
    names = {"backbone": "toy", "backbone_digest": digest}
    arrays = np.random.default_rng(0).normal(size=(2, 3, 16))
    prompts = library(
        folder / "lib", *(prompt(n, a, **names) for n, a in zip("ab", arrays, strict=True))
    )
    candidates = find_candidates(
        prompts,
        backbone="toy",
        backbone_digest=digest,
        prompt_length=3,
        hidden_size=16,
        placement="prefix",
        target_prefix="",
    )
    settings = LibrarySpotPlan(
        k=1,
        similarity="mean_token",
        embedding_start=SampledVocab(None),
        embedding=dataclasses.replace(SCHEDULE, steps=2, eval_period=2),
        baselines=(SampledVocab(None),),
        target=SCHEDULE,
        seeds=(0,),
    )
    return LibrarySpot(
        settings=settings, task="counting", candidates=candidates, tell=lambda line: None
    )


@pytest.mark.parametrize("make_plan", [_spot, _library_spot])
def test_the_phases_of_a_run_read_the_weights_once(backbone: Backbone, tmp_path: Path, make_plan):
    plan = make_plan(backbone, tmp_path)
    run = toy.run(
        tmp_path,
        backbone=backbone,
        tasks={name: toy.task(tmp_path, name) for name in plan.tasks},
        save_steps=plan.save_steps,
    )
    phases = []

    def tune(rows, mixtures=None):
        phases.append(len(rows))
        return loop.tune(rows, mixtures, run=run)

    made = step.make_step.cache_info().misses
    assert plan.run(tune, run.directory)
    assert len(phases) == 2
    assert step.make_step.cache_info().misses <= made + 1
    # The embedding table is read once more, for the digest by which prompts know their model.
    reads = dict(CountedParameter.reads)
    assert reads.pop("token_embedder/embedding") == 2
    assert set(reads.values()) == {1} and len(reads) == len(backbone.parameters) - 1
