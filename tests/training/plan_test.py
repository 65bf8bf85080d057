"""What a run needs, told without running it."""

import dataclasses
import io

import jax
from rich.console import Console

from prompt_tuning.training.plan import activation_bytes, describe
from tests.training import toy


def test_the_table_counts_parameters_and_steps():
    rows = [
        toy.row("a"),
        toy.row("b", schedule=dataclasses.replace(toy.SCHEDULE, steps=7, batch_size=8)),
    ]
    out = io.StringIO()
    table = describe(rows, toy.backbone(), toy.config(), (16, 2))
    Console(file=out, width=100).print(table)
    lines = dict(line.rsplit(maxsplit=1) for line in out.getvalue().splitlines()[:4])
    frozen = sum(leaf.size for leaf in jax.tree.leaves(toy.params()))
    assert [int(value.replace(",", "")) for value in lines.values()] == [2, 19, frozen, 3 * 16]
    assert "activations, 8 x (3 + 16) tokens" in out.getvalue()


def test_memory_grows_with_the_examples_of_a_batch():
    of4, of8, of12 = (
        activation_bytes(toy.backbone(), toy.config(), batch_size, (16, 2))
        for batch_size in (4, 8, 12)
    )
    # At least what layers keep of their inputs: (3 + 16) tokens of 16 float32 in the encoder alone.
    assert of8 - of4 == of12 - of8 > 4 * 19 * 16 * 4
