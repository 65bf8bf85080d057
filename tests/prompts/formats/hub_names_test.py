"""Names of backbones on the hub: published ones, and any others."""

from pathlib import Path

import pytest

from prompt_tuning.prompts.formats.hub_names import backbone_of, hub_name

CONFIGS = Path(__file__).parents[3] / "configs" / "models"


def test_every_published_size_has_a_name_both_ways():
    sizes = {path.stem for path in CONFIGS.glob("*.gin")} - {"t5_1_0", "t5_1_1", "mt5", "t5_mini"}
    names = {size: hub_name(size) for size in sizes}
    assert len(sizes) == 20 == len(set(names.values())) and None not in names.values()
    assert all(backbone_of(name or "") == size for size, name in names.items())
    assert hub_name("t5_1_1_lm100k_base") == "google/t5-base-lm-adapt"


@pytest.mark.parametrize(
    ("model", "backbone"),
    [
        ("t5-small", "t5_1_0_small"),
        ("google/flan-t5-base", "flan-t5-base"),
        ("google/flan-t5-base@refs/pr/1", "flan-t5-base"),
        ("/models/mine/", "mine"),
        ("mine", "mine"),
        ("/", "/"),
    ],
)
def test_another_model_is_called_by_the_last_part_of_its_name(model, backbone):
    assert backbone_of(model) == backbone
    assert hub_name("mine") is None
