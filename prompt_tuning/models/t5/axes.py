"""The logical axes of a T5's parameters, by T5X's names.

Partitioning rules map logical axes to the mesh: for example, they split `joined_kv`, `mlp` and
`vocab` over the devices that share a model and leave `embed` whole.
"""

import re

from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.shapes import parameter_shapes

AXES = (
    (r"token_embedder/embedding", ("vocab", "embed")),
    (r".*/relpos_bias/rel_embedding", ("heads", "relpos_buckets")),
    (r".*/(query|key|value)/kernel", ("embed", "joined_kv")),
    (r".*/out/kernel", ("joined_kv", "embed")),
    (r".*/mlp/wi(_\d+)?/kernel", ("embed", "mlp")),
    (r".*/mlp/wo/kernel", ("mlp", "embed")),
    (r".*_norm/scale", ("embed",)),
    (r"decoder/logits_dense/kernel", ("embed", "vocab")),
)
"""Regular expressions of whole names, and the axes of the parameters they match."""


def logical_axes(config: T5Config) -> dict[str, tuple[str, ...]]:
    """Returns the logical axes of every parameter by name, one per array axis."""
    return {name: axes_of(name) for name in parameter_shapes(config)}


def axes_of(name: str) -> tuple[str, ...]:
    """Returns the logical axes of a parameter.

    Raises:
        ValueError: No pattern matches the name.
    """
    for pattern, axes in AXES:
        if re.fullmatch(pattern, name):
            return axes
    raise ValueError(f"the axes of a parameter called {name!r} are unknown")
