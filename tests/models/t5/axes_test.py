"""Logical axes of the parameters of every shipped config."""

import pytest

from prompt_tuning.models.family import logical_axes, parameter_shapes
from prompt_tuning.models.t5.axes import axes_of
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.weights import open_backbone
from tests.models.t5.published_test import ADAPTED, COUNTS, model


@pytest.mark.parametrize("name", [*COUNTS, *ADAPTED, "t5_mini"])
def test_every_axis_of_every_parameter_has_a_name_and_each_name_one_size(name: str):
    if name == "t5_mini":
        backbone = open_backbone(name, model=None, vocabulary=None, param_dtype="float32")
        config = backbone.config
    else:
        config = model(name)
    assert isinstance(config, T5Config)
    axes, shapes = logical_axes(config), parameter_shapes(config)
    assert axes.keys() == shapes.keys()
    sizes = {pair for name in axes for pair in zip(axes[name], shapes[name], strict=True)}
    assert dict(sizes) == {
        "vocab": config.vocab_size,
        "embed": config.emb_dim,
        "heads": config.num_heads,
        "joined_kv": config.num_heads * config.head_dim,
        "mlp": config.mlp_dim,
        "relpos_buckets": 32,
    }
    assert len(sizes) == 6


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("decoder/layers_3/encoder_decoder_attention/out/kernel", ("joined_kv", "embed")),
        ("decoder/layers_3/self_attention/query/kernel", ("embed", "joined_kv")),
        ("encoder/layers_0/mlp/wi_1/kernel", ("embed", "mlp")),
        ("encoder/layers_0/mlp/wo/kernel", ("mlp", "embed")),
        ("encoder/encoder_norm/scale", ("embed",)),
    ],
)
def test_axes_are_those_of_t5x(name: str, axes: tuple[str, ...]):
    assert axes_of(name) == axes


def test_a_name_without_axes_is_an_error():
    with pytest.raises(ValueError, match="encoder/layers_0/router/kernel"):
        axes_of("encoder/layers_0/router/kernel")
