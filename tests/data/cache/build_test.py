"""Tokenizing through SeqIO in another process: the mini suite's tasks and a user's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import prompt_tuning
from prompt_tuning.data.cache import opening, tokenizing
from prompt_tuning.data.cache.entry import Cache
from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.mini import suite
from prompt_tuning.mini.examples import draw_examples
from prompt_tuning.mini.suite import SUITE
from prompt_tuning.types import UserError

ROOT = Path(prompt_tuning.__file__).parents[1]
LENGTHS = {"inputs": 24, "targets": 8}

OWN_METRICS = """
def starts(targets, predictions, letters):
    hits = [t[:letters] == p[:letters] for t, p in zip(targets, predictions)]
    return {"starts": 100.0 * sum(hits) / len(hits), "count": len(hits)}


def shout(output, example=None, is_target=False, mark="?"):
    return f"{output.upper()}{mark}{example['id'] if is_target else ''}"
"""

OWN_TASKS = """
import functools

import own_metrics
import seqio
import tensorflow as tf

print("a task module may print")
vocabulary = seqio.SentencePieceVocabulary("/nowhere/sentencepiece.model", 100)
feature = seqio.Feature(vocabulary, add_eos=True)


def examples(split, shuffle_files):
    words = ["film", "meal", "phone"] if split == "train" else ["hotel"]
    rows = {"text": words, "id": list(range(len(words)))}
    return tf.data.Dataset.from_tensor_slices(rows)


@seqio.map_over_dataset
def ask(row, question):
    return {
        "inputs": tf.strings.join([question, row["text"]], " "),
        "targets": tf.constant("good"),
        "id": row["id"],
        "answers": tf.fill([row["id"] + 1], "good"),
    }


seqio.TaskRegistry.add(
    "own_task",
    source=seqio.FunctionDataSource(examples, splits=("train", "validation")),
    preprocessors=[
        functools.partial(ask, question="was this good :"),
        seqio.preprocessors.tokenize,
        seqio.preprocessors.append_eos_after_trim,
    ],
    output_features={"inputs": feature, "targets": feature},
    metric_fns=[functools.partial(own_metrics.starts, letters=2)],
    postprocess_fn=functools.partial(own_metrics.shout, mark="!"),
)
seqio.MixtureRegistry.add("own_mixture", [("own_task", 1), ("mini_cb", 3.0)])
"""


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(ROOT / "prompt_tuning" / "mini" / "t5_mini" / "sentencepiece.model", 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a folder with a user's modules, importable while these tests run."""
    path = tmp_path_factory.mktemp("own")
    (path / "own_metrics.py").write_text(OWN_METRICS)
    (path / "own_tasks.py").write_text(OWN_TASKS)
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))


def ensure(folder, vocabulary, names, report=print, modules=("own_tasks",)):
    cache = Cache(folder / "cache", vocabulary, LENGTHS, modules=modules)
    return opening.ensure_cached(cache, names, report)


@pytest.fixture(scope="module")
def built(folder, vocabulary):
    """Returns what the first call says and gives: a mixture, a mini task, an open one."""
    messages = []
    opened = ensure(folder, vocabulary, ["own_mixture", "mini_cb", "mini_text"], messages.append)
    return messages, opened


def test_first_call_tokenizes_and_says_so_once(built):
    messages, (mixture, task, _) = built
    (message,) = messages
    assert message.startswith("tokenized ")
    assert isinstance(mixture, CachedMixture) and isinstance(task, CachedTask)
    assert {part.name: rate for part, rate in mixture.parts} == {"own_task": 1.0, "mini_cb": 3.0}


@pytest.mark.parametrize("index", [1, 2])
def test_tokens_are_those_of_the_text(built, vocabulary, index):
    task = built[1][index]
    for name, size in SUITE[task.name].sizes.items():
        split, texts = task.split(name), draw_examples(task.name, name)
        assert len(split) == size
        for i in range(0, size, 7):
            assert split.inputs[i].tolist() == [*vocabulary.encode(texts[i]["inputs"])[:23], 1]
            assert split.targets[i].tolist() == [*vocabulary.encode(texts[i]["targets"])[:7], 1]
            if name != "train":
                assert split.fields[i]["targets_pretokenized"] == texts[i]["targets"]


def test_metrics_and_labels_come_along(built):
    _, task, text = built[1]
    assert (task.labels, text.labels) == (SUITE["mini_cb"].labels, ())
    wanted = task.split("test").target_texts
    assert task.evaluate("test", wanted) == {"accuracy": 100.0}
    assert task.evaluate("test", ["none"] * len(wanted)) == {"accuracy": 0.0}
    assert text.evaluate("test", text.split("test").target_texts) == {"token_f1": 100.0}


def test_a_users_own_task(built, vocabulary):
    own = next(task for task in built[1][0].tasks if task.name == "own_task")
    inputs = [vocabulary.decode(tokens) for tokens in own.split("train").inputs]
    assert inputs == [f"was this good : {word}" for word in ("film", "meal", "phone")]
    (fields,) = own.split("validation").fields
    assert (fields["id"], fields["answers"]) == (0, ["good"])
    assert own.postprocessor == {"fn": "own_metrics:shout", "kwargs": {"mark": "!"}}
    assert own.evaluate("validation", ["going"]) == {"starts": 100.0, "count": 1.0}


def test_training_reads_the_cache_without_tensorflow_or_seqio(built, folder, vocabulary):
    code = f"""
import json, pathlib, sys
from prompt_tuning.data import metrics, postprocessors
from prompt_tuning.data.batches import pipeline
from prompt_tuning.data.cache import opening
from prompt_tuning.data.cache.entry import Cache
from prompt_tuning.data.vocabulary import Vocabulary
vocabulary = Vocabulary({str(vocabulary.path)!r}, 16)
cache = Cache(pathlib.Path({str(folder / "cache")!r}), vocabulary, {LENGTHS}, ("own_tasks",))
opened = opening.ensure_cached(cache, ["own_mixture", "mini_cb"], print)
parts = [(task.split("train"), rate) for task, rate in opened[0].parts]
shapes = pipeline.choose_shapes([split for split, _ in parts], 3, 4)
batches = pipeline.Batches(parts, batch_size=4, seed=0, shapes=shapes, process_index=0,
    process_count=1)
batches.next()
task = opened[1]
task.evaluate("test", task.split("test").target_texts)
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    (line,) = out.splitlines()  # and nothing was tokenized again
    assert not {"tensorflow", "seqio", "gin", "clu", "own_tasks"} & set(json.loads(line))


def test_metrics_may_change_without_tokenizing_again(built, folder, vocabulary):
    metrics = folder / "own_metrics.py"
    metrics.write_text(metrics.read_text() + "# a comment\n")
    messages = []
    (own,) = ensure(folder, vocabulary, ["own_task"], messages.append)
    assert messages == ["tokenizing own_task again: own_metrics changed since it was made"]
    assert isinstance(own, CachedTask)
    assert own.evaluate("validation", ["going"]) == {"starts": 100.0, "count": 1.0}


def test_the_packages_own_modules_are_no_part_of_an_entry(built, folder):
    manifests = {
        path.parent.name.rpartition("-")[0]: json.loads(path.read_text())
        for path in (folder / "cache").glob("*/manifest.json")
    }
    for name in ("mini_cb", "mini_text"):
        assert manifests[name]["version"] == str(suite.VERSION)
        assert manifests[name]["token_modules"] == manifests[name]["scoring_modules"] == {}
    assert manifests["own_task"]["version"] is None
    assert set(manifests["own_task"]["token_modules"]) == {"own_tasks"}
    assert set(manifests["own_task"]["scoring_modules"]) == {"own_metrics"}


def test_changes_and_damage_are_repaired_with_a_message(built, folder, vocabulary):
    entry = next((folder / "cache").glob("mini_cb-*"))
    (entry / "train.inputs.tokens.npy").write_bytes(b"damaged")
    tasks = folder / "own_tasks.py"
    tasks.write_text(tasks.read_text().replace("was this good", "is this good"))
    messages = []
    own, _ = ensure(folder, vocabulary, ["own_task", "mini_cb"], messages.append)
    assert messages[:2] == [
        "tokenizing own_task again: own_tasks changed since it was made",
        "tokenizing mini_cb again: its train.inputs.tokens.npy is damaged",
    ]
    assert isinstance(own, CachedTask)
    assert vocabulary.decode(own.split("train").inputs[0]) == "is this good : film"
    messages.clear()
    ensure(folder, vocabulary, ["own_task", "mini_cb"], messages.append)
    assert messages == []


def test_a_raised_version_tokenizes_again(built, folder, vocabulary, monkeypatch):
    entry = next((folder / "cache").glob("mini_text-*")) / "manifest.json"
    manifest = json.loads(entry.read_text())
    entry.write_text(json.dumps(manifest | {"version": "0"}))
    messages = []
    ensure(folder, vocabulary, ["mini_text"], messages.append)
    assert messages[0] == "tokenizing mini_text again: the package has another version of it"
    assert messages[1].startswith("tokenized mini_text in")
    assert json.loads(entry.read_text())["version"] == manifest["version"]


def test_a_source_with_a_version_is_tokenized_again_where_that_changes(folder, vocabulary):
    tasks = folder / "versioned_tasks.py"
    text = OWN_TASKS.replace("own_task", "versioned").partition("seqio.MixtureRegistry")[0]
    text += "\nseqio.TaskRegistry.get('versioned').source.version = 1\n"
    tasks.write_text(text)

    def messages():
        lines = []
        ensure(folder, vocabulary, ["versioned"], lines.append, modules=("versioned_tasks",))
        return lines

    changed = "tokenizing versioned again: versioned_tasks changed since it was made"
    assert messages()[0].startswith("tokenized versioned")
    tasks.write_text(f"# a comment\n{text}")
    assert messages() == [changed]
    assert messages() == []
    tasks.write_text(text.replace("version = 1", "version = 2"))
    first, second = messages()
    assert first == changed and second.startswith("tokenized versioned")


def test_the_other_process_reports_its_error(folder, vocabulary, monkeypatch):
    (folder / "builder.py").write_text('print(\'{"error": "no task x; name another"}\')\n')
    monkeypatch.setattr(tokenizing, "BUILDER", "builder")
    with pytest.raises(UserError, match=r"^no task x; name another$"):
        ensure(folder, vocabulary, ["x"])


def test_the_other_process_dies(folder, vocabulary, monkeypatch):
    (folder / "builder.py").write_text("import sys\nsys.exit('no memory left')\n")
    monkeypatch.setattr(tokenizing, "BUILDER", "builder")
    with pytest.raises(UserError, match=r"^tokenizing stopped: no memory left$"):
        ensure(folder, vocabulary, ["x"])
