"""Checks stored parameters against a T5's and explains mismatches."""

from collections.abc import Mapping

from prompt_tuning.models.t5.shapes import EMBEDDING
from prompt_tuning.types import UserError

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of parameters by name."""

_SHOWN = 6  # problems listed in a message


def check_parameters(place: str, found: Shapes, wanted: Shapes) -> None:
    """Checks that the stored parameters are exactly the model's.

    Args:
        place: Their file or directory, for the message.
        found: The stored shapes.
        wanted: The model's shapes.

    Raises:
        UserError: A parameter is missing, extra, or has another shape. The message says how the
            two models differ, as far as shapes show it, and lists the parameters.
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
            f"backbone weights {place} are of a model with scanned layers, which is not supported; "
            "use a checkpoint with separate layers"
        )
    stored, config = describe_shapes(found), describe_shapes(wanted)
    differ = [
        f"{stored[key]} where the config has {config[key]}"
        for key in config
        if key in stored and stored[key] != config[key]
    ]
    reason = f" (they are of a model with {', '.join(differ)})" if differ else ""
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    raise UserError(
        f"backbone weights {place} do not fit their config{reason}: "
        f"{'; '.join(problems[:_SHOWN])}{more}; use the config that they were saved with"
    )


def describe_shapes(shapes: Shapes) -> dict[str, str]:
    """Describes a T5 in phrases by topic, as far as the shapes of its parameters show it."""
    phrases: dict[str, str] = {}
    if EMBEDDING in shapes and len(shapes[EMBEDDING]) == 2:
        rows, width = shapes[EMBEDDING]
        phrases["rows"], phrases["width"] = f"{rows:,} embedding rows", f"width {width}"
    for stack in ("encoder", "decoder"):
        layers = {name.split("/")[1] for name in shapes if name.startswith(f"{stack}/layers_")}
        if layers:
            phrases[stack] = f"{len(layers)} {stack} layer{'s' * (len(layers) > 1)}"
    table = shapes.get("encoder/relpos_bias/rel_embedding")
    if table:
        phrases["heads"] = f"{table[0]} heads"
    feed_forward = "encoder/layers_0/mlp"
    for name, kind in (("wi", "plain"), ("wi_0", "gated")):
        kernel = shapes.get(f"{feed_forward}/{name}/kernel")
        if kernel:
            phrases["feed-forward"] = f"{kind} feed-forward of {kernel[-1]}"
    if phrases:
        untied = "decoder/logits_dense/kernel" in shapes
        phrases["output"] = "an untied output layer" if untied else "a tied output layer"
    return phrases
