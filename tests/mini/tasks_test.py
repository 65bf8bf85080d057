"""The tasks of the suite are ordinary SeqIO tasks."""

import pytest
import seqio

import prompt_tuning.mini.tasks  # noqa: F401 (registers them)
from prompt_tuning.data.declarations import CAP
from prompt_tuning.data.tasks import proportional_rate
from prompt_tuning.mini.examples import draw_examples
from prompt_tuning.mini.suite import SOURCES, SUITE


def test_every_task_of_the_suite_is_registered():
    for name, mini in SUITE.items():
        task = seqio.get_mixture_or_task(name)
        assert isinstance(task, seqio.Task)
        assert set(task.splits) == set(mini.sizes)
        assert set(task.output_features) == {"inputs", "targets"}
        assert len(task.metric_fns) == 1


def test_examples_end_in_eos_even_when_cut():
    task = seqio.TaskRegistry.get("mini_cb")
    lengths = {"inputs": 12, "targets": 4}
    for example in task.get_dataset(lengths, "validation", shuffle=False).take(5):
        tokens = example["inputs"].numpy()
        assert len(tokens) == 12 and tokens[-1] == 1 and 1 not in tokens[:-1]
        assert example["targets"].numpy()[-1] == 1


@pytest.mark.parametrize("name", ["mini_cb", "mini_squad"])
def test_a_seqio_evaluator_can_score(name):
    task = seqio.TaskRegistry.get(name)
    examples = draw_examples(name, "test")
    targets = [task.postprocess_fn(e["targets"], example=e, is_target=True) for e in examples]
    wrong = [task.postprocess_fn("none of them", example=e, is_target=False) for e in examples]
    (metric,) = task.predict_metric_fns
    assert set(metric(targets, targets).values()) == {100.0}
    assert set(metric(targets, wrong).values()) == {0.0}


def test_rates_are_examples_with_a_cap():
    task = seqio.TaskRegistry.get("mini_qqp")
    count = SUITE["mini_qqp"].sizes["train"]
    assert proportional_rate(CAP)(task) == count
    assert proportional_rate(100)(task) == 100.0


def test_mixtures_of_sources():
    everything = seqio.MixtureRegistry.get("mini_sources")
    assert {task.name for task in everything.tasks} == set(SOURCES)
    inference = seqio.MixtureRegistry.get("mini_inference_sources")
    assert {task.name for task in inference.tasks} == {"mini_docnli", "mini_mnli", "mini_qnli"}
