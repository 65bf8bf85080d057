"""`infer` answers lines with the prompts they ask for, in one batch, by every decoder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import flags

FIRST, SECOND = ROWS = ("mini_sst2.class_labels.seed0", "mini_cr.class_labels.seed0")
LINES = [
    {"inputs": "the film was warm", "prompt": SECOND},
    {"inputs": "the actor was dull and the story was slow"},
    {"inputs": "a hotel", "prompt": FIRST},
]
ASKED = [(0, SECOND), (1, FIRST), (1, SECOND), (2, FIRST)]
"""Line and prompt of each answer."""


@pytest.mark.parametrize("decoder", ["Greedy", "Beam", "Nucleus", "Rank"])
def test_every_line_is_answered_by_the_prompt_it_names_or_by_all(
    cache_dir: Path, trained: Path, tmp_path: Path, here: Callable[..., int], decoder: str
):
    questions, answers = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"

    def answer(lines: list[dict[str, str]]) -> list[dict[str, str]]:
        questions.write_text("\n\n".join(map(json.dumps, lines)))
        files = tuple(str(trained / "prompts" / row / "best.safetensors") for row in ROWS)
        words = flags(
            CACHE_DIR=str(cache_dir),
            PROMPT_FILES=files,
            INPUT_FILE=str(questions),
            OUTPUT_FILE=str(answers),
            Setup__shape_count=1,
            Prompts__batch_size=4,
            infer__max_target_tokens=4,
        )
        words += [f"--gin.DECODER=@{decoder}()"]
        if decoder == "Rank":
            words += flags(CLASS_LABELS=("good", "bad"))
        assert here("infer", "--gin_file=runs/train_mini.gin", *words) == 0
        return [json.loads(line) for line in answers.read_text().splitlines()]

    mixed = answer(LINES)
    assert [(a["inputs"], a["prompt"]) for a in mixed] == [
        (LINES[line]["inputs"], prompt) for line, prompt in ASKED
    ]
    assert all(set(a) == {"inputs", "prompt", "prediction"} for a in mixed)
    if decoder == "Rank":
        assert {a["prediction"] for a in mixed} <= {"good", "bad"}
    if decoder == "Greedy":
        assert answer(LINES[:1]) == mixed[:1]
