"""Prompt files: round trips, refusals, damage, and writing whole or not at all."""

import io
import json
import os
import pickle

import numpy as np
import pytest
import safetensors.numpy

import prompt_tuning
from prompt_tuning.prompts import files
from prompt_tuning.types import UserError

ARRAY = np.arange(6, dtype=np.float32).reshape(3, 2) / 7


@pytest.fixture
def prompt():
    return files.describe(
        ARRAY,
        name="sst2",
        task="mini_sst2",
        backbone="t5_mini",
        backbone_digest="ab" * 32,
        step=400,
        seed=3,
        init="class_labels",
        metrics={"score": 91.5, "accuracy": 91.5},
        created="2026-01-01T00:00:00Z",
    )


def fits(**changes):
    wanted = {
        "backbone": "t5_mini",
        "backbone_digest": "ab" * 32,
        "prompt_length": 3,
        "hidden_size": 2,
    }
    return wanted | changes


def written(array, metadata):
    return safetensors.numpy.save({"prompt": array}, metadata)


def npy(array, *, allow_pickle=False):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def test_a_prompt_survives_a_round_trip(tmp_path, prompt):
    files.save(tmp_path / "best.safetensors", prompt)
    loaded = files.load(tmp_path / "best.safetensors")
    np.testing.assert_array_equal(loaded.array, ARRAY)
    assert loaded.array.dtype == np.float32 and loaded.metadata == prompt.metadata


def test_the_metadata_is_complete(prompt):
    assert prompt.metadata == {
        "format_version": "1",
        "name": "sst2",
        "task": "mini_sst2",
        "backbone": "t5_mini",
        "backbone_digest": "ab" * 32,
        "prompt_length": "3",
        "hidden_size": "2",
        "step": "400",
        "seed": "3",
        "init": "class_labels",
        "metrics": '{"accuracy": 91.5, "score": 91.5}',
        "created": "2026-01-01T00:00:00Z",
        "version": prompt_tuning.__version__,
    }
    assert json.loads(prompt.metadata["metrics"])["score"] == 91.5


def test_the_metadata_records_the_known_settings_of_use(tmp_path):
    prompt = files.describe(
        ARRAY,
        name="own",
        task="reviews",
        backbone="t5_mini",
        backbone_digest="ab" * 32,
        step=4,
        seed=3,
        init="uniform",
        metrics={},
        created="",
        placement="suffix_before_eos",
        target_prefix="",
        label_words=("bad", "good"),
        input_template="review: {text}",
        feature_lengths={"targets": 8, "inputs": 64},
        task_digest="cd" * 32,
        compute_dtype="bfloat16",
        param_dtype="float32",
    )
    recorded = {
        "placement": "suffix_before_eos",
        "target_prefix": "",
        "label_words": '["bad", "good"]',
        "input_template": "review: {text}",
        "feature_lengths": '{"inputs": 64, "targets": 8}',
        "task_digest": "cd" * 32,
        "compute_dtype": "bfloat16",
        "param_dtype": "float32",
    }
    files.save(tmp_path / "own.safetensors", prompt)
    loaded = files.load(tmp_path / "own.safetensors")
    assert recorded.items() <= loaded.metadata.items()
    assert loaded.label_words == ("bad", "good")


@pytest.mark.parametrize("text", ["[1, 2]", "{}", "no JSON", "[" * 100_000])
def test_invalid_label_words_are_unknown(text):
    assert files.Prompt(ARRAY, {"label_words": text}).label_words == ()
    assert files.Prompt(ARRAY, {}).label_words == ()


def test_npy_keeps_the_array_alone(tmp_path, prompt):
    files.save(tmp_path / "best.npy", prompt)
    loaded = files.load(tmp_path / "best.npy")
    np.testing.assert_array_equal(loaded.array, ARRAY)
    np.testing.assert_array_equal(np.load(tmp_path / "best.npy"), ARRAY)
    assert loaded.metadata == {}


def test_npy_is_recognized_without_its_suffix_and_in_other_floats(tmp_path):
    (tmp_path / "encoder.prompt.prompt.prompt").write_bytes(npy(ARRAY.astype(np.float64).T.T))
    loaded = files.load(tmp_path / "encoder.prompt.prompt.prompt")
    np.testing.assert_array_equal(loaded.array, ARRAY)
    assert loaded.array.dtype == np.float32


def test_a_published_prompt_is_read(shared_data):
    loaded = files.load(shared_data / "published_prompts" / "lm100k_base" / "sst2.npy")
    assert loaded.array.shape == (100, 768)


def test_a_fitting_prompt_passes(prompt):
    files.check(prompt, **fits())
    files.check(files.Prompt(ARRAY, {}), **fits(placement="prefix", target_prefix=""))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "t5_base"}, r"it has backbone t5_mini \(need t5_base\); use"),
        (
            {"backbone_digest": "cd" * 32},
            r"it has backbone digest abababababab \(need cdcdcdcdcdcd\); use",
        ),
        ({"prompt_length": 4}, r"it has prompt length 3 \(need 4\); use"),
        ({"hidden_size": 8}, r"it has hidden size 2 \(need 8\); use"),
        (
            {"prompt_length": 4, "hidden_size": 8},
            r"it has prompt length 3 \(need 4\), hidden size 2 \(need 8\); use",
        ),
        ({"placement": "prefix"}, r"it has placement suffix_after_eos \(need prefix\); use"),
        ({"target_prefix": "a"}, r"it has target prefix none \(need a\); use"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused_with_every_difference(prompt, changes, message):
    prompt.metadata.update(placement="suffix_after_eos", target_prefix="")
    with pytest.raises(UserError, match=f"^prompt sst2 is not for this run: {message}"):
        files.check(prompt, **fits(**changes))


def test_a_prompt_without_metadata_is_refused_by_shape():
    with pytest.raises(UserError, match="hidden size 2"):
        files.check(files.Prompt(ARRAY, {}), **fits(hidden_size=4))


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


VERSION = {"format_version": "1"}
NOT_FINITE = np.array([[np.nan, 0.0]], np.float32)
DAMAGED = {
    "empty": (b"", "damaged"),
    "text": (b"hello, this is not a prompt at all", "damaged"),
    "huge header": (b"\xff" * 16, "damaged"),
    "truncated safetensors": (written(ARRAY, VERSION)[:-5], "damaged"),
    "truncated header": (written(ARRAY, VERSION)[:20], "damaged"),
    "trailing bytes": (written(ARRAY, VERSION) + b"??", "damaged"),
    "truncated npy": (npy(ARRAY)[:-5], "damaged"),
    "truncated npy header": (npy(ARRAY)[:30], "damaged"),
    "npy magic alone": (b"\x93NUMPY", "damaged"),
    "npy with more behind": (npy(ARRAY) + b"??", "damaged"),
    "npy that claims much": (
        npy(ARRAY).replace(b"(3, 2), }       ", b"(3, 2000000000)}"),
        "damaged",
    ),
    "not a prompt": (
        safetensors.numpy.save({"weight": ARRAY}, VERSION),
        "not a prompt file of this project",
    ),
    "no metadata": (written(ARRAY, None), "not a prompt file of this project"),
    "another version": (written(ARRAY, {"format_version": "2"}), "format version 2 is not 1"),
    "NaN": (written(NOT_FINITE, VERSION), "not finite"),
    "NaN in npy": (npy(NOT_FINITE), "not finite"),
    "one axis": (written(ARRAY[0], VERSION), r"float32 of shape \[2\], not a prompt"),
    "integers": (npy(np.zeros((2, 2), np.int32)), r"int32 of shape \[2, 2\], not a prompt"),
    "nothing in it": (npy(np.zeros((0, 2), np.float32)), r"shape \[0, 2\], not a prompt"),
    "other shape than it says": (
        written(ARRAY, {**VERSION, "prompt_length": "9", "hidden_size": "2"}),
        "metadata says 9 x 2, but it holds 3 x 2",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_or_foreign_file_is_refused_in_one_line(tmp_path, kind):
    content, message = DAMAGED[kind]
    path = tmp_path / "prompt.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        files.load(path)
    assert str(error.value).startswith(f"prompt file {path}: ") and "\n" not in str(error.value)


def test_nothing_is_unpickled(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Trap(mark)))
    (tmp_path / "b.npy").write_bytes(npy(np.array([[Trap(mark)]]), allow_pickle=True))
    for name in ("a.npy", "b.npy"):
        with pytest.raises(UserError, match="damaged"):
            files.load(tmp_path / name)
    assert not mark.exists()


def test_no_flipped_byte_gets_through_as_an_error_of_another_kind(tmp_path, prompt):
    path = tmp_path / "prompt.safetensors"
    for suffix in (".safetensors", ".npy"):
        files.save(tmp_path / f"good{suffix}", prompt)
        content = (tmp_path / f"good{suffix}").read_bytes()
        for i in range(0, len(content), 3):
            path.write_bytes(content[:i] + bytes([content[i] ^ 0x55]) + content[i + 1 :])
            try:
                assert files.load(path).array.ndim == 2
            except UserError as error:
                assert "\n" not in str(error)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.safetensors: cannot read it"):
        files.load(tmp_path / "absent.safetensors")
    with pytest.raises(UserError, match="it is a directory; give the files in it"):
        files.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("prompt.txt", ARRAY, "name it .safetensors or .npy"),
        ("prompt.npy", NOT_FINITE, "not finite"),
        ("prompt.safetensors", ARRAY[0], "not a prompt"),
        ("absent/prompt.safetensors", ARRAY, "cannot write it"),
    ],
)
def test_a_refused_write_leaves_no_files(tmp_path, prompt, name, array, message):
    with pytest.raises(UserError, match=message):
        files.save(tmp_path / name, files.Prompt(array, prompt.metadata))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path, prompt, monkeypatch):
    path = tmp_path / "best.safetensors"
    files.save(path, prompt)
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(UserError, match=r"cannot write it \(No space left on device\)"):
        files.save(path, files.Prompt(ARRAY + 1, prompt.metadata))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_digest_is_that_of_the_float32_bytes():
    # sha256 of eight zero bytes.
    zeros = "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc"
    assert files.digest(np.zeros((1, 2))) == zeros
    assert files.digest(np.asfortranarray(ARRAY)) == files.digest(ARRAY)
    assert files.digest(ARRAY) != files.digest(ARRAY + 1)


def test_a_task_embedding_survives_a_round_trip(tmp_path):
    path = tmp_path / "embedded.safetensors"
    files.save(path, files.Prompt(ARRAY, {"name": "a"}).embedded(ARRAY * 2, step=10))
    found = files.load(path)
    np.testing.assert_array_equal(found.array, ARRAY)
    np.testing.assert_array_equal(found.embedding, ARRAY * 2)
    assert found.metadata["embedding_step"] == "10"
    files.save(tmp_path / "plain.npy", found)
    assert files.load(tmp_path / "plain.npy").embedding is None


def test_a_trainable_survives_a_round_trip(tmp_path, prompt):
    trainable = {
        "factors/left": ARRAY[:, :1],
        "factors/right": np.asfortranarray(ARRAY[:2]),
        "scale": np.float32(0.5) * np.ones(()),
        "count": np.array([3], np.int32),
    }
    metadata = {**prompt.metadata, "parameterization": "product"}
    whole = files.Prompt(ARRAY, metadata, trainable=trainable).embedded(ARRAY * 2, step=10)
    files.save(tmp_path / "best.safetensors", whole)
    loaded = files.load(tmp_path / "best.safetensors")
    np.testing.assert_array_equal(loaded.array, ARRAY)
    np.testing.assert_array_equal(loaded.embedding, ARRAY * 2)
    assert loaded.metadata["parameterization"] == "product"
    assert loaded.trainable is not None and set(loaded.trainable) == set(trainable)
    for name, value in trainable.items():
        np.testing.assert_array_equal(loaded.trainable[name], value)
        assert loaded.trainable[name].dtype == value.dtype
        assert loaded.trainable[name].shape == value.shape
    files.save(tmp_path / "best.npy", loaded)
    assert files.load(tmp_path / "best.npy").trainable is None


def test_a_trainable_that_is_not_finite_is_refused(tmp_path, prompt):
    path = tmp_path / "best.safetensors"
    broken = np.array([1.0, np.nan], np.float32)
    with pytest.raises(UserError, match="not finite"):
        files.save(path, files.Prompt(ARRAY, prompt.metadata, trainable={"a": broken}))
    assert not path.exists()
    tensors = {"prompt": ARRAY, "trainable.a": broken}
    path.write_bytes(safetensors.numpy.save(tensors, prompt.metadata))
    with pytest.raises(UserError, match=r"best\.safetensors: .* not finite"):
        files.load(path)


def test_an_embedding_of_another_shape_is_damage(tmp_path):
    path = tmp_path / "odd.safetensors"
    files.save(path, files.Prompt(ARRAY, {}).embedded(ARRAY[:1], step=10))
    with pytest.raises(UserError, match=r"odd\.safetensors: damaged"):
        files.load(path)
