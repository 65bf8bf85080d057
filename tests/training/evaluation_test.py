"""Evaluation: prompts that share batches score as each does alone."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.data import references
from prompt_tuning.data.cached_task import CachedSplit, CachedTask
from prompt_tuning.models.beam import Beam
from prompt_tuning.models.decoding import Decoder, Greedy, Nucleus
from prompt_tuning.models.family import prompted
from prompt_tuning.models.prompted import Batch
from prompt_tuning.models.scoring import Rank, log_likelihood
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training import partitioning
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.types import UserError
from tests.training import toy

PROMPTS = np.random.default_rng(1).normal(size=(3, 3, 16), scale=5.0).astype(np.float32)
BANK = PromptBank(PROMPTS)
MODEL = prompted(toy.T5_CONFIG, prefix)
DECODERS = [Greedy(), Beam(2, 0.6), Nucleus(1.0, 0.95, 0), Rank()]


def _evaluator(decoder: Decoder, batch_size: int = 8) -> Evaluator:
    layouts = partitioning.layouts()[:1]  # The tests of the loop use all.
    params = toy.params()
    return Evaluator(
        MODEL,
        {layout.name: layout.put(params) for layout in layouts},
        layouts,
        toy.Digits(),  # pyright: ignore[reportArgumentType]
        decoder,
        batch_size=batch_size,
        shapes=toy.SHAPES[-1:],
    )


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[CachedTask]:
    """Two tasks, the second with other labels."""
    folder = tmp_path_factory.mktemp("tasks")
    other = dataclasses.replace(toy.task(folder, "other"), labels=("7 8", "9"))
    return [toy.task(folder), other]


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: type(decoder).__name__)
def test_mixed_batches_answer_as_each_prompt_does_alone(decoder: Decoder, tasks: list[CachedTask]):
    evaluator = _evaluator(decoder)
    items = [(0, tasks[0]), (2, tasks[1]), (1, tasks[0])]
    splits = [(prompt, task.split("test")) for prompt, task in items]
    labels = [task.labels for _, task in items]
    together = evaluator.predict(BANK, splits, labels)
    alone = [
        evaluator.predict(BANK, [split], [of_item])[0]
        for split, of_item in zip(splits, labels, strict=True)
    ]
    assert together == alone
    assert together[0] != together[2]
    if isinstance(decoder, Rank):
        assert set(together[0]) <= {"5", "6"} and set(together[1]) <= {"7 8", "9"}


def test_a_mixture_is_scored_on_each_of_its_tasks(tasks: list[CachedTask]):
    evaluator = _evaluator(Rank())
    named = [tasks[0], dataclasses.replace(tasks[0], name="again", labels=("6",))]
    mixture, one, two = evaluator.score(
        BANK, [(1, named), (1, named[:1]), (1, named[1:])], "validation"
    )
    assert mixture == {
        "counting/accuracy": one["accuracy"],
        "again/accuracy": two["accuracy"],
        "score": (one["accuracy"] + two["accuracy"]) / 2,
    }
    sixes = [text == "6" for text in tasks[0].split("validation").target_texts]
    assert two["accuracy"] == pytest.approx(100 * np.mean(sixes))


def _alone(prompt: int, split: CachedSplit, example: int) -> Batch:
    """Returns a batch of one example."""
    width, length = toy.SHAPES[-1]
    tokens = split.inputs.padded(np.array([example]), width)
    targets = split.targets.padded(np.array([example]), length)
    return Batch(*map(jnp.asarray, (tokens, targets, np.array([prompt], np.int32))))


def total(targets, scores):
    """A metric of log-likelihoods: their sum."""
    assert len(targets) == len(scores)
    return {"total": sum(scores)}


def test_likelihoods_are_those_of_each_example_alone(tasks: list[CachedTask]):
    evaluator = _evaluator(Greedy())
    splits = [(0, tasks[0].split("test")), (2, tasks[1].split("validation"))]
    together = evaluator.likelihoods(BANK, splits)
    of_one = jax.jit(functools.partial(log_likelihood, MODEL))
    for (prompt, split), values in zip(splits, together, strict=True):
        for i in range(len(split)):
            alone = of_one(toy.params(), BANK, _alone(prompt, split, i))
            np.testing.assert_allclose(values[i], alone[0], rtol=1e-4)


def test_a_metric_of_scores_reads_likelihoods_and_nothing_is_decoded(tasks: list[CachedTask]):
    reference = references.refer(total, "toy") | {"of": references.SCORES}
    task = dataclasses.replace(tasks[0], metric_functions=(reference,), labels=())
    evaluator = _evaluator(Rank())  # it has labels to choose among where it is asked for answers
    (metrics,) = evaluator.score(BANK, [(1, [task])], "test")
    (values,) = evaluator.likelihoods(BANK, [(1, task.split("test"))])
    assert metrics == pytest.approx({"total": values.sum(), "score": values.sum()})
    assert (task.reads_answers, task.reads_scores) == (False, True)


def test_a_task_has_metrics_of_answers_and_of_scores(tasks: list[CachedTask]):
    reference = references.refer(total, "toy") | {"of": references.SCORES}
    both = dataclasses.replace(tasks[0], metric_functions=(*tasks[0].metric_functions, reference))
    (alone, together) = _evaluator(Greedy()).score(BANK, [(1, [tasks[0]]), (1, [both])], "test")
    assert together["accuracy"] == alone["accuracy"] and together["total"] < 0.0
    with pytest.raises(ValueError, match="needs the log-likelihoods of all its targets"):
        both.evaluate("test", [""] * 12)


@dataclasses.dataclass(frozen=True)
class Counting:
    """Decodes greedily and notes how often it is traced."""

    traced: list[int] = dataclasses.field(default_factory=list, compare=False)

    def __call__(self, model, params, encoded, *, length, number, labels):
        self.traced.append(length)
        return Greedy()(model, params, encoded, length=length)


def test_a_second_evaluator_of_a_model_compiles_nothing_again(tasks: list[CachedTask]):
    decoder, item = Counting(), (1, tasks[0].split("test"))
    first = _evaluator(decoder).predict(BANK, [item], [()])
    traced = len(decoder.traced)
    assert _evaluator(decoder).predict(BANK, [item], [()]) == first
    assert len(decoder.traced) == traced > 0


def test_other_parameters_than_the_frozen_ones_are_evaluated(tasks: list[CachedTask]):
    evaluator = _evaluator(Greedy())
    params = jax.tree.map(lambda x: x * 1.5, toy.params())
    layout = partitioning.layouts()[0]
    other = {layout.name: layout.put(params)}
    items = [(1, tasks[0].split("test"))]
    (values,) = evaluator.likelihoods(BANK, items, other)
    batch = _alone(*items[0], example=3)
    np.testing.assert_allclose(values[3], log_likelihood(MODEL, params, BANK, batch)[0], rtol=1e-4)
    assert abs(values[3] - evaluator.likelihoods(BANK, items)[0][3]) > 0.1
    frozen, changed = (evaluator.predict(BANK, items, [()], params) for params in (None, other))
    assert frozen != changed
    (scored,) = evaluator.score(BANK, [(1, [tasks[0]])], "test", other)
    right = np.mean([a == b for a, b in zip(changed[0], items[0][1].target_texts, strict=True)])
    assert scored["accuracy"] == pytest.approx(100 * right)


def test_anything_is_computed_of_every_example(tasks: list[CachedTask]):
    evaluator = _evaluator(Greedy())
    items = [(0, tasks[0].split("test")), (2, tasks[1].split("validation"))]
    capture = jax.jit(MODEL.capture)

    def neurons(layout, params, bank, batch):
        return capture(params, bank, evaluator.with_targets(layout, items, batch))

    captured = {(i, n): values for i, n, values in evaluator.map(BANK, items, neurons)}
    assert sorted(captured) == [(i, n) for i in range(2) for n in range(12)]
    for item, example in [(0, 4), (1, 7)]:
        batch = _alone(*items[item], example=example)
        length = BANK.length + batch.encoder_tokens.shape[1]
        for name, alone in MODEL.capture(toy.params(), BANK, batch).items():
            kept = captured[item, example][name][: length if "encoder" in name else 2]
            np.testing.assert_allclose(kept, alone[0], rtol=1e-4, atol=1e-4)


def test_labels_are_needed_to_rank(tasks: list[CachedTask]):
    evaluator = _evaluator(Rank())
    answers = dataclasses.replace(tasks[0], labels=())
    with pytest.raises(UserError, match="among labels, and counting has none; use @Greedy"):
        evaluator.score(BANK, [(0, [answers])], "test")
    with pytest.raises(UserError, match="and there are none; give labels"):
        evaluator.predict(BANK, [(0, answers.split("test"))], [()])


def test_a_batch_has_examples():
    with pytest.raises(UserError, match="evaluation batch size must be at least 1, not 0"):
        _evaluator(Greedy(), batch_size=0)
