"""Opens the pretrained model, its vocabulary and the tokenized tasks, for every command."""

import dataclasses
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jax
from rich.console import Console

from prompt_tuning.data.batches.shapes import Shape, choose_shapes
from prompt_tuning.data.cache.entry import Cache, check_lengths
from prompt_tuning.data.cache.opening import ensure_cached, find_cached
from prompt_tuning.data.cached_task import CachedSplit, CachedTask, MixtureOrTask, in_memory
from prompt_tuning.data.task_file import TaskFile
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.models.family import ModelConfig
from prompt_tuning.models.vocabulary_file import check_vocabulary, fetch_vocabulary
from prompt_tuning.models.weights import Backbone, Outline, is_remote, open_backbone
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.types import UserError, nearest

if TYPE_CHECKING:
    from prompt_tuning.data.user_task.reading import FileTask

_DTYPES = ("float32", "bfloat16")
MULTIPLE = 4  # tokens that padded lengths are a multiple of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """Settings of the pretrained model and of the tokenized tasks.

    Attributes:
        backbone: Name of a shipped model, or a directory with one.
        model: Configuration of the model; None for the one stored with it.
        vocabulary_file: SentencePiece model; None for the one stored with the backbone.
        dtype: Compute dtype, `float32` or `bfloat16`.
        param_dtype: Parameter dtype, `float32` or `bfloat16`.
        task_modules: Modules that register further SeqIO tasks when imported.
        data_dir: Directory of published datasets as JSON lines, `<folder>/<split>.jsonl`; None to
            use only TensorFlow Datasets.
        task_file: The user's own data as a task; its path may be None.
        feature_lengths: Maximum tokens of `inputs` and `targets`, EOS included.
        target_prefix: Text that all targets begin with in training and decoding; it is stripped
            before scoring. None means no prefix in training, and the prompts' own elsewhere.
        cache_dir: Directory of tokenized tasks and compiled programs; `~` is expanded.
        shape_count: Maximum number of padded batch shapes; each is compiled once.

    Raises:
        UserError: `feature_lengths` or `shape_count` is not valid.
    """

    backbone: str
    model: ModelConfig | None
    vocabulary_file: str | None
    dtype: str
    param_dtype: str
    task_modules: tuple[str, ...]
    data_dir: str | None
    task_file: TaskFile
    feature_lengths: dict[str, int]
    target_prefix: str | None
    cache_dir: str
    shape_count: int

    def __post_init__(self):
        check_lengths(self.feature_lengths)
        if self.shape_count < 1:
            raise UserError(f"Setup.shape_count must be at least 1, not {self.shape_count}")

    @property
    def cache_path(self) -> Path:
        """Cache directory, with `~` expanded."""
        return Path(self.cache_dir).expanduser()

    def open_backbone(self) -> Backbone:
        """Opens the pretrained model, without reading its parameters yet.

        Raises:
            UserError: The model does not exist or is damaged, or a dtype does not exist.
        """
        self._check_dtypes()
        backbone = open_backbone(
            self.backbone,
            model=self.model,
            vocabulary=self._fetch_vocabulary(),
            param_dtype=self.param_dtype,
        )
        config = dataclasses.replace(backbone.config, dtype=self.dtype)
        return dataclasses.replace(backbone, config=config)

    def open_model(self) -> OpenModel:
        """Opens the pretrained model and its vocabulary, without reading parameters yet.

        Raises:
            UserError: As `open_backbone`.
        """
        backbone = self.open_backbone()
        return OpenModel(backbone, open_vocabulary(backbone))

    @property
    def planned_model(self) -> ModelConfig | None:
        """Configuration of a remote model, which plans need not fetch; None for a local one."""
        return self.model if is_remote(self.backbone) else None

    def outline(self) -> Outline:
        """Returns the pretrained model without its weights, for a plan.

        Does not fetch a remote model whose configuration is set.

        Raises:
            UserError: As `open_backbone`.
        """
        self._check_dtypes()
        planned = self.planned_model
        if planned is None:
            return self.open_backbone().outline
        return Outline(dataclasses.replace(planned, dtype=self.dtype), self.param_dtype)

    def task_names(self, names: str | Sequence[str] | None) -> list[str]:
        """Returns task names as a list; for None, the name of the task in `task_file`.

        Raises:
            UserError: Neither names nor a task file are set.
        """
        if names is not None:
            return [names] if isinstance(names, str) else list(names)
        if self.task_file.task_name is None:
            raise UserError(
                "no task is given; set MIXTURE_OR_TASK_NAME to a task or mixture (CACHE_TASKS for "
                "the command cache), or TASK_FILE to a file with your own data"
            )
        return [self.task_file.task_name]

    def open_task_file(
        self, names: Sequence[str], vocabulary: Vocabulary, console: Console
    ) -> CachedTask | None:
        """Reads and tokenizes the task file, if one is set, and prints a summary of it.

        Raises:
            UserError: The file has errors, or its task is not in `names`.
        """
        if self.task_file.task_name is None:
            return None
        from prompt_tuning.data.user_task.summary import summarize
        from prompt_tuning.data.user_task.tokens import tokenize_file_task

        file = tokenize_file_task(self._read_task_file(names), vocabulary, self.feature_lengths)
        console.print(summarize(file), highlight=False, soft_wrap=True)
        return file.task

    def preview_tasks(
        self, names: Sequence[str], console: Console
    ) -> dict[str, MixtureOrTask] | None:
        """Returns tasks and mixtures by name, or None unless all are in the cache.

        Fetches and tokenizes nothing except the task file, which is tokenized in memory and
        summarized on the console.

        Raises:
            UserError: As `open_task_file`.
        """
        planned = self.planned_model
        if planned is not None:
            self._preview_task_file(names, planned, console)
            return None
        vocabulary = open_vocabulary(self.open_backbone())
        file_task = self.open_task_file(names, vocabulary, console)
        tasks: dict[str, MixtureOrTask] = {}
        if file_task is not None:
            tasks[file_task.name] = file_task
        for name in set(names) - set(tasks):
            task = find_cached(self._open_cache(vocabulary), name)
            if task is None:
                return None
            tasks[name] = task
        return self._add_prefix(tasks, vocabulary)

    def _preview_task_file(
        self, names: Sequence[str], planned: ModelConfig, console: Console
    ) -> None:
        """Prints a summary of the task file, if one is set, for a remote model."""
        if self.task_file.task_name is None:
            return
        if (path := self._fetch_vocabulary()) is not None:
            extra_ids = check_vocabulary(path, planned.vocab_size, None)
            self.open_task_file(names, Vocabulary(path, extra_ids), console)
        else:
            self._read_task_file(names)
            console.print(
                "TASK_FILE has no errors; its summary needs the model, which is not fetched yet"
            )

    def _fetch_vocabulary(self) -> Path | None:
        """Returns a local copy of `vocabulary_file`, or None if it is not set."""
        if self.vocabulary_file is None:
            return None
        return fetch_vocabulary(self.vocabulary_file, self.cache_path / "vocabularies")

    def _read_task_file(self, names: Sequence[str]) -> "FileTask":
        name = self.task_file.task_name
        if name not in names:
            raise UserError(
                f"TASK_FILE makes the task '{name}', but the run uses {', '.join(names)}; name it "
                "in MIXTURE_OR_TASK_NAME (or TARGET_TASKS, evaluate.tasks, CACHE_TASKS), or set "
                "that to None"
            )
        from prompt_tuning.data.user_task.reading import read_file_task

        return read_file_task(self.task_file)

    def open_tasks(
        self,
        names: Sequence[str],
        vocabulary: Vocabulary,
        *,
        tfds_data_dir: str | None,
        console: Console,
    ) -> dict[str, MixtureOrTask]:
        """Opens tasks and mixtures by name, after tokenizing those not in the cache.

        Raises:
            UserError: A task or module does not exist, or a task cannot be tokenized.
        """
        names = list(dict.fromkeys(names))
        file_task = self.open_task_file(names, vocabulary, console)
        opened: dict[str, MixtureOrTask] = {}
        if file_task is not None:
            opened[file_task.name] = file_task
        others = [name for name in names if name not in opened]
        if others:
            self._check_modules()
            cached = ensure_cached(
                self._open_cache(vocabulary, tfds_data_dir),
                others,
                report=lambda text: console.print(text, highlight=False, markup=False),
            )
            opened |= zip(others, cached, strict=True)
        return self._add_prefix({name: opened[name] for name in names}, vocabulary)

    def _add_prefix(
        self, tasks: dict[str, MixtureOrTask], vocabulary: Vocabulary
    ) -> dict[str, MixtureOrTask]:
        """Returns the tasks with `target_prefix`, if set, before all targets."""
        if not self.target_prefix:
            return tasks
        from prompt_tuning.data.target_prefix import with_target_prefix

        return {
            name: with_target_prefix(task, self.target_prefix, vocabulary)
            for name, task in tasks.items()
        }

    def _check_modules(self) -> None:
        for module in self.task_modules:
            # Only tokenizing imports it; this finds a misspelt name even if all tasks are cached.
            top = module.partition(".")[0]
            if not top or importlib.util.find_spec(top) is None:
                raise UserError(
                    f"cannot import the task module '{module}' (MIXTURE_OR_TASK_MODULE); "
                    "install it or put its directory on PYTHONPATH"
                )

    def _open_cache(self, vocabulary: Vocabulary, tfds_data_dir: str | None = None) -> Cache:
        """Returns the cache of tokenized tasks; each `DATA_DIR` has its own."""
        directory, data_dir = self.cache_path, None
        if self.data_dir is not None:
            path = Path(self.data_dir).expanduser().resolve()
            if not path.is_dir():
                raise UserError(f"DATA_DIR '{self.data_dir}' is no directory; give one, or None")
            data_dir = str(path)
            directory /= f"data-{hashlib.sha256(data_dir.encode()).hexdigest()[:8]}"
        return Cache(
            directory,
            vocabulary,
            self.feature_lengths,
            modules=self.task_modules,
            data_dir=data_dir,
            tfds_data_dir=tfds_data_dir,
        )

    def choose_shapes(self, tasks: Mapping[str, MixtureOrTask]) -> list[Shape]:
        """Chooses the padded shapes (T, L) for all splits of the tasks."""
        splits = [
            split
            for task in tasks.values()
            for part in task.tasks
            for split in part.splits.values()
        ]
        # Lengths of a streamed task come from its validation split, the maximum from its settings.
        splits += [
            in_memory([[0] * part.lengths["inputs"]], [[0] * part.lengths["targets"]])
            for task in tasks.values()
            for part in task.tasks
            if part.stream is not None
        ]
        return self.choose_split_shapes(splits)

    def choose_split_shapes(self, splits: Sequence[CachedSplit]) -> list[Shape]:
        """Chooses the padded shapes (T, L) for the given splits."""
        return choose_shapes(splits, self.shape_count, MULTIPLE)

    def _check_dtypes(self) -> None:
        for kind, dtype in (("compute", self.dtype), ("parameter", self.param_dtype)):
            if dtype not in _DTYPES:
                raise UserError(
                    f"no {kind} dtype '{dtype}'{nearest(dtype, _DTYPES)}; "
                    f"use {' or '.join(_DTYPES)}"
                )

    def cache_compiled_programs(self) -> None:
        """Enables JAX's persistent compilation cache, under `cache_dir`."""
        directory = self.cache_path / "compiled"
        directory.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(directory))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def open_vocabulary(backbone: Backbone) -> Vocabulary:
    """Opens a model's vocabulary."""
    return Vocabulary(backbone.vocabulary_file, backbone.extra_ids)
