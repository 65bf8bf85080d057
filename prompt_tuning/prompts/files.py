"""Prompt files: one soft prompt `[P, H]` float32 with its provenance, as safetensors or `.npy`.

The metadata records how the prompt must be used to score as in its run. In a library the file also
holds the task embedding used for retrieval: the same row's prompt early in its tuning (Vu et al.
2022, section 4.1). If the prompt was computed from other trained arrays, it may hold those too.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import safetensors
import safetensors.numpy

import prompt_tuning
from prompt_tuning.storage import write_file
from prompt_tuning.types import UserError

FORMAT_VERSION = "1"
TENSOR = "prompt"
EMBEDDING = "embedding"
TRAINABLE = "trainable."
"""Name prefix of the tensors that a parameterization trained."""
NPY_MAGIC = b"\x93NUMPY"
PREFIX = "prefix"
"""The placement of a prompt that records none."""


@dataclasses.dataclass(frozen=True, eq=False)
class Prompt:
    """A soft prompt with its provenance.

    Attributes:
        array: `[P, H]` float32.
        metadata: Strings: `format_version`, `name`, `task`, `backbone`, `backbone_digest`,
            `prompt_length`, `hidden_size`, `step`, `seed`, `init`, `metrics` (JSON), `created`,
            `version`; `embedding_step` if there is an embedding, `parameterization` if there is a
            trainable, and `imported_from` if it was in another format; and, if known, `placement`,
            `target_prefix`, `label_words` (JSON list), `input_template`, `feature_lengths` (JSON),
            `task_digest`, `compute_dtype` and `param_dtype` of its run. Empty for a prompt from
            `.npy`, which has no metadata.
        embedding: Its task embedding `[P, H]` float32, or None.
        trainable: The trained arrays that the prompt was computed from, such as the factors of a
            product, by path in their tree. None if the prompt itself was trained.
    """

    array: np.ndarray
    metadata: dict[str, str]
    embedding: np.ndarray | None = None
    trainable: Mapping[str, np.ndarray] | None = None

    @property
    def name(self) -> str:
        """Its name, or "without metadata" if its file has none."""
        return self.metadata.get("name", "without metadata")

    @property
    def label_words(self) -> tuple[str, ...]:
        """The label words of its task; empty if it has none or the file does not record them."""
        try:
            words = json.loads(self.metadata.get("label_words", "[]"))
        except (ValueError, RecursionError):
            return ()
        valid = isinstance(words, list) and all(isinstance(word, str) for word in words)
        return tuple(words) if valid else ()

    def embedded(self, embedding: np.ndarray, step: int) -> "Prompt":
        """Returns this prompt with a task embedding `[P, H]`, its own array after `step` steps."""
        metadata = {**self.metadata, "embedding_step": str(step)}
        embedding = np.asarray(embedding, np.float32)
        return dataclasses.replace(self, metadata=metadata, embedding=embedding)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the prompt to a file; see the function `save`."""
        save(path, self)


def describe(
    array: np.ndarray,
    *,
    name: str,
    task: str,
    backbone: str,
    backbone_digest: str,
    step: int,
    seed: int,
    init: str,
    metrics: Mapping[str, float],
    created: str,
    placement: str | None = None,
    target_prefix: str | None = None,
    label_words: Sequence[str] = (),
    input_template: str | None = None,
    feature_lengths: Mapping[str, int] | None = None,
    task_digest: str | None = None,
    compute_dtype: str | None = None,
    param_dtype: str | None = None,
    trainable: Mapping[str, np.ndarray] | None = None,
    parameterization: str | None = None,
) -> Prompt:
    """Returns the prompt `[P, H]` with the metadata of a prompt file, without those that are None.

    Args:
        array: The prompt.
        name: Its name.
        task: The task or mixture it was tuned on.
        backbone: The frozen model's name.
        backbone_digest: `digest` of the frozen model's embedding table.
        step: Training steps taken.
        seed: The run's random seed.
        init: The initializer's name; for a transferred prompt, the `digest` of its source.
        metrics: Scores on validation.
        created: Time of creation, ISO 8601.
        placement: Its position among the inputs, a name in `placement.PLACEMENTS`.
        target_prefix: Text that all targets begin with, "" for none.
        label_words: Label words of the task; empty for open answers.
        input_template: How columns of the user's own file became inputs.
        feature_lengths: Tokens kept of inputs and targets.
        task_digest: Digest of the task's tokens, answers and metrics.
        compute_dtype: Dtype of the model's computation.
        param_dtype: Dtype of the model's parameters.
        trainable: The trained arrays by path, if the prompt was computed from them.
        parameterization: Name of the parameterization that computes the prompt from `trainable`.
    """
    length, width = array.shape
    metadata = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "task": task,
        "backbone": backbone,
        "backbone_digest": backbone_digest,
        "prompt_length": str(length),
        "hidden_size": str(width),
        "step": str(step),
        "seed": str(seed),
        "init": init,
        "metrics": json.dumps(dict(metrics), sort_keys=True),
        "created": created,
        "version": prompt_tuning.__version__,
    }
    recorded = {
        "placement": placement,
        "target_prefix": target_prefix,
        "label_words": json.dumps(list(label_words)) if label_words else None,
        "input_template": input_template,
        "feature_lengths": lengths_text(feature_lengths) if feature_lengths else None,
        "task_digest": task_digest,
        "compute_dtype": compute_dtype,
        "param_dtype": param_dtype,
        "parameterization": parameterization,
    }
    metadata |= {key: value for key, value in recorded.items() if value is not None}
    return Prompt(np.asarray(array, np.float32), metadata, trainable=trainable)


def lengths_text(feature_lengths: Mapping[str, int]) -> str:
    """Returns the JSON of the tokens kept of each feature, as in metadata."""
    return json.dumps(dict(feature_lengths), sort_keys=True)


def save(path: str | os.PathLike, prompt: Prompt) -> None:
    """Writes a prompt, whole or not at all; `.npy` keeps only its array.

    Raises:
        UserError: The name ends in neither `.safetensors` nor `.npy`, the prompt is not a finite
            `[P, H]` array, its trainable is not finite, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in (".safetensors", ".npy"):
        raise UserError(f"prompt file {path}: name it .safetensors or .npy")
    tensors = {TENSOR: np.ascontiguousarray(checked(prompt.array, path))}
    if prompt.embedding is not None:
        tensors[EMBEDDING] = np.ascontiguousarray(checked(prompt.embedding, path))
    for name, value in (prompt.trainable or {}).items():
        _check_finite(value, path)
        tensors[TRAINABLE + name] = np.array(value, order="C")
    try:
        with write_file(path) as file:
            if path.suffix == ".npy":
                np.save(file, tensors[TENSOR], allow_pickle=False)
            else:
                file.write(safetensors.numpy.save(tensors, written_metadata(prompt)))
    except OSError as error:
        raise UserError(
            f"prompt file {path}: cannot write it ({error.strerror}); choose an existing, writable "
            "directory with free space"
        ) from error


def load(path: str | os.PathLike) -> Prompt:
    """Reads a prompt file; `.npy` is recognized by its first bytes, whatever the file's name.

    Nothing is ever unpickled.

    Raises:
        UserError: The file is missing, damaged, in another format, or not finite.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(
            f"prompt file {path}: it is a directory; give the files in it, such as"
            " a row's best.safetensors"
        )
    try:
        with path.open("rb") as file:
            if file.read(len(NPY_MAGIC)) == NPY_MAGIC:
                file.seek(0)
                return Prompt(checked(_read_npy(file, path), path), {})
        return _read_safetensors(path)
    except OSError as error:
        raise UserError(
            f"prompt file {path}: cannot read it ({error.strerror or 'input/output error'});"
            " give the path of a prompt file"
        ) from error


def written_metadata(prompt: Prompt) -> dict[str, str]:
    """Returns the metadata of a prompt's file: the prompt's own and the format version."""
    return {"format_version": FORMAT_VERSION, **prompt.metadata}


def check(
    prompt: Prompt,
    *,
    backbone: str,
    backbone_digest: str,
    prompt_length: int,
    hidden_size: int,
    placement: str | None = None,
    target_prefix: str | None = None,
) -> None:
    """Checks that a prompt fits a model and a run.

    Only what the prompt records is checked: for one from `.npy`, its shape alone.

    Args:
        prompt: The prompt.
        backbone: The frozen model's name.
        backbone_digest: `digest` of the frozen model's embedding table.
        prompt_length: Required length in tokens, P.
        hidden_size: Required width, H.
        placement: Required placement, or None for any.
        target_prefix: Required target prefix, "" for none, or None for any.

    Raises:
        UserError: The prompt does not fit; the message lists every difference.
    """
    length, width = prompt.array.shape
    found = {
        "backbone": prompt.metadata.get("backbone", backbone),
        "backbone digest": prompt.metadata.get("backbone_digest", backbone_digest)[:12],
        "prompt length": length,
        "hidden size": width,
    }
    wanted = {
        "backbone": backbone,
        "backbone digest": backbone_digest[:12],
        "prompt length": prompt_length,
        "hidden size": hidden_size,
    }
    for key, value in (("placement", placement), ("target_prefix", target_prefix)):
        if value is not None and key in prompt.metadata:
            found[key.replace("_", " ")] = prompt.metadata[key] or "none"
            wanted[key.replace("_", " ")] = value or "none"
    differ = [
        f"{key} {found[key]} (need {wanted[key]})" for key in found if found[key] != wanted[key]
    ]
    if differ:
        raise UserError(
            f"prompt {prompt.name} is not for this run: it has {', '.join(differ)};"
            " use a prompt tuned on this backbone, at this length and placement"
        )


def checked(array: np.ndarray, path: str | os.PathLike) -> np.ndarray:
    """Returns a prompt's array as float32.

    Args:
        array: The array.
        path: Its file, for messages.

    Raises:
        UserError: The array is not a finite `[P, H]` of floats.
    """
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating) or 0 in array.shape:
        raise UserError(
            f"prompt file {path}: it holds {array.dtype} of shape {list(array.shape)}, not a prompt"
            " [P, H] of floats; give a prompt file"
        )
    array = array.astype(np.float32)
    _check_finite(array, path)
    return array


def digest(array: np.ndarray) -> str:
    """Returns the SHA-256 of an array's float32 bytes in hexadecimal.

    It identifies a prompt `[P, H]`, or a backbone by its embedding table `[V, H]`.
    """
    return hashlib.sha256(np.ascontiguousarray(array, "<f4").data).hexdigest()


def _check_finite(array: np.ndarray, path: str | os.PathLike) -> None:
    if not np.isfinite(array).all():
        raise UserError(f"prompt file {path}: it has numbers that are not finite; use another one")


def _read_npy(file: BinaryIO, path: Path) -> np.ndarray:
    try:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise ValueError("bytes after the array")
    except OSError:
        raise
    # The header is Python text, and NumPy raises whatever its parser does.
    except Exception as error:
        raise _damaged(path) from error
    return array


def _read_safetensors(path: Path) -> Prompt:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            tensors = set(file.keys())
            if "format_version" not in metadata or TENSOR not in tensors:
                raise UserError(
                    f"prompt file {path}: it has tensors, but is not a prompt file of this project;"
                    " give a file that train wrote"
                )
            if metadata["format_version"] != FORMAT_VERSION:
                raise UserError(
                    f"prompt file {path}: format version {metadata['format_version']} is not"
                    f" {FORMAT_VERSION}; update this project or write the prompt again"
                )
            array = file.get_tensor(TENSOR)
            embedding = file.get_tensor(EMBEDDING) if EMBEDDING in tensors else None
            trainable = {
                name.removeprefix(TRAINABLE): file.get_tensor(name)
                for name in sorted(tensors)
                if name.startswith(TRAINABLE)
            }
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error
    array = checked(array, path)
    stated = (metadata.get("prompt_length"), metadata.get("hidden_size"))
    if any(s is not None and s != str(n) for s, n in zip(stated, array.shape, strict=True)):
        raise UserError(
            f"prompt file {path}: its metadata says {stated[0]} x {stated[1]}, but it holds"
            f" {array.shape[0]} x {array.shape[1]}; write the prompt again"
        )
    if embedding is not None:
        embedding = checked(embedding, path)
        if embedding.shape != array.shape:
            raise _damaged(path)
    for value in trainable.values():
        _check_finite(value, path)
    return Prompt(array, metadata, embedding, trainable or None)


def _damaged(path: Path) -> UserError:
    return UserError(
        f"prompt file {path}: damaged, or neither safetensors nor .npy; give another file"
    )
