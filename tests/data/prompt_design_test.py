"""Prompt design: literal tokens, and what is cut first."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from prompt_tuning.data import ragged
from prompt_tuning.data.cached_task import CachedMixture, CachedSplit, CachedTask
from prompt_tuning.data.prompt_design import Cuts, PromptDesign
from prompt_tuning.types import UserError
from tests.training import toy

DIGITS: Any = toy.Digits()


def _task(length: int, queries: list[list[int]], examples: int = 3) -> CachedTask:
    def split(inputs: list[list[int]], targets: list[list[int]]) -> CachedSplit:
        return CachedSplit(ragged.from_sequences(inputs), ragged.from_sequences(targets), Path("f"))

    train = [[20 + i, 30 + i, 1] for i in range(examples)]
    return CachedTask(
        name="t",
        digest="d",
        splits={
            "train": split(train, [[40 + i, 1] for i in range(examples)]),
            "validation": split(queries, [[5, 1]] * len(queries)),
        },
        labels=(),
        metric_functions=(),
        postprocessor=None,
        lengths={"inputs": length, "targets": 2},
    )


def _tokens(task: CachedTask, **settings: Any) -> tuple[list[list[int]], Cuts]:
    design = PromptDesign(**{"text": "7 8", "shots": 2, "answer": "9", "seed": 0, **settings})
    changed, cuts = design.apply(task, None, DIGITS)
    assert isinstance(changed, CachedTask)
    split = changed.split("validation")
    return [split.inputs[i].tolist() for i in range(len(split))], cuts


def test_instruction_examples_and_input_stand_in_order():
    (tokens,), cuts = _tokens(_task(32, [[10, 11, 1]]))
    assert tokens[:2] == [7, 8] and tokens[-4:] == [10, 11, 9, 1]
    first, second = tokens[2:6], tokens[6:10]
    number = first[0] - 20
    assert first == [20 + number, 30 + number, 9, 40 + number]
    assert second[0] != first[0] and second[2] == 9
    assert cuts == Cuts(1, 0, 0, 0)


def test_without_text_and_examples_the_input_is_as_it_was():
    tokens, _ = _tokens(_task(32, [[10, 11, 1]]), text="", shots=0, answer="")
    assert tokens == [[10, 11, 1]]


def test_fewer_shots_take_the_last_of_the_same_examples():
    (two,), _ = _tokens(_task(32, [[10, 1]]))
    (one,), _ = _tokens(_task(32, [[10, 1]]), shots=1)
    assert one == [7, 8, *two[6:]]
    many = _task(99, [[10, 1]], examples=50)
    assert _tokens(many)[0] == _tokens(many)[0] != _tokens(many, seed=1)[0]


def test_examples_go_first_then_the_instruction_then_the_end_of_the_input():
    queries = [[10, 1], [10, 11, 12, 13, 1], [10, 11, 12, 13, 14, 15, 16, 1], [*range(10, 19), 1]]
    tokens, cuts = _tokens(_task(10, queries))
    # Of 9 tokens before EOS: one example; none; the instruction cut to one; the input cut to eight.
    assert [len(row) for row in tokens] == [9, 8, 10, 10]
    assert tokens[1] == [7, 8, 10, 11, 12, 13, 9, 1]
    assert tokens[2] == [7, 10, 11, 12, 13, 14, 15, 16, 9, 1]
    assert tokens[3] == [*range(10, 18), 9, 1]
    assert cuts == Cuts(inputs=4, examples=4, text=2, query=1)


def test_each_task_of_a_mixture_has_examples_of_its_own():
    part = _task(32, [[10, 1]])
    other = dataclasses.replace(
        part, name="o", splits={**part.splits, "test": part.splits["train"]}
    )
    mixture = CachedMixture("m", "d", ((part, 1.0), (other, 3.0)))
    design = PromptDesign(text="", shots=1, answer="", seed=0)
    changed, cuts = design.apply(mixture, None, DIGITS)
    assert [list(task.splits) for task, _ in changed.parts] == [["validation"], ["test"]]
    assert [rate for _, rate in changed.parts] == [1.0, 3.0]
    assert cuts.inputs == 1 + 3


def test_more_shots_than_examples_are_refused():
    with pytest.raises(UserError, match="shots is 4, but t has 3 training examples"):
        _tokens(_task(32, [[10, 1]]), shots=4)
    with pytest.raises(UserError, match="shots must not be negative, it is -1"):
        PromptDesign(text="", shots=-1, answer="", seed=0)
