"""The prompted model: its isolation of examples and padding, and its loss."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.prompted import Batch, Dropout, cross_entropy
from prompt_tuning.models.t5.prompted import PromptedT5, shift_right
from prompt_tuning.prompts.bank import PromptBank

RATE = 0.3


def padded(x, extra):
    return jnp.pad(x, ((0, 0), (0, extra)))


@functools.partial(jax.jit, static_argnums=0)
def compute_losses(model, params, bank, batch, keys):
    drop = None if keys is None else Dropout(RATE, keys)
    return cross_entropy(model.logits(params, bank, batch, drop), batch.targets, 1e-4)


@functools.partial(jax.jit, static_argnums=0)
def compute_gradient(model, params, bank, batch, rows):
    def total(bank):
        each = compute_losses(model, params, bank, batch, None)
        return jnp.sum(jnp.where(rows, each, 0.0)), each

    gradient, each = jax.grad(total, has_aux=True)(bank)
    return gradient.prompts, each


def losses(case, batch, bank, keys=None):
    """Returns the loss of every example, with dropout if there are keys."""
    return np.asarray(compute_losses(case.model, case.params, bank, batch, keys))


def test_padding_has_no_effect_with_dropout(placed):
    batch = placed.batch
    keys = jax.random.split(jax.random.key(3), 16)
    longer = Batch(padded(batch.encoder_tokens, 7), padded(batch.targets, 3), batch.prompt_id)
    np.testing.assert_allclose(
        losses(placed, longer, placed.bank, keys),
        losses(placed, batch, placed.bank, keys),
        rtol=1e-5,
    )


@functools.partial(jax.jit, static_argnums=0)
def encode_and_decode(model, params, bank, batch):
    encoded = model.encode(params, bank, batch.encoder_tokens, batch.prompt_id, None)
    return encoded.states, encoded.mask, model.decode(params, encoded, batch.targets, None)


def test_padding_changes_nothing_before_it_without_dropout(placed):
    batch = placed.batch
    longer = Batch(padded(batch.encoder_tokens, 7), padded(batch.targets, 3), batch.prompt_id)
    arguments = (placed.model, placed.params, placed.bank)
    short, mask, short_logits = encode_and_decode(*arguments, batch)
    long, _, long_logits = encode_and_decode(*arguments, longer)
    np.testing.assert_allclose(long[:, :13], short, rtol=1e-5, atol=1e-5)
    assert not np.any(long[:, 13:]) and not np.any(np.asarray(short)[~np.asarray(mask)])
    np.testing.assert_allclose(long_logits[:, :5], short_logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("positions", [1, 2 * 16, 10**6])
def test_passes_of_the_encoder_change_nothing(small, positions):
    batch, keys = small.batch, jax.random.split(jax.random.key(3), 4)
    assert batch.encoder_tokens.shape[1] + small.bank.length <= 16
    in_passes = small._replace(model=dataclasses.replace(small.model, positions=positions))
    np.testing.assert_allclose(
        losses(in_passes, batch, small.bank, keys),
        losses(small, batch, small.bank, keys),
        rtol=1e-5,
    )
    text = compute_losses.lower(in_passes.model, small.params, small.bank, batch, None).as_text()
    assert ("stablehlo.while" in text) == (positions < 10**6)


def test_a_pass_of_padding_is_skipped(small):
    tokens = small.batch.encoder_tokens.at[2:].set(0)
    batch = small.batch._replace(encoder_tokens=tokens)
    model = dataclasses.replace(small.model, positions=2 * 16)
    encoded, mask, _ = encode_and_decode(model, small.params, small.bank, batch)
    expected, expected_mask, _ = encode_and_decode(small.model, small.params, small.bank, batch)
    np.testing.assert_allclose(encoded[:2], expected[:2], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(mask[:2], expected_mask[:2])
    assert not np.any(encoded[2:]) and not np.any(mask[2:]) and np.any(expected[2:])


def test_an_example_does_not_depend_on_its_batch_mates(small):
    keys = jax.random.split(jax.random.key(3), 4)
    together = losses(small, small.batch, small.bank, keys)
    alone = losses(small, Batch(*(x[1:2] for x in small.batch)), small.bank, keys[1:2])
    others = small.batch.encoder_tokens.at[jnp.array([0, 2, 3])].set(5)
    changed = losses(small, small.batch._replace(encoder_tokens=others), small.bank, keys)
    np.testing.assert_allclose(alone[0], together[1], rtol=1e-5)
    np.testing.assert_array_equal(changed[1], together[1])


def test_a_prompt_in_a_bank_equals_it_alone(small):
    together = losses(small, small.batch, small.bank)
    zeros = jnp.zeros(4, jnp.int32)
    alone = [
        losses(
            small, small.batch._replace(prompt_id=zeros), PromptBank(small.bank.prompts[n : n + 1])
        )
        for n in range(3)
    ]
    np.testing.assert_allclose(
        together, [alone[n][b] for b, n in enumerate(small.batch.prompt_id)], rtol=1e-6
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Shifted:
    """A bank whose prompts are moved by the mean of the embedded input, padding left out."""

    prompts: jax.Array

    @property
    def length(self):
        return self.prompts.shape[1]

    def select(self, prompt_id, embedded, tokens):
        real = (tokens > 0)[:, :, None].astype(embedded.dtype)
        mean = jnp.sum(embedded * real, axis=1) / jnp.sum(real, axis=1)
        return self.prompts[prompt_id] + mean[:, None, :]


@pytest.mark.parametrize("positions", [None, 2 * 16])
def test_prompts_may_depend_on_the_input(small, positions):
    case = small._replace(model=small.model.with_positions(positions))
    table = small.model.embedding(small.params)
    tokens = np.asarray(small.batch.encoder_tokens)
    means = [table[row[on]].mean(axis=0) for row, on in zip(tokens, tokens > 0, strict=True)]
    prompts = small.bank.prompts[small.batch.prompt_id] + np.stack(means)[:, None, :]
    own = small.batch._replace(prompt_id=jnp.arange(4, dtype=jnp.int32))
    np.testing.assert_allclose(
        losses(case, small.batch, Shifted(small.bank.prompts)),
        losses(small, own, PromptBank(prompts)),
        rtol=1e-5,
    )


def test_each_prompt_gets_the_gradient_of_its_own_examples(small):
    arguments = (small.model, small.params, small.bank, small.batch)
    mine, _ = compute_gradient(*arguments, small.batch.prompt_id == 2)
    everyone, _ = compute_gradient(*arguments, jnp.ones(4, bool))
    np.testing.assert_array_equal(mine[:2], 0.0)
    np.testing.assert_allclose(everyone[2], mine[2], rtol=1e-5, atol=1e-6)


def test_a_broken_prompt_does_not_reach_other_rows(small):
    broken = PromptBank(small.bank.prompts.at[2].set(jnp.nan))
    everyone = jnp.ones(4, bool)
    gradient, each = compute_gradient(small.model, small.params, broken, small.batch, everyone)
    np.testing.assert_array_equal(np.isnan(each), [False, True, False, False])
    assert np.isfinite(gradient[:2]).all()


def test_dropout_changes_the_loss_by_key_alone(small):
    keys = jax.random.split(jax.random.key(3), 4)
    same_inputs = Batch(*(jnp.repeat(x[:1], 4, axis=0) for x in small.batch))
    first = losses(small, same_inputs, small.bank, keys)
    assert len(set(first.tolist())) == 4
    np.testing.assert_array_equal(losses(small, same_inputs, small.bank, keys), first)
    np.testing.assert_allclose(
        losses(small, same_inputs, small.bank, keys[::-1]), first[::-1], rtol=1e-6
    )


def test_bfloat16_compute_is_close_to_float32_and_keeps_the_loss_in_float32(small):
    config = dataclasses.replace(small.model.config, dtype="bfloat16")
    half = small._replace(model=PromptedT5(config, small.model.placement))
    rounded = half._replace(
        params=jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), small.params)
    )
    expected = losses(small, small.batch, small.bank)
    for case in (half, rounded):
        actual = losses(case, small.batch, small.bank)
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, expected, rtol=0.02, atol=0.1)


def test_float64_gradient_agrees_with_finite_differences(small):
    with jax.enable_x64(True):
        config = dataclasses.replace(small.model.config, dtype="float64")
        model = PromptedT5(config, small.model.placement)
        params = jax.tree.map(lambda x: np.asarray(x, np.float64), small.params)
        keys = jax.random.split(jax.random.key(3), 4)

        @jax.jit
        def total(bank):
            logits = model.logits(params, PromptBank(bank), small.batch, Dropout(RATE, keys))
            return jnp.sum(cross_entropy(logits, small.batch.targets, 1e-4))

        bank = np.asarray(small.bank.prompts, np.float64)
        direction = np.random.RandomState(0).standard_normal(bank.shape)
        step = 1e-5
        slope = (total(bank + step * direction) - total(bank - step * direction)) / (2 * step)
        gradient = jax.jit(jax.grad(total))(bank)
        assert gradient.dtype == np.float64
        # Any float32 on the way would leave an error of about 1e-3 here.
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-7)


def test_shift_right_drops_the_last_target():
    np.testing.assert_array_equal(
        shift_right(jnp.array([[7, 8, 1], [9, 1, 0]], jnp.int32)), [[0, 7, 8], [0, 9, 1]]
    )


def test_cross_entropy_of_uniform_logits_is_log_v_per_target():
    logits = jnp.zeros((2, 3, 4))
    targets = jnp.array([[2, 3, 1], [1, 0, 0]], jnp.int32)
    log_v = np.log(4.0)
    np.testing.assert_allclose(cross_entropy(logits, targets, 0.0), [3 * log_v, log_v], rtol=1e-6)
    np.testing.assert_allclose(
        cross_entropy(logits, targets, 0.5),
        [3 * (log_v + 0.5 * log_v**2), log_v + 0.5 * log_v**2],
        rtol=1e-6,
    )


def test_cross_entropy_ignores_the_logits_of_padding():
    targets = jnp.array([[2, 0]], jnp.int32)
    logits = jax.random.normal(jax.random.key(0), (1, 2, 5))
    gradient = jax.grad(lambda x: cross_entropy(x, targets, 1e-4).sum())(logits)
    assert np.any(gradient[0, 0]) and not np.any(gradient[0, 1])
