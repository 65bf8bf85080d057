"""Tests that pre-training text stays clear of the suite."""

import pytest

from prompt_tuning.mini.corpus import INSTRUCTIONS, Exercise, example, passage
from prompt_tuning.mini.curriculum import FINAL, STAGES
from prompt_tuning.mini.draw import Draw
from prompt_tuning.mini.examples import GRAMMARS, draw_examples
from prompt_tuning.mini.labels import corpus_labels, held_out_labels
from prompt_tuning.mini.lexicon import HELD_OUT
from prompt_tuning.mini.suite import SUITE

EXERCISES = sorted({e for stage in STAGES for e in stage.adds}, key=str)

# The pre-training skill that each task's own skill is known by.
SKILL_OF_TASK = {
    "mini_text": "story",
    "mini_docnli": "inference",
    "mini_yelp": "sentiment",
    "mini_mnli": "inference3",
    "mini_qqp": "paraphrase",
    "mini_qnli": "answerable",
    "mini_record": "cloze",
    "mini_cxc": "similarity",
    "mini_squad": "extraction",
    "mini_drop": "counting",
    "mini_sst2": "sentiment",
    "mini_winogrande": "reference",
    "mini_hellaswag": "continuation",
    "mini_multirc": "candidate",
    "mini_blimp": "acceptability",
    "mini_senses": "sense",
    "mini_boolq": "verification",
    "mini_cola": "acceptability",
    "mini_stsb": "similarity",
    "mini_wic": "sense",
    "mini_cr": "sentiment",
    "mini_mrpc": "paraphrase",
    "mini_rte": "inference",
    "mini_wsc": "reference",
    "mini_copa": "causation",
    "mini_cb": "inference3",
}


def texts(exercise, n):
    draw = Draw("test", str(exercise))
    return [example(draw, exercise) for _ in range(n)]


@pytest.mark.parametrize("exercise", EXERCISES, ids=str)
def test_held_out_words_never_occur(exercise):
    words = {word for pair in texts(exercise, 300) for text in pair for word in text.split()}
    assert not words & HELD_OUT


@pytest.mark.parametrize("name", SUITE)
def test_a_skill_is_never_answered_with_the_label_words_of_its_tasks(name):
    task = SUITE[name]
    skill = SKILL_OF_TASK[name]
    if task.labels:
        assert task.labels in held_out_labels(skill)
        assert task.labels not in corpus_labels(skill)


@pytest.mark.parametrize("name", SUITE)
def test_no_task_input_and_no_task_layout_occurs_in_text_of_its_skill(name):
    inputs = [e["inputs"] for split in SUITE[name].sizes for e in draw_examples(name, split)]
    skill = SKILL_OF_TASK[name]
    for exercise in (e for e in EXERCISES if e.skill == skill):
        for text, _ in texts(exercise, 300):
            body = text.split(" ? ", 1)[1] if " or " in text else text.split(" : ", 1)[1]
            assert not shows(GRAMMARS[name].layout, body)
            assert body not in inputs


def shows(layout, body):
    """Tells whether every introducing word of the layout stands in the text, in order."""
    if layout == ("",):
        return ":" not in body
    at = 0
    for words in layout:
        at = body.find(words, at) + len(words)
        if at < len(words):
            return False
    return body.startswith(layout[0])


@pytest.mark.parametrize("skill", INSTRUCTIONS)
def test_every_instruction_is_used(skill):
    exercise = next((e for e in EXERCISES if e.skill == skill), Exercise(skill, 1))
    found = {i for text, _ in texts(exercise, 200) for i in INSTRUCTIONS[skill] if i in text}
    assert found == set(INSTRUCTIONS[skill]) or exercise.skill == "sense"


def test_the_answer_is_among_the_words_of_the_instruction():
    for exercise in FINAL:
        for text, answer in texts(exercise, 50):
            if exercise.wide:
                assert f" {answer} " in text.split("?")[0]


def test_span_corruption_can_be_undone():
    draw = Draw(5)
    text, target = example(draw, Exercise("spans", 1))
    pieces = target.replace("<extra_id_0>", "").split("<extra_id_1>")
    spans = [pieces[0].strip(), pieces[1].replace("<extra_id_2>", "").strip()]
    restored = text.replace("<extra_id_0>", spans[0]).replace("<extra_id_1>", spans[1])
    assert "<" not in restored
    assert len(restored.split()) == len(text.split()) - 2 + sum(len(s.split()) for s in spans)


def test_passages_are_plain_text():
    draw = Draw(6)
    assert not any(":" in passage(draw) for _ in range(100))


def test_stages_retire_only_what_was_added():
    active: set[Exercise] = set()
    for stage in STAGES:
        active |= set(stage.adds)
        assert set(stage.retires) <= active
        active -= set(stage.retires)
    assert active - set(FINAL) <= {Exercise("spans", 1)}
    assert set(FINAL) <= active
