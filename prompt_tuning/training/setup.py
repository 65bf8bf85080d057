"""What every command opens first: the frozen model, its vocabulary, and the tokenised tasks."""

import dataclasses
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
from rich.console import Console

from prompt_tuning.data.cache import check_lengths, ensure_cached
from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.data.shapes import Shape, choose_shapes
from prompt_tuning.data.target_prefix import with_target_prefix
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.models.config import T5Config
from prompt_tuning.models.vocabulary_file import fetch_vocabulary
from prompt_tuning.models.weights import Backbone, Outline, is_remote, open_backbone
from prompt_tuning.types import UserError, nearest

_DTYPES = ("float32", "bfloat16")
_MULTIPLE = 4  # tokens that padded lengths are a multiple of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """Says which frozen model and which tokenised tasks to use.

    Attributes:
        backbone: Name of a shipped model, or a directory with one.
        model: Its shape; None takes the one that is stored with it.
        vocabulary_file: Its SentencePiece model; None takes the one that is stored with it.
        dtype: Compute dtype, `float32` or `bfloat16`.
        param_dtype: What the frozen parameters are kept as, `float32` or `bfloat16`.
        task_modules: Modules that register further SeqIO tasks when imported.
        data_dir: Where published datasets are as JSON lines, `<folder>/<split>.jsonl`; None for
            TensorFlow Datasets alone.
        feature_lengths: Tokens kept of `inputs` and `targets`, EOS included.
        target_prefix: Text that all targets begin with, in training and decoding; scores are of
            answers without it.
        cache_dir: Where tokenised tasks and compiled programs are kept; `~` is the home directory.
        shape_count: Padded shapes of batches, at most; each is compiled once.
    """

    backbone: str
    model: T5Config | None
    vocabulary_file: str | None
    dtype: str
    param_dtype: str
    task_modules: tuple[str, ...]
    data_dir: str | None
    feature_lengths: dict[str, int]
    target_prefix: str
    cache_dir: str
    shape_count: int

    def __post_init__(self):
        check_lengths(self.feature_lengths)
        if self.shape_count < 1:
            raise UserError(f"Setup.shape_count must be at least 1, not {self.shape_count}")

    @property
    def cache_path(self) -> Path:
        """The cache directory, `~` expanded."""
        return Path(self.cache_dir).expanduser()

    def open_backbone(self) -> Backbone:
        """Opens the frozen model; its parameters are not read yet.

        Raises:
            UserError: There is no such model, it is damaged, or there is no such dtype.
        """
        self._check_dtypes()
        vocabulary = None
        if self.vocabulary_file is not None:
            folder = self.cache_path / "vocabularies"
            vocabulary = fetch_vocabulary(self.vocabulary_file, folder)
        backbone = open_backbone(
            self.backbone,
            model=self.model,
            vocabulary=vocabulary,
            param_dtype=self.param_dtype,
        )
        config = dataclasses.replace(backbone.config, dtype=self.dtype)
        return dataclasses.replace(backbone, config=config)

    def outline(self) -> Outline:
        """Returns the frozen model without its weights, for a plan.

        A model that is not on this machine is not fetched for it where its shape is set.

        Raises:
            UserError: As `open_backbone`.
        """
        self._check_dtypes()
        if self.model is not None and is_remote(self.backbone):
            return Outline(dataclasses.replace(self.model, dtype=self.dtype), self.param_dtype)
        return self.open_backbone().outline

    def open_tasks(
        self,
        names: Sequence[str],
        vocabulary: Vocabulary,
        *,
        tfds_data_dir: str | None,
        console: Console,
    ) -> dict[str, CachedTask | CachedMixture]:
        """Opens tasks and mixtures by name; those not yet in the cache are tokenised first.

        Raises:
            UserError: There is no such task or module, or a task cannot be tokenised.
        """
        for module in self.task_modules:
            # Importing it is left to tokenising; here a mistake is found though all is cached.
            top = module.partition(".")[0]
            if not top or importlib.util.find_spec(top) is None:
                raise UserError(
                    f"cannot import the task module '{module}' (MIXTURE_OR_TASK_MODULE); "
                    "install it or put its directory on PYTHONPATH"
                )
        names = list(dict.fromkeys(names))
        data_dir = (
            None if self.data_dir is None else str(Path(self.data_dir).expanduser().resolve())
        )
        if data_dir is not None and not Path(data_dir).is_dir():
            raise UserError(f"DATA_DIR '{self.data_dir}' is no directory; give one, or None")
        cached = ensure_cached(
            self._tokens_path(data_dir),
            names,
            vocabulary,
            self.feature_lengths,
            modules=self.task_modules,
            data_dir=data_dir,
            tfds_data_dir=tfds_data_dir,
            report=lambda text: console.print(text, highlight=False, markup=False),
        )
        if self.target_prefix:
            cached = [with_target_prefix(task, self.target_prefix, vocabulary) for task in cached]
        return dict(zip(names, cached, strict=True))

    def _tokens_path(self, data_dir: str | None) -> Path:
        """Returns where tokenised tasks are kept: apart for each `DATA_DIR`."""
        if data_dir is None:
            return self.cache_path
        return self.cache_path / f"data-{hashlib.sha256(data_dir.encode()).hexdigest()[:8]}"

    def choose_shapes(self, tasks: Mapping[str, CachedTask | CachedMixture]) -> list[Shape]:
        """Chooses the padded shapes (T, L) for all splits of the tasks."""
        splits = [
            split
            for task in tasks.values()
            for part, _ in task.parts
            for split in part.splits.values()
        ]
        return choose_shapes(splits, self.shape_count, _MULTIPLE)

    def _check_dtypes(self) -> None:
        for kind, dtype in (("compute", self.dtype), ("parameter", self.param_dtype)):
            if dtype not in _DTYPES:
                raise UserError(
                    f"no {kind} dtype '{dtype}'{nearest(dtype, _DTYPES)}; "
                    f"use {' or '.join(_DTYPES)}"
                )

    def keep_compiled_programs(self) -> None:
        """Makes JAX keep compiled programs on disk, so that the next start need not compile."""
        directory = self.cache_path / "compiled"
        directory.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(directory))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def open_vocabulary(backbone: Backbone) -> Vocabulary:
    """Opens a frozen model's vocabulary."""
    return Vocabulary(backbone.vocabulary_file, backbone.extra_ids)
