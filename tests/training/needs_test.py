"""What a run needs, told without running it."""

import dataclasses
import io
from pathlib import Path

import jax
from rich.console import Console

from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.training.needs import activation_bytes, describe_needs, describe_shapes
from prompt_tuning.training.rows import open_batches
from tests.training import toy


def test_the_table_counts_parameters_and_steps():
    rows = [
        toy.row("a"),
        toy.row("b", schedule=dataclasses.replace(toy.SCHEDULE, steps=7, batch_size=8)),
    ]
    out = io.StringIO()
    table = describe_needs(rows, toy.backbone().outline, toy.config(), (16, 2))
    Console(file=out, width=100).print(table)
    lines = dict(line.rsplit(maxsplit=1) for line in out.getvalue().splitlines()[:4])
    frozen = sum(leaf.size for leaf in jax.tree.leaves(toy.params()))
    assert [int(value.replace(",", "")) for value in lines.values()] == [19, 2, frozen, 3 * 16]
    assert "activations, 8 x (3 + 16) tokens" in out.getvalue()


def test_memory_grows_with_the_examples_of_a_batch():
    of4, of8, of12 = (
        activation_bytes(toy.backbone().outline, toy.config(), batch_size, (16, 2))
        for batch_size in (4, 8, 12)
    )
    # At least what layers keep of their inputs: (3 + 16) tokens of 16 float32 in the encoder alone.
    assert of8 - of4 == of12 - of8 > 4 * 19 * 16 * 4


def test_less_is_kept_of_blocks_that_are_computed_again():
    outline = toy.backbone().outline
    kept, again = (
        activation_bytes(outline, toy.config(remat=remat), 4, (16, 2)) for remat in (False, True)
    )
    assert again < kept / 2


def test_a_model_is_all_trainable():
    out = io.StringIO()
    rows = [toy.model_row("a"), toy.model_row("b")]
    Console(file=out, width=100).print(
        describe_needs(rows, toy.backbone().outline, toy.model_config(), (16, 2))
    )
    lines = dict(line.rsplit(maxsplit=1) for line in out.getvalue().splitlines()[:3])
    weights = sum(leaf.size for leaf in jax.tree.leaves(toy.backbone().shapes))
    assert [int(value.replace(",", "")) for value in lines.values()] == [24, 2, weights]
    assert "activations, 4 x 16 tokens" in out.getvalue()


def test_a_models_gradient_keeps_more_than_a_prompts():
    of_prompt = activation_bytes(
        toy.backbone().outline, toy.config(parameterization=PromptTable(1)), 4, (15, 2)
    )
    of_model = activation_bytes(toy.backbone().outline, toy.model_config(), 4, (16, 2))
    assert of_model > of_prompt


def test_shapes_and_padding_of_tokenized_tasks(tmp_path: Path):
    rows = [toy.row("a"), toy.row("b", seed=1)]
    tasks: dict[str, CachedTask | CachedMixture] = {"counting": toy.task(tmp_path)}
    of_prompts = describe_shapes(rows, tasks, toy.SHAPES, toy.config())
    lengths, share = of_prompts.values()
    assert lengths == "8+2, 16+2"
    batches = open_batches(rows[1], tasks["counting"], toy.SHAPES)
    tokens = [batches.next().encoder_tokens for _ in range(rows[1].steps)]
    padding = sum((batch == 0).sum() for batch in tokens)
    positions = sum(len(batch) * (3 + batch.shape[1]) for batch in tokens)
    assert share == f"{100 * padding / positions:.1f} %"
    of_models = describe_shapes(rows, tasks, toy.SHAPES, toy.model_config())
    assert [*of_models.values()][1] == f"{100 * padding / (positions - 12 * 4 * 3):.1f} %"


def test_tasks_that_are_not_tokenized_have_no_shapes_yet():
    (told,) = describe_shapes([toy.row("a")], None, [(512, 62)], toy.config()).values()
    assert told == "known when all tasks are tokenized"
