"""Parameterizations written outside the package train, are kept, resume and are scored."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.data.cached_task import CachedMixture
from prompt_tuning.models.family import prompted
from prompt_tuning.models.prompted import Batch, cross_entropy
from prompt_tuning.parameterizations.parameterization import Parameterization
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.prompts import files
from prompt_tuning.prompts.bank import Bank, PromptBank
from prompt_tuning.prompts.initializers import FromRow
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training import loop, partitioning
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.step import RowState, init_state
from prompt_tuning.types import Array
from tests.training import toy
from tests.training.interruption import kill
from tests.training.steps import settings, stack, take_step

MODEL = prompted(toy.T5_CONFIG, prefix)
STEP = dataclasses.replace(
    toy.config().step,
    optimizer=dataclasses.replace(toy.config().step.optimizer, weight_decay=0.0),
)


@dataclasses.dataclass(frozen=True)
class Product(Parameterization):
    """Trains two small matrices, whose product is the prompt."""

    length: int
    rank: int
    right_rate: float = 1.0

    def init(self, key: Array, first: Array, given: Any) -> dict[str, Array]:
        left = jax.random.normal(key, (self.length, self.rank))
        return {"left": left, "right": left.T @ first / self.length}

    def bank(self, trainable: dict[str, Array], given: Any) -> PromptBank:
        return PromptBank((trainable["left"] @ trainable["right"])[None])

    def rates(self, trainable: dict[str, Array]) -> dict[str, float]:
        return {"left": 1.0, "right": self.right_rate}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SourceBank:
    """Prompts that weigh source prompts `[N, S, P, H]` by the input's first token."""

    sources: Array
    query: Array

    @property
    def length(self) -> int:
        return self.sources.shape[2]

    def select(self, prompt_id: Array, embedded: Array, tokens: Array) -> Array:
        scores = embedded[:, 0] @ self.query[0]
        numbers = jnp.arange(1.0 * self.sources.shape[1])
        weights = jax.nn.softmax(scores[:, None] * numbers[None])
        return jnp.einsum("bs,bsph->bph", weights, self.sources[prompt_id])


@dataclasses.dataclass(frozen=True)
class Attention(Parameterization):
    """Trains a query of constant source prompts; the prompt depends on the input."""

    length: int

    def given(self, context: Any) -> Array:
        sources = context.embeddings[: 2 * self.length].reshape(2, self.length, -1)
        return jnp.asarray(sources, jnp.float32)

    def init(self, key: Array, first: Array, given: Array) -> Array:
        return jnp.full(first.shape[1], 0.1)

    def bank(self, trainable: Array, given: Array) -> Bank:
        return SourceBank(given[None], trainable[None])

    def prompt(self, trainable: Array, given: Array) -> Array:
        return given.mean(axis=0)


@dataclasses.dataclass(frozen=True)
class PerTask(Parameterization):
    """Trains a prompt for each of the two tasks of a mixture."""

    length: int

    def init(self, key: Array, first: Array, given: Any) -> Array:
        return jnp.stack([first, first])

    def bank(self, trainable: Array, given: Any) -> PromptBank:
        return PromptBank(trainable)

    def prompt(self, trainable: Array, given: Any) -> Array:
        return trainable.mean(axis=0)


@pytest.fixture(autouse=True)
def _one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains on one device: programs are compiled once for each."""
    layouts = partitioning.layouts()[:1]
    monkeypatch.setattr(partitioning, "layouts", lambda: layouts)


def _settings(parameterization: Parameterization, **changes: Any) -> TuneConfig:
    return toy.config(parameterization=parameterization, slots=2, **changes)


ROWS = [
    toy.row("first"),
    toy.row("second", seed=1, schedule=dataclasses.replace(toy.SCHEDULE, steps=9)),
    toy.row("from_first", seed=2, start=FromRow("first"), method="spot", source="counting"),
]


def _kept(folder: Path, row: str, name: str) -> np.ndarray:
    return files.load(folder / "run" / "prompts" / row / f"{name}.safetensors").array


@pytest.mark.parametrize("parameterization", [Product(3, 2), Attention(3)], ids=["product", "att"])
def test_it_trains_and_resumes_to_the_last_bit(tmp_path: Path, parameterization: Parameterization):
    whole = toy.train(ROWS, tmp_path / "whole", _settings(parameterization))
    killed = tmp_path / "killed"
    kill(lambda: toy.train(ROWS, killed, _settings(parameterization)), turns=8)
    resumed = toy.train(ROWS, killed, _settings(parameterization))
    for one, other in zip(whole, resumed, strict=True):
        assert one.curve == other.curve and one.score == other.score
        name = one.row["name"]
        for file in ("best", "last"):
            np.testing.assert_array_equal(
                _kept(tmp_path / "whole", name, file), _kept(killed, name, file)
            )


def test_the_kept_prompt_is_the_product_and_scores_as_the_row_did(tmp_path: Path):
    results = toy.train(ROWS, tmp_path, _settings(Product(3, 2)))
    best = _kept(tmp_path, "first", "best")
    assert np.linalg.matrix_rank(best, tol=1e-4) == 2
    start = ROWS[1]
    transferred = dataclasses.replace(start, name="as_prompt", start=FromRow("first"))
    again = toy.train([ROWS[0], transferred], tmp_path, _settings(Product(3, 2)))[1]
    assert again.curve[0][1] == results[0].validation


def test_the_loss_falls(tmp_path: Path):
    schedule = dataclasses.replace(toy.SCHEDULE, steps=60, eval_period=60)
    toy.train([toy.row("a", schedule=schedule)], tmp_path, _settings(Product(3, 2)))
    losses = toy.losses(tmp_path, "a")
    assert np.mean(losses[-10:]) < losses[0] - 0.02


def test_another_parameterization_in_the_same_directory_is_refused(tmp_path: Path):
    toy.train(ROWS[:1], tmp_path, _settings(Product(3, 2)))
    for other in (Product(3, 1), PromptTable(3)):
        with pytest.raises(Exception, match="give another MODEL_DIR"):
            toy.train(ROWS[:1], tmp_path, _settings(other))


def _batch(part: int = 0) -> HostBatch:
    rng = np.random.default_rng(part)
    tokens, targets = (rng.integers(2, 32, (4, size), np.int32) for size in (8, 2))
    return HostBatch(tokens, targets, np.full(4, part, np.int32))


def _step(parameterization: Parameterization, trainable: Any, batch: HostBatch, given: Any = ()):
    state = stack([init_state(trainable, STEP.optimizer)])
    of_row = settings([0.3], [0])._replace(given=jax.tree.map(lambda x: x[None], given))
    after, metrics = take_step(
        *(MODEL, STEP, toy.params(), state, {0: batch}, of_row),
        size=2,
        parameterization=parameterization,
    )
    return state, after, metrics


def test_the_gradient_pulled_back_is_that_of_the_whole_loss():
    parameterization, batch = Product(3, 2), _batch()
    first = jax.random.normal(jax.random.key(0), (3, 16))
    trainable = parameterization.init(jax.random.key(1), first, ())

    def loss(trainable: dict[str, Array]) -> Array:
        of_bank = Batch(batch.encoder_tokens, batch.targets, batch.part)  # pyright: ignore
        logits = MODEL.logits(toy.params(), parameterization.bank(trainable, ()), of_bank, None)
        return cross_entropy(logits, of_bank.targets, STEP.z_loss).sum()

    value, gradient = jax.value_and_grad(loss)(trainable)
    norm = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(gradient)))
    before, after, metrics = _step(parameterization, trainable, batch)
    np.testing.assert_allclose(metrics.loss[0], value, rtol=1e-5)
    np.testing.assert_allclose(metrics.gradient_norm[0], norm, rtol=1e-4)
    # From step 0 the update is the learning rate times the sign of the gradient.
    for name in ("left", "right"):
        moved = after.trainable[name][0] - before.trainable[name][0]
        np.testing.assert_allclose(moved, -0.3 * np.sign(gradient[name]), rtol=1e-3)


def test_rates_are_factors_of_the_learning_rate_by_leaf():
    first = jax.random.normal(jax.random.key(0), (3, 16))
    moved = {}
    for rate in (1.0, 0.5, 0.0):
        parameterization = Product(3, 2, rate)
        trainable = parameterization.init(jax.random.key(1), first, ())
        before, after, _ = _step(parameterization, trainable, _batch())
        moved[rate] = jax.tree.map(
            lambda a, b: np.asarray(a - b), after.trainable, before.trainable
        )
    assert not moved[0.0]["right"].any()
    np.testing.assert_allclose(moved[0.5]["right"], 0.5 * moved[1.0]["right"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(moved[0.5]["left"], moved[1.0]["left"])


@pytest.mark.parametrize("part", [0, 1])
def test_an_example_of_a_mixture_moves_the_prompt_of_its_task_alone(part: int):
    first = jax.random.normal(jax.random.key(0), (3, 16))
    trainable = PerTask(3).init(jax.random.key(1), first, ())
    before, after, _ = _step(PerTask(3), trainable, _batch(part))
    moved = np.asarray(after.trainable != before.trainable)[0]
    assert moved[part].any() and not moved[1 - part].any()


def test_a_mixture_is_scored_with_the_prompt_of_each_task(tmp_path: Path):
    parts = ((toy.task(tmp_path), 1.0), (toy.task(tmp_path, "other"), 1.0))
    tasks = {"both": CachedMixture("both", "digest", parts)}
    (result,) = toy.train(
        [toy.row("mixed", task="both")], tmp_path, _settings(PerTask(3)), tasks=tasks
    )
    assert set(result.metrics) == {"counting/accuracy", "other/accuracy"}


def test_constants_are_in_no_optimizer_and_no_checkpoint(tmp_path: Path):
    settings_ = _settings(Attention(3))
    kill(lambda: toy.train(ROWS[:1], tmp_path, settings_), turns=6)
    latest = loop.Checkpoints(tmp_path / "run" / "checkpoints").latest()
    assert latest is not None
    sizes = [np.size(leaf) for leaf in jax.tree.leaves(latest.tree)]
    assert max(sizes) <= 16  # the query; the sources are 2 x 3 x 16


def test_a_row_of_a_bank_equals_the_row_alone():
    parameterization = Product(3, 2)
    first = [jax.random.normal(jax.random.key(i), (3, 16)) for i in range(3)]
    rows: list[RowState] = [
        init_state(parameterization.init(jax.random.key(10 + i), prompt, ()), STEP.optimizer)
        for i, prompt in enumerate(first)
    ]
    batches = {i: _batch(i)._replace(part=np.zeros(4, np.int32)) for i in range(3)}
    together, _ = take_step(
        *(MODEL, STEP, toy.params(), stack(rows), batches, settings([0.3] * 3, [0, 1, 2])),
        size=2,
        parameterization=parameterization,
    )
    for i, row in enumerate(rows):
        alone, _ = take_step(
            *(MODEL, STEP, toy.params(), stack([row]), {0: batches[i]}, settings([0.3], [i])),
            size=2,
            parameterization=parameterization,
        )
        for one, other in zip(
            jax.tree.leaves(together.trainable), jax.tree.leaves(alone.trainable), strict=True
        ):
            np.testing.assert_allclose(one[i], other[0], rtol=1e-5, atol=1e-6)
