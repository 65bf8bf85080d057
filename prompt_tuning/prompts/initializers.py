"""How a prompt begins, before its first step (Lester et al. 2021, section 3.2).

An initializer is a frozen dataclass with the methods of `Initializer`; gin builds it. Random
numbers are JAX's; the rest is done in NumPy, as JAX would compile a program for each operation.
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
"""Ranges of `Uniform`: of Lester et al. 2021, and of the code its authors released."""


class Tokenizer(Protocol):
    """Turns text into piece ids; `prompt_tuning.data.vocabulary.Vocabulary` is one."""

    def encode(self, text: str) -> list[int]:
        """Returns the piece ids of `text`, without EOS."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class InitContext:
    """What an initializer may draw on.

    Attributes:
        embeddings: The frozen model's embedding table `[V, H]`.
        vocabulary: The frozen model's vocabulary.
        labels: Label strings of the row's task, or of those of its mixture; empty if answers are
            open.
        backbone: Name of the frozen model.
        backbone_digest: Digest of its embedding table.
        placement: Where prompts of the run stand among the inputs.
        target_prefix: Text that all targets of the row's task begin with, "" for none.
        best_prompts: Prompt files of finished rows, by row name.
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
    """How a prompt begins.

    A new one is a frozen dataclass that derives from this class and has `describe` and `prompt`.
    """

    @property
    def after(self) -> str | None:
        """Names the row that must be finished first, or None."""
        return None

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Returns it as a JSON object; `init` is its name in results and prompt files."""

    @abc.abstractmethod
    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        """Returns the first prompt `[P, H]`, float32.

        Args:
            key: The row's `init_key`.
            shape: `(P, H)`.
            context: The frozen model, the task and the finished rows.

        Raises:
            UserError: There is no such prompt for this model, task or shape.
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
            raise UserError(f"uniform initializer: no range is called {self.bounds!r}{hint}")
        return np.asarray(_draw_uniform(key, shape, *UNIFORM_RANGES[self.bounds]))


@dataclasses.dataclass(frozen=True)
class SampledVocab(Initializer):
    """Draws P distinct rows of the embedding table: prompt[i] = table[k_i], k_i < population.

    Lester et al. 2021, section 3.2, "sampled vocab", with a population of 5,000. Rows of a
    SentencePiece vocabulary are sorted by likelihood, so the first are the most common. A
    population beyond the table is cut to it, and one smaller than P is drawn from with
    replacement; both warn.

    Attributes:
        population: Rows to draw from, the first of the table; None draws from all.
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

    Tokens beyond the labels are those of `SampledVocab`; labels beyond P are dropped with a
    warning. A task whose answers are open has no labels, and begins from the sampled vocabulary
    alone. Lester et al. 2021, section 3.2, "class label".

    Attributes:
        labels: Label strings; None takes the task's own.
        population: Rows the sampled vocabulary draws from; None draws from all.
    """

    labels: tuple[str, ...] | None
    population: int | None

    def describe(self) -> dict[str, Any]:
        labels = None if self.labels is None else list(self.labels)
        return {"init": "class_labels", "labels": labels, "population": self.population}

    def falls_back(self, labels: tuple[str, ...]) -> bool:
        """Says whether a task with these labels has none to begin from."""
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
            # Not `mean`: this is jax.numpy.mean to the bit, for labels of up to 7 pieces.
            table[np.asarray(ids)].astype(np.float32).sum(axis=0) * np.float32(1 / len(ids))
            for ids in pieces[: shape[0]]
        ]
        return _fill_up(np.stack(means), key, shape, table, rows)

    def _pieces(self, context: InitContext) -> list[list[int]]:
        labels = context.labels if self.labels is None else self.labels
        if not labels:
            raise UserError(
                "class labels: there are no labels; give them, or use another "
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
    """Takes one embedding per piece of a text, cut at P pieces: prompt[i] = table[pieces[i]].

    Tokens beyond the text are those of `SampledVocab`.

    Attributes:
        text: The text.
        population: Rows the sampled vocabulary draws from; None draws from all.
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
    """Takes the prompt of a file, of the same backbone, length, width, placement and target prefix.

    Vu et al. 2022, section 2, is this with a prompt tuned on another task.

    Attributes:
        path: The prompt file.
    """

    path: str

    def describe(self) -> dict[str, Any]:
        """Names the file and the digest of its prompt."""
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
    """Takes the best checkpoint of another row of the same run: its prompt, or its model.

    Vu et al. 2022, section 2: soft prompt transfer from a source task to a target task.

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
            raise UserError(f"no row '{self.row}' has finished to start from")
        return FromFile(str(context.best_prompts[self.row])).prompt(key, shape, context)


@dataclasses.dataclass(frozen=True)
class WeightedAverage(Initializer):
    """Averages prompt files: prompt = sum_i s_i prompt_i, s_i = max(w_i, 0) / sum_j max(w_j, 0).

    Vu et al. 2022, section 4.3, with the similarities of tasks as weights. Where no weight is
    positive all count the same.

    Attributes:
        paths: Prompt files, each as of `FromFile`.
        weights: Their weights.
    """

    paths: tuple[str, ...]
    weights: tuple[float, ...]

    def describe(self) -> dict[str, Any]:
        """Names the digests of the prompts, and the shares they have."""
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
    """Takes the pretrained model as it is: how model tuning begins. It gives no prompt.

    Lester et al. 2021, section 3.1, "model tuning".
    """

    def describe(self) -> dict[str, Any]:
        return {"init": "pretrained"}

    def prompt(self, key: Array, shape: tuple[int, int], context: InitContext) -> np.ndarray:
        raise UserError(
            "@Pretrained() starts model tuning, and prompts are tuned here; "
            "set PROMPT_INIT to @ClassLabels() or another initializer of a prompt"
        )


def init_key(seed: int) -> Array:
    """Returns the random key a row with this seed draws its first prompt with."""
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
    """Returns P of the first `rows` rows of the table."""
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
    """Returns a prompt that begins with `first` and goes on with the sampled vocabulary."""
    if first.shape[0] == shape[0]:
        return first
    # The whole prompt is drawn, so that the rest is what it would be by itself.
    return np.concatenate([first, _sample(key, shape, table, rows)[first.shape[0] :]])


def _check_width(what: str, table: np.ndarray, shape: tuple[int, int]) -> None:
    if table.shape[1] != shape[1]:
        raise UserError(
            f"{what}: the embedding table is {table.shape[1]} wide, the prompt {shape[1]};"
            " use the embeddings of the model that the prompt is for"
        )


def _check_ids(what: str, table: np.ndarray, ids: Sequence[int]) -> None:
    wrong = [i for i in ids if not 0 <= i < table.shape[0]]
    if wrong:
        raise UserError(
            f"{what}: id {wrong[0]} is not a row of the embedding table, which has"
            f" {table.shape[0]}; tokenize with the model's own vocabulary"
        )
