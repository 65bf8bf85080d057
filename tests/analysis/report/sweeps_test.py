"""Sweeps: what was varied in order, and lines for what was not."""

import matplotlib.image

from prompt_tuning.analysis.report.glue import SUPER_GLUE
from prompt_tuning.analysis.report.sweeps import find_sweeps
from prompt_tuning.analysis.table import markdown
from tests.analysis.made_up_records import records, results_of


def body(sweep) -> list[str]:
    return [line for line in markdown(sweep.table()).splitlines() if line.startswith("|")]


def pixels(image):
    return (image[:, :, :3] * 255).round().astype(int).reshape(-1, 3)


def lengths(backbone: str, lift: float) -> list:
    found = []
    for length in (100, 5, 20):
        scores = {f"{task}_unprefixed": [lift + length / 10] for task in SUPER_GLUE.tasks}
        found += results_of(records(scores, backbone=backbone), prompt_length=str(length))
    return found


def test_lengths_stand_in_order_with_the_average_first(tmp_path):
    (sweep,) = find_sweeps(lengths("t5_mini", 50.0) + lengths("t5_small", 60.0))
    lines = body(sweep)
    assert lines[0] == "| task | model | 5 | 20 | 100 |"
    assert lines[2] == "| SuperGLUE average, unprefixed | t5_mini | 50.5 | 52.0 | 60.0 |"
    assert lines[3] == "| super_glue_boolq_unprefixed | t5_mini | 50.5 | 52.0 | 60.0 |"
    assert lines[11] == "| SuperGLUE average, unprefixed | t5_small | 60.5 | 62.0 | 70.0 |"
    sweep.chart(tmp_path / "chart.png")
    image = matplotlib.image.imread(tmp_path / "chart.png")
    colors = {tuple(pixel) for pixel in pixels(image)}
    # The two averages have lines, the sixteen tasks have none.
    assert {(0, 114, 178), (213, 94, 0)} <= colors
    assert (0, 158, 115) not in colors


def test_what_the_sweep_set_does_not_tear_its_lines_apart(tmp_path):
    found = []
    for init, score in (("uniform", 40.0), ("class_labels", 60.0)):
        scored = records({"snli": [score, score + 2]}, init=init)
        found += results_of(scored, start=init)
    (sweep,) = find_sweeps(found)
    assert body(sweep) == [
        "| task | uniform | class_labels |",
        "| --- | ---: | ---: |",
        "| snli | 41.0 ± 1.4 | 61.0 ± 1.4 |",
    ]
    sweep.chart(tmp_path / "chart.png")
    image = matplotlib.image.imread(tmp_path / "chart.png")
    assert (0, 114, 178) in {tuple(pixel) for pixel in pixels(image)}


def test_a_sweep_in_a_sweep_is_told_apart_by_the_outer_one():
    found = []
    for size in ("1", "2"):
        for length in ("5", "20"):
            scored = records({"snli": [float(size + length)]})
            found += results_of(scored, size=size, length=length)
    outer, inner = find_sweeps(found)
    assert outer.name == "size"
    assert body(inner)[2:] == ["| snli | 1 | 15.0 | 120.0 |", "| snli | 2 | 25.0 | 220.0 |"]
