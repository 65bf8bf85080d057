"""How a row begins: from the vocabulary, from class labels, from a file, or from another row."""

import dataclasses
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from prompt_tuning.prompts import files, initializers
from prompt_tuning.types import Array, UserError


class Tokenizer(Protocol):
    """Turns text into piece ids; `prompt_tuning.data.vocabulary.Vocabulary` is one."""

    def encode(self, text: str) -> list[int]:
        """Returns the piece ids of `text`, without EOS."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartContext:
    """What a start may draw on.

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


class Start(Protocol):
    """How a prompt begins."""

    @property
    def after(self) -> str | None:
        """Names the row that must be finished first, or None."""
        ...

    def describe(self) -> dict[str, Any]:
        """Returns the start as a JSON object; `init` is its name in results and prompt files."""
        ...

    def prompt(self, key: Array, shape: tuple[int, int], context: StartContext) -> np.ndarray:
        """Returns the first prompt `[P, H]`, float32."""
        ...


class _Initialized:
    """A start that is drawn by an initialiser."""

    after = None

    def initializer(self, context: StartContext) -> initializers.Initializer:
        raise NotImplementedError

    def prompt(self, key: Array, shape: tuple[int, int], context: StartContext) -> np.ndarray:
        return self.initializer(context)(key, shape)


@dataclasses.dataclass(frozen=True)
class Uniform(_Initialized):
    """Draws every entry uniformly from a range.

    Attributes:
        bounds: `paper` for [-0.5, 0.5), `reference_code` for [0, 0.5).
    """

    bounds: str

    def describe(self) -> dict[str, Any]:
        return {"init": "uniform", "bounds": self.bounds}

    def initializer(self, context: StartContext) -> initializers.Initializer:
        return initializers.uniform(self.bounds)


@dataclasses.dataclass(frozen=True)
class SampledVocab(_Initialized):
    """Takes distinct rows of the embedding table (Lester et al. 2021, section 3.2).

    Attributes:
        population: Rows to draw from, most frequent first; None draws from all.
    """

    population: int | None

    def describe(self) -> dict[str, Any]:
        return {"init": "sampled_vocab", "population": self.population}

    def initializer(self, context: StartContext) -> initializers.Initializer:
        return initializers.sampled_vocabulary(context.embeddings, self.population)


@dataclasses.dataclass(frozen=True)
class ClassLabels(_Initialized):
    """Takes the embeddings of the task's labels, the rest from the sampled vocabulary.

    A task whose answers are open has no labels, and starts from the sampled vocabulary alone
    (Lester et al. 2021, section 3.2).

    Attributes:
        labels: Label strings; None takes the task's own.
        population: Rows the sampled vocabulary draws from; None draws from all.
    """

    labels: tuple[str, ...] | None
    population: int | None

    def describe(self) -> dict[str, Any]:
        labels = None if self.labels is None else list(self.labels)
        return {"init": "class_labels", "labels": labels, "population": self.population}

    def initializer(self, context: StartContext) -> initializers.Initializer:
        fallback = SampledVocab(self.population).initializer(context)
        if self.falls_back(context.labels):
            return fallback
        labels = context.labels if self.labels is None else self.labels
        pieces = [context.vocabulary.encode(label) for label in labels]
        return initializers.class_labels(context.embeddings, pieces, fallback)

    def falls_back(self, labels: tuple[str, ...]) -> bool:
        """Says whether a task with these labels has none to start from."""
        return self.labels is None and not labels


@dataclasses.dataclass(frozen=True)
class FromText(_Initialized):
    """Takes one embedding per piece of a text, the rest from the sampled vocabulary.

    Attributes:
        text: The text.
        population: Rows the sampled vocabulary draws from; None draws from all.
    """

    text: str
    population: int | None

    def describe(self) -> dict[str, Any]:
        return {"init": "string", "text": self.text, "population": self.population}

    def initializer(self, context: StartContext) -> initializers.Initializer:
        return initializers.from_pieces(
            context.embeddings,
            context.vocabulary.encode(self.text),
            SampledVocab(self.population).initializer(context),
        )


@dataclasses.dataclass(frozen=True)
class FromFile:
    """Takes a prompt file, of the same backbone, length, width, placement and target prefix."""

    path: str

    after = None

    def describe(self) -> dict[str, Any]:
        """Names the file and the digest of its prompt."""
        return {"init": "file", "path": self.path, "digest": files.digest(self._load().array)}

    def prompt(self, key: Array, shape: tuple[int, int], context: StartContext) -> np.ndarray:
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
class FromRow:
    """Takes what is best of another row of the same run: its prompt (SPoT), or its model."""

    row: str

    @property
    def after(self) -> str:
        return self.row

    def describe(self) -> dict[str, Any]:
        return {"init": "file", "row": self.row}

    def prompt(self, key: Array, shape: tuple[int, int], context: StartContext) -> np.ndarray:
        if self.row not in context.best_prompts:
            raise UserError(f"no row '{self.row}' has finished to start from")
        return FromFile(str(context.best_prompts[self.row])).prompt(key, shape, context)


@dataclasses.dataclass(frozen=True)
class WeightedAverage:
    """Takes the weighted average of prompt files (Vu et al. 2022, section 4.3).

    Attributes:
        paths: Prompt files, each as of `FromFile`.
        weights: Their weights, which are divided by their sum; negative ones count as 0, and where
            none is positive all count the same.
    """

    paths: tuple[str, ...]
    weights: tuple[float, ...]

    after = None

    def describe(self) -> dict[str, Any]:
        """Names the digests of the prompts, and the shares they have."""
        digests = [FromFile(path).describe()["digest"] for path in self.paths]
        shares = [round(float(share), 6) for share in self._shares]
        return {"init": "weighted_average", "of": digests, "shares": shares}

    def prompt(self, key: Array, shape: tuple[int, int], context: StartContext) -> np.ndarray:
        prompts = [FromFile(path).prompt(key, shape, context) for path in self.paths]
        return np.tensordot(self._shares, np.stack(prompts), axes=1).astype(np.float32)

    @property
    def _shares(self) -> np.ndarray:
        weights = np.maximum(self.weights, 0.0)
        if not weights.any():
            weights = np.ones(len(self.weights))
        return weights / weights.sum()


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """Takes the pretrained model as it is: how model tuning starts. It gives no prompt."""

    after = None

    def describe(self) -> dict[str, Any]:
        return {"init": "pretrained"}

    def prompt(self, key: Array, shape: tuple[int, int], context: StartContext) -> np.ndarray:
        raise UserError(
            "@Pretrained() starts model tuning, and prompts are tuned here; "
            "set PROMPT_INIT to @ClassLabels() or another start of a prompt"
        )


def start_key(seed: int) -> Array:
    """Returns the random key a row with this seed draws its first prompt with."""
    return _start_key(np.uint32(seed))


@jax.jit
def _start_key(seed: Array) -> Array:
    return jax.random.fold_in(jax.random.key(seed), 0x57A7)
