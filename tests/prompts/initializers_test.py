"""Values, errors and warnings of each initializer, and a user's own initializer."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import (
    UNIFORM_RANGES,
    ClassLabels,
    FromFile,
    FromRow,
    FromText,
    InitContext,
    Initializer,
    Pretrained,
    SampledVocab,
    Uniform,
    WeightedAverage,
    init_key,
)
from prompt_tuning.types import UserError
from tests.training import toy

# Row i of the table is [i, i], and the vocabulary's pieces are numbers.
TABLE = np.repeat(np.arange(10.0, dtype=np.float32)[:, None], 2, axis=1)
CONTEXT = InitContext(
    embeddings=TABLE,
    vocabulary=toy.Digits(),
    labels=("5 7", "6"),
    backbone="toy",
    backbone_digest="digest",
    placement="prefix",
    target_prefix="",
    best_prompts={},
)


def draw(
    initializer: Initializer, shape: tuple[int, int] = (4, 2), seed: int = 0, **changes: Any
) -> np.ndarray:
    """Returns the first prompt of a row with this seed, in `CONTEXT` with these changes."""
    context = dataclasses.replace(CONTEXT, **changes)
    return initializer.prompt(init_key(seed), shape, context)


def ids(prompt: np.ndarray) -> list[float]:
    """Returns the rows of `TABLE` that a prompt consists of."""
    return prompt[:, 0].tolist()


def prompt_file(path: Path, **changes: Any) -> str:
    facts: dict[str, Any] = {"backbone": "toy", "backbone_digest": "digest", "shape": (4, 2)}
    facts |= {"value": 0.5, **changes}
    array = np.full(facts.pop("shape"), facts.pop("value"), np.float32)
    prompt = files.describe(
        array, name="p", task="t", step=1, seed=0, init="x", metrics={}, created="", **facts
    )
    files.save(path, prompt)
    return str(path)


@pytest.mark.parametrize(
    ("bounds", "low", "high"), [("paper", -0.5, 0.5), ("reference_code", 0.0, 0.5)]
)
def test_uniform_fills_the_named_range(bounds, low, high):
    prompt = draw(Uniform(bounds), (100, 50))
    assert UNIFORM_RANGES[bounds] == (low, high) and prompt.dtype == np.float32
    assert low <= prompt.min() < low + 0.01 and high - 0.01 < prompt.max() < high


@pytest.mark.parametrize(
    ("bounds", "message"),
    [("papre", r"'papre' \(did you mean paper\?\)"), ("?", "use paper or reference_code")],
)
def test_uniform_refuses_an_unknown_range(bounds, message):
    with pytest.raises(UserError, match=message):
        draw(Uniform(bounds))


@pytest.mark.parametrize("initializer", [Uniform("paper"), SampledVocab(None)])
def test_the_seed_decides_what_is_drawn(initializer):
    first = draw(initializer)
    np.testing.assert_array_equal(first, draw(initializer))
    assert np.any(first != draw(initializer, seed=1))


def test_keys_and_draws_are_those_of_earlier_runs():
    """Results on disk depend on these draws."""
    np.testing.assert_array_equal(
        jax.random.key_data(init_key(3)),
        jax.random.key_data(jax.random.fold_in(jax.random.key(3), 0x57A7)),
    )
    assert ids(draw(SampledVocab(8))) == [5, 3, 6, 2]
    drawn = np.array([[0.3075059652328491, 0.4191068410873413, 0.27994322776794434]], np.float32)
    np.testing.assert_array_equal(draw(Uniform("paper"), (1, 3)), drawn)


@pytest.mark.parametrize(("population", "drawn"), [(6, 6), (None, 10)])
def test_sampled_vocabulary_draws_distinct_rows_of_the_population(population, drawn):
    assert sorted(ids(draw(SampledVocab(population), (drawn, 2)))) == list(range(drawn))


def test_sampled_vocabulary_reads_half_precision_tables():
    half = TABLE.astype(jnp.bfloat16)
    prompt = draw(SampledVocab(3), (3, 2), embeddings=half)
    assert prompt.dtype == np.float32 and sorted(ids(prompt)) == [0, 1, 2]


def test_a_population_larger_than_the_table_is_reduced_with_a_warning():
    with pytest.warns(UserWarning, match="population 11 is larger than the embedding table"):
        prompt = draw(SampledVocab(11), (10, 2))
    assert sorted(ids(prompt)) == list(range(10))


def test_more_prompt_tokens_than_population_draws_with_replacement_and_warns():
    with pytest.warns(UserWarning, match="5 prompt tokens from a population of 3 rows"):
        prompt = draw(SampledVocab(3), (5, 2))
    assert len(ids(prompt)) == 5 and set(ids(prompt)) <= {0, 1, 2}


@pytest.mark.parametrize("population", [0, -5])
@pytest.mark.parametrize("kind", [SampledVocab, lambda rows: ClassLabels(("1",) * 4, rows)])
def test_a_population_that_is_not_positive_is_refused(kind, population):
    with pytest.raises(UserError, match=f"population is {population}; give a positive"):
        draw(kind(population))


def test_class_labels_are_the_means_of_their_pieces_and_the_rest_is_sampled():
    prompt = draw(ClassLabels(("2", "3 6", "1 1 7"), 8), (5, 2))
    np.testing.assert_array_equal(prompt[:3], [[2, 2], [4.5, 4.5], [3, 3]])
    np.testing.assert_array_equal(prompt[3:], draw(SampledVocab(8), (5, 2))[3:])
    assert prompt.dtype == np.float32


def test_means_and_draws_are_those_of_jax_to_the_bit():
    table = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    labels = ("3 4 6", "1 2 5 7 9")
    prompt = draw(ClassLabels(labels, 40), (6, 8), embeddings=table)
    pieces = [np.asarray(toy.Digits().encode(label)) for label in labels]
    means = [jnp.mean(jnp.asarray(table)[rows], axis=0) for rows in pieces]
    np.testing.assert_array_equal(prompt[:2], jnp.stack(means))
    drawn = jax.random.choice(init_key(0), 40, (6,), replace=False)
    np.testing.assert_array_equal(prompt[2:], table[np.asarray(drawn)[2:]])


def test_labels_are_the_tasks_own_unless_they_are_given():
    assert ids(draw(ClassLabels(None, 8)))[:2] == [6, 6]
    assert ids(draw(ClassLabels(("9",), 8)))[0] == 9


def test_a_task_without_labels_starts_from_the_sampled_vocabulary():
    initializer = ClassLabels(None, 8)
    assert initializer.falls_back(()) and not ClassLabels((), 8).falls_back(())
    np.testing.assert_array_equal(draw(initializer, labels=()), draw(SampledVocab(8)))


@pytest.mark.parametrize("initializer", [ClassLabels(("2", "3"), 1), FromText("2 3", 1)])
def test_a_full_prompt_draws_nothing(initializer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Two tokens of a population of one row would warn.
        assert ids(draw(initializer, (2, 2))) == [2, 3]


def test_surplus_labels_are_dropped_with_a_warning():
    with pytest.warns(UserWarning, match="3 labels for 2 prompt tokens; dropping the last"):
        prompt = draw(ClassLabels(("2", "3", "4"), None), (2, 2))
    assert ids(prompt) == [2, 3]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((), "there are no labels"),
        (("1", ""), "label 1 has no pieces"),
        (("1", "2 10"), "id 10 is not a row of the embedding table, which has 10"),
        (("-1",), "id -1 is not a row"),
    ],
)
def test_impossible_labels_are_refused(labels, message):
    with pytest.raises(UserError, match=message):
        draw(ClassLabels(labels, None))


def test_a_text_gives_one_embedding_a_piece_and_the_rest_is_sampled():
    prompt = draw(FromText("4 9 4", 8), (5, 2))
    assert ids(prompt)[:3] == [4, 9, 4]
    np.testing.assert_array_equal(prompt[3:], draw(SampledVocab(8), (5, 2))[3:])


def test_a_text_is_truncated_at_the_prompt_length():
    assert ids(draw(FromText("3 1 4 1 5", 8))) == [3, 1, 4, 1]


@pytest.mark.parametrize(("text", "message"), [("", "no pieces"), ("3 12", "id 12 is not")])
def test_impossible_texts_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        draw(FromText(text, None))


@pytest.mark.parametrize(
    "initializer", [SampledVocab(5), ClassLabels(("1",), None), FromText("1", None)], ids=repr
)
def test_a_table_of_another_width_is_refused(initializer):
    with pytest.raises(UserError, match="the embedding table is 2 wide, but the prompt 3"):
        draw(initializer, (4, 3))


def test_a_file_gives_its_prompt_and_its_digest(tmp_path: Path):
    initializer = FromFile(prompt_file(tmp_path / "p.safetensors"))
    np.testing.assert_array_equal(draw(initializer), np.full((4, 2), 0.5))
    digest = files.digest(np.full((4, 2), 0.5, np.float32))
    assert initializer.describe() == {"init": "file", "path": initializer.path, "digest": digest}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "t5_xl"}, r"it has backbone t5_xl \(need toy\)"),
        ({"backbone_digest": "other"}, r"it has backbone digest other \(need digest\)"),
        ({"shape": (5, 2)}, r"it has prompt length 5 \(need 4\)"),
        ({"shape": (4, 3)}, r"it has hidden size 3 \(need 2\)"),
        ({"placement": "suffix_after_eos"}, r"has placement suffix_after_eos \(need prefix\)"),
        ({"target_prefix": "30"}, r"it has target prefix 30 \(need none\)"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
):
    path = prompt_file(tmp_path / "p.safetensors", **changes)
    with pytest.raises(UserError, match=message) as error:
        draw(FromFile(path))
    assert path in str(error.value)


def test_a_row_gives_the_prompt_that_it_finished_with(tmp_path: Path):
    path = Path(prompt_file(tmp_path / "best.safetensors", value=0.25))
    assert FromRow("source").after == "source" and FromFile("x").after is None
    np.testing.assert_array_equal(draw(FromRow("source"), best_prompts={"source": path}), 0.25)
    with pytest.raises(UserError, match="row 'source', which has not finished"):
        draw(FromRow("source"))


@pytest.mark.parametrize(
    ("weights", "shares"),
    [((3.0, 1.0), (0.75, 0.25)), ((2.0, -1.0), (1, 0)), ((-1, 0), (0.5, 0.5))],
)
def test_an_average_weighs_prompts_by_their_shares(tmp_path: Path, weights, shares):
    paths = tuple(prompt_file(tmp_path / f"{i}.safetensors", value=float(i)) for i in (1, 2))
    average = WeightedAverage(paths, weights)
    np.testing.assert_array_equal(draw(average), np.full((4, 2), shares[0] + 2 * shares[1]))
    assert tuple(average.describe()["shares"]) == shares


def test_a_pretrained_model_gives_no_prompt():
    with pytest.raises(UserError, match="starts model tuning"):
        draw(Pretrained())


@dataclasses.dataclass(frozen=True)
class Centroid(Initializer):
    """Starts every prompt token at the mean of the embedding table."""

    scale: float

    def describe(self) -> dict[str, Any]:
        return {"init": "centroid", "scale": self.scale}

    def prompt(self, key: Any, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        return np.tile(self.scale * context.embeddings.mean(axis=0), (shape[0], 1))


def test_an_initializer_written_outside_the_package_trains(tmp_path: Path):
    schedule = dataclasses.replace(toy.SCHEDULE, steps=1)
    row = toy.row("own", start=Centroid(2.0), schedule=schedule)
    (result,) = toy.train([row], tmp_path, save_steps=(0,))
    assert result.record()["init"] == "centroid" and len(toy.losses(tmp_path, "own")) == 1
    folder = tmp_path / "run/prompts/own"
    first, last = (files.load(folder / f"{name}.safetensors") for name in ("step_0", "last"))
    mean = toy.open_model().embeddings.mean(axis=0)
    np.testing.assert_allclose(first.array, np.tile(2 * mean, (3, 1)), rtol=1e-6)
    assert np.any(first.array != last.array)


def test_an_incomplete_initializer_is_refused():
    class Half(Initializer):
        def describe(self) -> dict[str, Any]:
            return {"init": "half"}

    with pytest.raises(TypeError, match="prompt"):
        Half()  # pyright: ignore[reportAbstractUsage]
