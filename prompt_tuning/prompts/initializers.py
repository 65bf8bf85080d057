"""Initializers of prompts (Lester et al. 2021, section 3.2).

An initializer is a frozen dataclass with the methods of `Initializer`; gin builds it. Random
numbers are JAX's. The rest uses NumPy, since JAX would compile a program for each operation.
"""

import abc
import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.prompts import files
from prompt_tuning.types import Array, UserError, nearest

UNIFORM_RANGES: dict[str, tuple[float, float]] = {
    "paper": (-0.5, 0.5),
    "reference_code": (0.0, 0.5),
}
"""Ranges of `Uniform`: the one in Lester et al. 2021, and the one in their released code."""


class Tokenizer(Protocol):
    """Turns text into piece ids; `prompt_tuning.data.vocabulary.Vocabulary` is one."""

    def encode(self, text: str) -> list[int]:
        """Returns the piece ids of `text`, without EOS."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class InitContext:
    """The inputs of an initializer.

    Attributes:
        embeddings: The frozen model's embedding table `[V, H]`.
        vocabulary: The frozen model's vocabulary.
        labels: Label strings of the row's task or of its mixture's tasks; empty for open answers.
        backbone: Name of the frozen model.
        backbone_digest: Digest of its embedding table.
        placement: Name of the run's placement.
        target_prefix: Text that all targets of the row's task begin with, "" for none.
        best_prompts: Best prompt files of finished rows, by row name.
    """

    embeddings: np.ndarray
    vocabulary: Tokenizer
    labels: tuple[str, ...]
    backbone: str
    backbone_digest: str
    placement: str
    target_prefix: str
    best_prompts: dict[str, Path]


class Initializer(Protocol):
    """Makes the first prompt of a row.

    A new initializer is a frozen dataclass that derives from this class and defines `describe` and
    `prompt`.
    """

    @property
    def after(self) -> str | None:
        """The name of the row that must finish first, or None."""
        return None

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Returns the settings as a JSON object; `init` is the name in results and prompt files."""

    @abc.abstractmethod
    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        """Returns the first prompt `[P, H]`, float32.

        Args:
            key: The row's `init_key`.
            shape: `(P, H)`.
            context: The frozen model, the task and the finished rows.

        Raises:
            UserError: The initializer does not fit the model, the task or the shape.
        """


@dataclasses.dataclass(frozen=True)
class Uniform(Initializer):
    """Draws every entry uniformly from a range: prompt[i, j] ~ U[low, high).

    Lester et al. 2021, section 3.2, "random uniform".

    Attributes:
        bounds: A key of `UNIFORM_RANGES`: `paper` for [-0.5, 0.5), `reference_code` for [0, 0.5).
    """

    bounds: str

    def describe(self) -> dict[str, Any]:
        return {"init": "uniform", "bounds": self.bounds}

    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        if self.bounds not in UNIFORM_RANGES:
            hint = nearest(self.bounds, UNIFORM_RANGES) or f"; use {' or '.join(UNIFORM_RANGES)}"
            raise UserError(f"uniform initializer: bounds cannot be {self.bounds!r}{hint}")
        return np.asarray(_draw_uniform(key, shape, *UNIFORM_RANGES[self.bounds]))


@dataclasses.dataclass(frozen=True)
class SampledVocab(Initializer):
    """Draws P distinct rows of the embedding table: prompt[i] = table[k_i], k_i < population.

    Lester et al. 2021, section 3.2, "sampled vocab", with a population of 5,000. SentencePiece
    sorts pieces by likelihood, so the first rows are the most common. A population larger than the
    table means the whole table, and one smaller than P is drawn from with replacement; both warn.

    Attributes:
        population: Number of rows to draw from, the first of the table; None for all.
    """

    population: int | None

    def describe(self) -> dict[str, Any]:
        return {"init": "sampled_vocab", "population": self.population}

    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        table = context.embeddings
        rows = _count_rows(table, self.population)
        _check_width("sampled vocabulary", table, shape)
        return _sample(key, shape, table, rows)


@dataclasses.dataclass(frozen=True)
class ClassLabels(Initializer):
    """Averages the embeddings of the pieces of label i: prompt[i] = mean_k table[pieces[i][k]].

    Prompt tokens after the labels come from `SampledVocab`, as do all for a task with open answers.
    Labels beyond P are dropped with a warning. Lester et al. 2021, section 3.2, "class label".

    Attributes:
        labels: Label strings; None for the task's own.
        population: Number of rows that `SampledVocab` draws from; None for all.
    """

    labels: tuple[str, ...] | None
    population: int | None

    def describe(self) -> dict[str, Any]:
        labels = None if self.labels is None else list(self.labels)
        return {"init": "class_labels", "labels": labels, "population": self.population}

    def falls_back(self, labels: tuple[str, ...]) -> bool:
        """Returns whether there are no labels, so that all of the prompt is sampled vocabulary."""
        return self.labels is None and not labels

    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        if self.falls_back(context.labels):
            return SampledVocab(self.population).prompt(key, shape, context)
        table = context.embeddings
        rows = _count_rows(table, self.population)
        pieces = self._pieces(context)
        _check_width("class labels", table, shape)
        if len(pieces) > shape[0]:
            warnings.warn(
                f"class labels: {len(pieces)} labels for {shape[0]} prompt tokens;"
                " dropping the last ones",
                stacklevel=2,
            )
        means = [
            # Unlike `mean`, this equals jax.numpy.mean bit for bit for labels of up to 7 pieces.
            table[np.asarray(ids)].astype(np.float32).sum(axis=0) * np.float32(1 / len(ids))
            for ids in pieces[: shape[0]]
        ]
        return _fill_up(np.stack(means), key, shape, table, rows)

    def _pieces(self, context: InitContext) -> list[list[int]]:
        labels = context.labels if self.labels is None else self.labels
        if not labels:
            raise UserError(
                "class labels: there are no labels; give some, or use another "
                "initializer, such as PROMPT_INIT=@SampledVocab()"
            )
        pieces = [context.vocabulary.encode(label) for label in labels]
        for i, ids in enumerate(pieces):
            if not ids:
                raise UserError(f"class labels: label {i} has no pieces; remove it or write it out")
            _check_ids("class labels", context.embeddings, ids)
        return pieces


@dataclasses.dataclass(frozen=True)
class FromText(Initializer):
    """Takes the embeddings of the first P pieces of a text: prompt[i] = table[pieces[i]].

    Prompt tokens after the text come from `SampledVocab`.

    Attributes:
        text: The text.
        population: Number of rows that `SampledVocab` draws from; None for all.
    """

    text: str
    population: int | None

    def describe(self) -> dict[str, Any]:
        return {"init": "string", "text": self.text, "population": self.population}

    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        table, pieces = context.embeddings, context.vocabulary.encode(self.text)
        rows = _count_rows(table, self.population)
        if not pieces:
            raise UserError(
                "string initializer: the text has no pieces; give one that is not empty"
            )
        _check_ids("string initializer", table, pieces)
        _check_width("string initializer", table, shape)
        taken = table[np.asarray(pieces[: shape[0]])].astype(np.float32)
        return _fill_up(taken, key, shape, table, rows)


@dataclasses.dataclass(frozen=True)
class FromFile(Initializer):
    """Takes the prompt of a file with the run's backbone, shape, placement and target prefix.

    With a prompt tuned on another task, this is soft prompt transfer (Vu et al. 2022, section 2).

    Attributes:
        path: The prompt file.
    """

    path: str

    def describe(self) -> dict[str, Any]:
        """Returns the file's path and its prompt's digest."""
        return {"init": "file", "path": self.path, "digest": files.digest(self._load().array)}

    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        prompt = self._load()
        try:
            files.check(
                prompt,
                backbone=context.backbone,
                backbone_digest=context.backbone_digest,
                prompt_length=shape[0],
                hidden_size=shape[1],
                placement=context.placement,
                target_prefix=context.target_prefix,
            )
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from None
        return prompt.array

    def _load(self) -> files.Prompt:
        return files.load(Path(self.path))


@dataclasses.dataclass(frozen=True)
class FromRow(Initializer):
    """Takes the best checkpoint of another row of the run: its prompt, or its model.

    This is soft prompt transfer from a source to a target task (Vu et al. 2022, section 2).

    Attributes:
        row: Name of that row.
    """

    row: str

    @property
    def after(self) -> str:
        return self.row

    def describe(self) -> dict[str, Any]:
        return {"init": "file", "row": self.row}

    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        if self.row not in context.best_prompts:
            raise UserError(f"cannot start from row '{self.row}', which has not finished")
        return FromFile(str(context.best_prompts[self.row])).prompt(key, shape, context)


@dataclasses.dataclass(frozen=True)
class WeightedAverage(Initializer):
    """Averages prompt files: prompt = sum_i s_i prompt_i, s_i = max(w_i, 0) / sum_j max(w_j, 0).

    Vu et al. 2022, section 4.3, with the similarities of tasks as weights. If no weight is
    positive, all are equal.

    Attributes:
        paths: Prompt files, as for `FromFile`.
        weights: Their weights.
    """

    paths: tuple[str, ...]
    weights: tuple[float, ...]

    def describe(self) -> dict[str, Any]:
        """Returns the prompts' digests and normalized weights."""
        digests = [FromFile(path).describe()["digest"] for path in self.paths]
        shares = [round(float(share), 6) for share in self._shares]
        return {"init": "weighted_average", "of": digests, "shares": shares}

    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        prompts = [FromFile(path).prompt(key, shape, context) for path in self.paths]
        return np.tensordot(self._shares, np.stack(prompts), axes=1).astype(np.float32)

    @property
    def _shares(self) -> np.ndarray:
        weights = np.maximum(self.weights, 0.0)
        if not weights.any():
            weights = np.ones(len(self.weights))
        return weights / weights.sum()


@dataclasses.dataclass(frozen=True)
class Pretrained(Initializer):
    """Starts model tuning from the pretrained model; it makes no prompt.

    Lester et al. 2021, section 3.1, "model tuning".
    """

    def describe(self) -> dict[str, Any]:
        return {"init": "pretrained"}

    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        raise UserError(
            "@Pretrained() starts model tuning, but this run tunes prompts; "
            "set PROMPT_INIT to @ClassLabels() or another initializer of prompts"
        )


def init_key(seed: int) -> Array:
    """Returns the random key for the first prompt of a row with this seed."""
    return _init_key(np.uint32(seed))


@jax.jit
def _init_key(seed: Array) -> Array:
    return jax.random.fold_in(jax.random.key(seed), 0x57A7)


_draw_uniform = jax.jit(
    lambda key, shape, low, high: jax.random.uniform(key, shape, jnp.float32, low, high),
    static_argnums=(1, 2, 3),
)
_draw_rows = jax.jit(
    lambda key, rows, count, replace: jax.random.choice(key, rows, (count,), replace),
    static_argnums=(1, 2, 3),
)


def _count_rows(table: np.ndarray, population: int | None) -> int:
    """Returns how many rows of the table to draw from."""
    if population is None:
        return table.shape[0]
    if population <= 0:
        raise UserError(
            f"sampled vocabulary: population is {population}; give a positive number of rows,"
            " or None for the whole table"
        )
    if population > table.shape[0]:
        warnings.warn(
            f"sampled vocabulary: population {population} is larger than the embedding table;"
            f" drawing from all {table.shape[0]} rows",
            stacklevel=1,  # Here, so that initializers that share it warn once.
        )
    return min(population, table.shape[0])


def _sample(key: Array, shape: tuple[int, int], table: np.ndarray, rows: int) -> np.ndarray:
    """Draws P of the first `rows` rows of the table."""
    distinct = shape[0] <= rows
    if not distinct:
        warnings.warn(
            f"sampled vocabulary: {shape[0]} prompt tokens from a population of {rows} rows;"
            " drawing with replacement",
            stacklevel=2,
        )
    ids = _draw_rows(key, rows, shape[0], not distinct)
    return table[np.asarray(ids)].astype(np.float32)


def _fill_up(
    first: np.ndarray, key: Array, shape: tuple[int, int], table: np.ndarray, rows: int
) -> np.ndarray:
    """Returns a prompt of `first`, continued with sampled vocabulary."""
    if first.shape[0] == shape[0]:
        return first
    # The whole prompt is drawn, so that the rest equals that of `SampledVocab`.
    return np.concatenate([first, _sample(key, shape, table, rows)[first.shape[0] :]])


def _check_width(what: str, table: np.ndarray, shape: tuple[int, int]) -> None:
    if table.shape[1] != shape[1]:
        raise UserError(
            f"{what}: the embedding table is {table.shape[1]} wide, but the prompt {shape[1]};"
            " use the embeddings of the prompt's own model"
        )


def _check_ids(what: str, table: np.ndarray, ids: Sequence[int]) -> None:
    wrong = [i for i in ids if not 0 <= i < table.shape[0]]
    if wrong:
        raise UserError(
            f"{what}: id {wrong[0]} is not a row of the embedding table, which has"
            f" {table.shape[0]}; tokenize with the model's own vocabulary"
        )
