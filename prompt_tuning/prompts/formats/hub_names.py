"""The names of the published backbones on the Hugging Face hub."""

_PATTERNS = {
    "t5_1_0": ("google-t5/t5-{}", ("small", "base", "large", "3b", "11b")),
    "t5_1_1": ("google/t5-v1_1-{}", ("small", "base", "large", "xl", "xxl")),
    "t5_1_1_lm100k": ("google/t5-{}-lm-adapt", ("small", "base", "large", "xl", "xxl")),
    "mt5": ("google/mt5-{}", ("small", "base", "large", "xl", "xxl")),
}
_HUB_NAMES = {
    f"{family}_{size}": name.format(size)
    for family, (name, sizes) in _PATTERNS.items()
    for size in sizes
}
_BACKBONES = {name: backbone for backbone, name in _HUB_NAMES.items()}
_FIRST_OWNER = "google-t5/"  # Its models had no owner in their names before 2024.


def hub_name(backbone: str) -> str | None:
    """Returns a backbone's name on the hub; None for one that is not in `configs/models`."""
    return _HUB_NAMES.get(backbone)


def backbone_of(model: str) -> str:
    """Returns this project's name for a model on the hub or in a directory.

    A model without a file in `configs/models` gets the last part of its own name, as when it is
    opened as a backbone.
    """
    known = _BACKBONES.get(model) or _BACKBONES.get(_FIRST_OWNER + model)
    return known or model.partition("@")[0].rstrip("/").rpartition("/")[2] or model
