"""The names of a T5's parameters in Hugging Face transformers."""

import functools
import re

from prompt_tuning.models.t5.shapes import EMBEDDING

TABLE_NAMES = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
"""The names of the embedding table in transformers; the first is the canonical one."""

OUTPUT = "lm_head.weight"
"""The name of the output layer, which may be tied to the embedding table."""

_SUBLAYERS = {
    "encoder": {"attention": "0.SelfAttention", "mlp": "1.DenseReluDense"},
    "decoder": {
        "self_attention": "0.SelfAttention",
        "encoder_decoder_attention": "1.EncDecAttention",
        "mlp": "2.DenseReluDense",
    },
}
_NORMS = {
    "encoder": ("pre_attention_layer_norm", "pre_mlp_layer_norm"),
    "decoder": (
        "pre_self_attention_layer_norm",
        "pre_cross_attention_layer_norm",
        "pre_mlp_layer_norm",
    ),
}
_PROJECTIONS = {"query": "q", "key": "k", "value": "v", "out": "o"}


def stored_name(name: str) -> str:
    """Returns the name in transformers of one of our parameters."""
    if name == EMBEDDING:
        return TABLE_NAMES[0]
    stack, part, *rest = name.split("/")
    if part == "logits_dense":
        return OUTPUT
    if part == "relpos_bias":
        return f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    if part == f"{stack}_norm":
        return f"{stack}.final_layer_norm.weight"
    block = f"{stack}.block.{part.removeprefix('layers_')}.layer"
    if rest[0] in _SUBLAYERS[stack]:
        projection = _PROJECTIONS.get(rest[1], rest[1])
        return f"{block}.{_SUBLAYERS[stack][rest[0]]}.{projection}.weight"
    return f"{block}.{_NORMS[stack].index(rest[0])}.layer_norm.weight"


def our_name(stored: str) -> str | None:
    """Returns our name of transformers' parameter `stored`, or None if a T5 has no such one."""
    layer = re.search(r"\.block\.(\d+)\.", stored)
    number = layer[1] if layer else "0"
    ours = _our_names().get(stored.replace(f".block.{number}.", ".block.0."))
    if ours is None or "layers_0" in ours or number == "0":
        return ours and ours.replace("layers_0", f"layers_{number}")
    return None


def is_transposed(name: str) -> bool:
    """Returns whether transformers stores one of our parameters transposed."""
    return name.endswith(("/kernel", "/rel_embedding"))


@functools.cache
def _our_names() -> dict[str, str]:
    """Maps names in transformers to ours, for the first layers and all other parameters."""
    names = ["decoder/logits_dense/kernel"]
    for stack, sublayers in _SUBLAYERS.items():
        names += [f"{stack}/relpos_bias/rel_embedding", f"{stack}/{stack}_norm/scale"]
        for part in sublayers:
            matrices = ("wi", "wi_0", "wi_1", "wo") if part == "mlp" else _PROJECTIONS
            names += [f"{stack}/layers_0/{part}/{matrix}/kernel" for matrix in matrices]
        names += [f"{stack}/layers_0/{norm}/scale" for norm in _NORMS[stack]]
    return {stored_name(name): name for name in names}
