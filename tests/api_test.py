"""The package from Python: what it tunes, scores and answers, and that commands do the same."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gin
import jax
import numpy as np
import pytest

import prompt_tuning as pt
from prompt_tuning.analysis import results
from prompt_tuning.cli.main import main
from prompt_tuning.data.user_task.reading import FileTask
from prompt_tuning.data.user_task.tokens import tokenize_file_task
from prompt_tuning.models.scoring import Rank
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import SampledVocab
from tests.cli.conftest import flags

NOUNS = ("film", "plot", "scene", "ending", "actor", "dialogue")
GOOD = ("brilliant", "excellent", "wonderful", "witty")
BAD = ("boring", "clumsy", "miserable", "nasty")
TEXTS = [f"the {noun} was {word} ." for noun in NOUNS for word in GOOD + BAD]
LABELS = ["up" if word in GOOD else "down" for _ in NOUNS for word in GOOD + BAD]
SEEDS = (0, 1, 2)
SHORT: dict[str, Any] = {"TRAIN_STEPS": 8, "EVAL_PERIOD": 4, "BATCH_SIZE": 4, "PROMPT_LENGTH": 4}


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Returns a cache directory, and puts back what an open model sets in the process."""
    compiled = tmp_path_factory.getbasetemp().parent / "compiled"
    compiled.mkdir(exist_ok=True)
    folder = tmp_path_factory.mktemp("cache")
    (folder / "compiled").symlink_to(compiled)
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    xla_flags = os.environ.get("XLA_FLAGS")
    yield str(folder)
    for name, value in before.items():
        jax.config.update(name, value)
    os.environ.pop("XLA_FLAGS", None)
    if xla_flags is not None:
        os.environ["XLA_FLAGS"] = xla_flags


@pytest.fixture(scope="module")
def model(cache_dir: str) -> pt.Model:
    return pt.open_model("t5_mini", CACHE_DIR=cache_dir, **{"Setup.shape_count": 1})


@pytest.fixture(scope="module")
def task() -> pt.Task:
    return pt.make_task(TEXTS, LABELS, name="reviews")


@pytest.fixture(scope="module")
def result(model: pt.Model, task: pt.Task) -> pt.Result:
    """Returns prompts of three seeds."""
    return pt.tune(model, task, seeds=SEEDS, **SHORT)


def test_importing_the_package_loads_nothing_and_its_names_are_there():
    code = "import sys, json, prompt_tuning as pt; names = dir(pt); print(json.dumps([names, "
    code += "[name for name in sys.modules if name.startswith('prompt_tuning')], "
    code += "bool({'jax', 'numpy', 'gin', 'seqio', 'tensorflow', 'rich'} & set(sys.modules))]))"
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    names, modules, heavy = json.loads(run.stdout)
    assert modules == ["prompt_tuning"] and not heavy
    (line,) = (line for line in run.stderr.splitlines() if line.endswith("| prompt_tuning"))
    assert int(line.split("|")[1]) < 100_000  # microseconds
    for name in ("open_model", "make_task", "open_task", "tune", "score", "answer", "load_prompt"):
        assert name in names and callable(getattr(pt, name))
    assert pt.load_prompt is files.load
    with pytest.raises(AttributeError, match="open_modle"):
        pt.open_modle  # pyright: ignore  # noqa: B018


def test_gold_answers_score_100(model: pt.Model, task: FileTask):
    cached = tokenize_file_task(task, model.opened.vocabulary, model.setup.feature_lengths).task
    assert {name: len(split) for name, split in cached.splits.items()} == {
        "train": 38,
        "validation": 5,
        "test": 5,
    }
    for name in ("validation", "test"):
        split = cached.split(name)
        assert cached.evaluate(name, split.target_texts) == {"accuracy": 100.0}


def test_prompts_learn_the_labels(model: pt.Model, task: pt.Task):
    tuned = pt.tune(model, task, steps=60, eval_period=20, batch_size=16, seeds=0)
    ((name, curve),) = tuned.curves.items()
    assert [step for step, _ in curve] == [0, 20, 40, 60]
    assert tuned.scores[name] == 100.0 > curve[0][1]
    assert pt.answer(model, tuned.best, ["the story was excellent .", "a boring film ."]) == [
        "up",
        "down",
    ]


def test_three_seeds_give_what_the_command_gives_bit_for_bit(
    model: pt.Model, task: pt.Task, result: pt.Result, cache_dir: str, tmp_path: Path
):
    data = tmp_path / "reviews.csv"
    lines = (f"{text},{label}" for text, label in zip(TEXTS, LABELS, strict=True))
    data.write_text("\n".join(["text,label", *lines]))
    bindings = {"TASK_FILE": str(data), "MODEL_DIR": str(tmp_path / "run"), "RANDOM_SEED": SEEDS}
    words = flags(**bindings, CACHE_DIR=cache_dir, Setup__shape_count=1, **SHORT)
    assert main(["train", "--gin_file=models/t5_mini.gin", *words]) == 0
    folders = {name: tmp_path / "run" / "prompts" / name for name in result.prompts}
    assert len(folders) == len(SEEDS)
    for name, folder in folders.items():
        kept = files.load(folder / "best.safetensors")
        np.testing.assert_array_equal(kept.array, result.prompts[name].array, strict=True)
        differ = {
            key for key in kept.metadata if kept.metadata[key] != result.prompts[name].metadata[key]
        }
        assert differ <= {"created"}
    rows = results.read_records(tmp_path / "run" / "results.json")
    assert [{**row, "seconds": 0} for row in rows] == [{**r, "seconds": 0} for r in result.results]
    # A file of examples is the same task, and the run of the command is finished here too.
    of_file = pt.open_task(str(data), model)
    again = pt.tune(model, of_file, seeds=SEEDS, directory=tmp_path / "run", **SHORT)
    assert [r.seconds for r in again.row_results] == [row["seconds"] for row in rows]


def test_a_directory_holds_the_run_and_an_ended_one_is_not_run_again(
    model: pt.Model, task: pt.Task, result: pt.Result, tmp_path: Path
):
    first = pt.tune(model, task, seeds=SEEDS, directory=tmp_path, **SHORT)
    assert first.scores == result.scores and first.curves == result.curves
    assert results.read_records(tmp_path / "results.json") == first.results
    assert "TRAIN_STEPS = 8" in (tmp_path / "operative_config.gin").read_text()
    again = pt.tune(model, task, seeds=SEEDS, directory=tmp_path, **SHORT)
    assert again.results == first.results
    with pytest.raises(pt.UserError, match="other settings"):
        pt.tune(model, task, seeds=SEEDS, directory=tmp_path, learning_rate=0.1, **SHORT)


def test_a_saved_prompt_scores_as_its_run_did_and_many_score_together(
    model: pt.Model, task: pt.Task, result: pt.Result, tmp_path: Path
):
    best = result.best
    best.save(tmp_path / "prompt.safetensors")
    prompt = pt.load_prompt(tmp_path / "prompt.safetensors")
    np.testing.assert_array_equal(prompt.array, best.array, strict=True)
    assert prompt.metadata["task"] == "reviews" and prompt.label_words == ("down", "up")
    assert pt.score(model, prompt, task) == result.scores[prompt.name]
    prompts = list(result.prompts.values())
    assert pt.score(model, prompts, task) == list(result.scores.values())
    (validation,) = {r.validation for r in result.row_results if r.row["name"] == prompt.name}
    assert pt.score(model, prompt, task, split="validation") == validation
    assert validation == max(r.validation for r in result.row_results)


def test_answers_come_by_prompt_and_text(model: pt.Model, result: pt.Result):
    prompts = list(result.prompts.values())
    together = pt.answer(model, prompts, TEXTS[:3], decoder=Rank())
    assert together == [pt.answer(model, prompt, TEXTS[:3], decoder=Rank()) for prompt in prompts]
    assert {text for texts in together for text in texts} <= {"up", "down"}


def test_a_result_prints_as_a_table_of_its_scores(result: pt.Result):
    assert "reviews" in repr(result) and "accuracy" in repr(result)
    assert set(result.scores) == {f"reviews.class_labels.seed{seed}" for seed in SEEDS}


def test_the_frozen_weights_and_the_configuration_of_gin_stay_as_they_are(
    model: pt.Model, task: pt.Task
):
    def weights() -> list[bytes]:
        return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(model.opened.frozen)]

    before = weights()
    gin.clear_config()
    gin.parse_config("Adafactor.clip_rms = 7.0")
    try:
        tuned = pt.tune(model, task, **SHORT)
        pt.score(model, tuned.best, task)
        assert gin.query_parameter("Adafactor.clip_rms") == 7.0
    finally:
        gin.clear_config()
    assert weights() == before


def test_a_start_a_parameterization_and_settings_can_be_given(
    model: pt.Model, task: pt.Task, tmp_path: Path
):
    other = pt.make_task(TEXTS[:40], LABELS[:40], name="fewer")
    tuned = pt.tune(
        model,
        [task, other],
        steps=2,
        batch_size=4,
        learning_rate=0.1,
        seeds=list(np.arange(1)),  # pyright: ignore[reportArgumentType]
        start=SampledVocab(None),
        parameterization=PromptTable(3),
        directory=tmp_path,
        PLACEMENT="suffix_before_eos",
    )
    assert [row["target"] for row in tuned.results] == ["reviews", "fewer"]
    assert {row["init"] for row in tuned.results} == {"sampled_vocab"}
    prompts = list(tuned.prompts.values())
    assert {prompt.array.shape for prompt in prompts} == {(3, model.opened.width)}
    assert {prompt.metadata["placement"] for prompt in prompts} == {"suffix_before_eos"}
    text = (tmp_path / "operative_config.gin").read_text()
    assert "PromptTable(length=3)" in text and "LEARNING_RATE = 0.1" in text
    assert pt.score(model, prompts[0], task) == tuned.scores[prompts[0].name]
    with pytest.raises(pt.UserError, match="reviews, fewer"):
        _ = tuned.best


def test_targets_begin_as_the_prompt_was_tuned(task: pt.Task, cache_dir: str, model: pt.Model):
    prefixed = pt.open_model("t5_mini", CACHE_DIR=cache_dir, TARGET_PREFIX="the")
    tuned = pt.tune(prefixed, task, **SHORT)
    assert tuned.best.metadata["target_prefix"] == "the"
    assert pt.score(model, tuned.best, task) == tuned.scores[tuned.best.name]


@pytest.mark.parametrize(
    ("texts", "labels", "settings", "words"),
    [
        ([], [], {}, "there are none"),
        ("a film", ["up"], {}, "single text"),
        (["a film", " "], ["up", "down"], {}, "item 1"),
        (["a film", None], ["up", "down"], {}, "item 1"),
        (["a film", "a plot"], ["up"], {}, "2 texts and 1 labels"),
        (["a film", "a plot"], ["up", ""], {}, "item 1"),
        (["a film", "a plot"], ["up", float("nan")], {}, "item 1"),
        (TEXTS, ["up"] * len(TEXTS), {}, "every example has the label 'up'"),
        (["a film", "a plot"], ["up", "down"], {"answers": "labels"}, "is left for"),
        (TEXTS, LABELS, {"metric": "accuracy"}, "did you mean metrics"),
        (TEXTS, LABELS, {"metrics": "acuracy"}, "did you mean accuracy"),
    ],
)
def test_texts_that_make_no_task_are_refused(texts, labels, settings, words):
    with pytest.raises(pt.UserError, match=words):
        pt.make_task(texts, labels, **settings)


def test_validation_and_test_examples_can_be_given():
    pair = (["a boring film .", "a witty film ."], [1, 0])
    task = pt.make_task(
        TEXTS,
        [int(label == "down") for label in LABELS],
        validation=pair,
        test=pair,
        label_words={"0": "up", "1": "down"},
    )
    assert {name: len(examples) for name, examples in task.splits.items()} == {
        "train": len(TEXTS),
        "validation": 2,
        "test": 2,
    }
    assert [example.targets for example in task.splits["test"]] == ["down", "up"]


def test_what_cannot_be_used_is_refused(model: pt.Model, task: pt.Task, result: pt.Result):
    with pytest.raises(pt.UserError, match=r"did you mean.* t5_mini"):
        pt.open_model("t5_mimi")
    with pytest.raises(pt.UserError, match=r"DROPOUT_RATE.* no effect"):
        pt.open_model("t5_mini", DROPOUT_RATE=0.5)
    with pytest.raises(pt.UserError, match="did you mean LEARNING_RATE"):
        pt.tune(model, task, LEARNING_RAET=0.5, **SHORT)
    with pytest.raises(pt.UserError, match="PROMPT_INIT"):
        pt.tune(model, task, PROMPT_INIT=SampledVocab(None), **SHORT)
    with pytest.raises(pt.UserError, match=r"feature_lengths.*open_model"):
        pt.tune(model, task, TASK_FEATURE_LENGTHS={"inputs": 8, "targets": 8}, **SHORT)
    with pytest.raises(pt.UserError, match="two tasks are called 'reviews'"):
        pt.tune(model, [task, task], **SHORT)
    with pytest.raises(pt.UserError, match="leave out prompt_length"):
        pt.tune(model, task, prompt_length=3, parameterization=PromptTable(3))
    with pytest.raises(pt.UserError, match="no split 'tset'"):
        pt.score(model, result.best, task, split="tset")
    with pytest.raises(pt.UserError, match="no prompts"):
        pt.score(model, [], task)
    with pytest.raises(pt.UserError, match="item 0 is ''"):
        pt.answer(model, result.best, [""])
    for word, reason in (("\N{ZERO WIDTH SPACE}", "cannot write"), ("DOWN", "are the same")):
        words = [word if label == "up" else label for label in LABELS]
        with pytest.raises(pt.UserError, match=reason):
            pt.tune(model, pt.make_task(TEXTS, words), **SHORT)
    others = pt.make_task(TEXTS, ["true" if x == "up" else "false" for x in LABELS], name="reviews")
    with pytest.raises(pt.UserError, match="answer reviews with down, up"):
        pt.score(model, result.best, others)
