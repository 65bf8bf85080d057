"""Whether stored parameters are those of a model, told in words."""

from collections.abc import Mapping

from prompt_tuning.models.t5.shapes import EMBEDDING
from prompt_tuning.types import UserError

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of parameters by name."""

_SHOWN = 6  # problems that a message lists


def check_parameters(place: str, found: Shapes, wanted: Shapes) -> None:
    """Checks that exactly the wanted parameters are there.

    Args:
        place: Where they are stored, for the message.
        found: What is stored.
        wanted: What the model has.

    Raises:
        UserError: Some are missing, not the model's, or of another shape. The message says how the
            two models differ where it can be told, and lists the parameters.
    """
    problems = [f"missing {name}" for name in wanted if name not in found]
    problems += [f"extra {name}" for name in sorted(found) if name not in wanted]
    problems += [
        f"{name} has shape {list(found[name])}, not {list(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if not problems:
        return
    if any("/layers/" in f"{name}/" or name.startswith("encoder/encoder/") for name in found):
        raise UserError(
            f"backbone weights {place} are of a model with scanned layers, which is not read; "
            "use a checkpoint with one entry for each layer"
        )
    stored, config = outline(found), outline(wanted)
    differ = [
        f"{stored[key]} where the config has {config[key]}"
        for key in config
        if key in stored and stored[key] != config[key]
    ]
    words = f" (they are of a model with {', '.join(differ)})" if differ else ""
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    raise UserError(
        f"backbone weights {place} do not fit their config{words}: "
        f"{'; '.join(problems[:_SHOWN])}{more}; use the config that they were saved with"
    )


def outline(shapes: Shapes) -> dict[str, str]:
    """Describes a T5 by what its parameters show; what they do not show is left out."""
    words: dict[str, str] = {}
    if EMBEDDING in shapes and len(shapes[EMBEDDING]) == 2:
        rows, width = shapes[EMBEDDING]
        words["rows"], words["width"] = f"{rows:,} embedding rows", f"width {width}"
    for stack in ("encoder", "decoder"):
        layers = {name.split("/")[1] for name in shapes if name.startswith(f"{stack}/layers_")}
        if layers:
            words[stack] = f"{len(layers)} {stack} layer{'s' * (len(layers) > 1)}"
    table = shapes.get("encoder/relpos_bias/rel_embedding")
    if table:
        words["heads"] = f"{table[0]} heads"
    feed_forward = "encoder/layers_0/mlp"
    for name, kind in (("wi", "plain"), ("wi_0", "gated")):
        kernel = shapes.get(f"{feed_forward}/{name}/kernel")
        if kernel:
            words["feed-forward"] = f"{kind} feed-forward of {kernel[-1]}"
    if words:
        untied = "decoder/logits_dense/kernel" in shapes
        words["output"] = "an output layer of its own" if untied else "a tied output layer"
    return words
