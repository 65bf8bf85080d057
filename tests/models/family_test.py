"""Nothing outside `models/` depends on a model family."""

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

import prompt_tuning
from prompt_tuning.models.family import parameter_shapes, prompted
from prompt_tuning.prompts.placement import prefix, suffix_after_eos
from tests.models.conftest import one_layer

PACKAGE = Path(prompt_tuning.__file__).parent
MAKES_A_T5 = {"cli/configurables.py", "training/pretraining.py"}
"""Registers the class of its configs; pre-trains one."""


def family_names(source: str) -> Iterator[str]:
    """Yields the names in a file's code that are specific to one family."""
    for node in ast.walk(ast.parse(source)):
        names = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name"}
        if type(node) in names:
            name = getattr(node, names[type(node)])
            if {"T5", "T5Config", "PromptedT5"} & set(name.split(".")):
                yield name
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "prompt_tuning.models.t5"
        ):
            yield str(node.module)
        if isinstance(node, ast.Constant) and "token_embedder" in str(node.value):
            yield str(node.value)


def test_no_file_outside_models_names_a_family():
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    names = {name: set(family_names(path.read_text())) for name, path in files.items()}
    outside = {
        name for name, found in names.items() if found and not name.startswith(("models/", "mini/"))
    }
    assert outside <= MAKES_A_T5


@pytest.mark.parametrize(
    "line",
    [
        "from prompt_tuning.models.t5.layers import dense",
        "import prompt_tuning.models.t5.network as n; n.T5",
        "model: PromptedT5",
        "params['token_embedder']",
    ],
)
def test_the_check_sees_names(line: str):
    assert list(family_names(line))


def test_models_of_equal_settings_are_equal(golden_maker):
    config = one_layer(golden_maker)
    model = prompted(config, prefix, remat=True, positions=512)
    assert model == prompted(dataclasses.replace(config), prefix, remat=True, positions=512)
    assert hash(model) == hash(prompted(config, prefix, remat=True, positions=512))
    assert model.with_positions(None) == prompted(config, prefix, remat=True)
    assert model != prompted(config, suffix_after_eos, remat=True, positions=512)


def test_a_model_has_its_configs_properties(small):
    model, config = small.model, small.model.config
    assert (model.name, model.width, model.vocab_size) == (config.name, 16, 40)
    assert model.dtype == "float32"
    table = np.asarray(small.params["token_embedder"]["embedding"])
    np.testing.assert_array_equal(model.embedding(small.params), table)


def test_shapes_are_those_of_the_parameters(small):
    shapes = {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree.leaves_with_path(small.params)
    }
    assert parameter_shapes(small.model.config) == shapes
