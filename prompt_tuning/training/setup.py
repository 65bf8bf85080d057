"""What every command opens first: the pretrained model, its vocabulary, and the tokenised tasks."""

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
    """Says which pretrained model and which tokenised tasks to use.

    Attributes:
        backbone: Name of a shipped model, or a directory with one.
        model: Its shape; None takes the one that is stored with it.
        vocabulary_file: Its SentencePiece model; None takes the one that is stored with it.
        dtype: Compute dtype, `float32` or `bfloat16`.
        param_dtype: What parameters are kept as, `float32` or `bfloat16`.
        task_modules: Modules that register further SeqIO tasks when imported.
        data_dir: Where published datasets are as JSON lines, `<folder>/<split>.jsonl`; None for
            TensorFlow Datasets alone.
        task_file: A file of the user's own that makes a task; its path may be None.
        feature_lengths: Tokens kept of `inputs` and `targets`, EOS included.
        target_prefix: Text that all targets begin with, in training and decoding; scores are of
            answers without it. None for that of the prompts in use, or none in training.
        cache_dir: Where tokenised tasks and compiled programs are kept; `~` is the home directory.
        shape_count: Padded shapes of batches, at most; each is compiled once.
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
        """The cache directory, `~` expanded."""
        return Path(self.cache_dir).expanduser()

    def open_backbone(self) -> Backbone:
        """Opens the pretrained model; its parameters are not read yet.

        Raises:
            UserError: There is no such model, it is damaged, or there is no such dtype.
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
        """Opens the pretrained model and its vocabulary; its parameters are not read yet.

        Raises:
            UserError: As `open_backbone`.
        """
        backbone = self.open_backbone()
        return OpenModel(backbone, open_vocabulary(backbone))

    @property
    def planned_model(self) -> ModelConfig | None:
        """The shape set for a model that plans need not fetch; None for one that is here."""
        return self.model if is_remote(self.backbone) else None

    def outline(self) -> Outline:
        """Returns the pretrained model without its weights, for a plan.

        A model that is not on this machine is not fetched for it where its shape is set.

        Raises:
            UserError: As `open_backbone`.
        """
        self._check_dtypes()
        planned = self.planned_model
        if planned is None:
            return self.open_backbone().outline
        return Outline(dataclasses.replace(planned, dtype=self.dtype), self.param_dtype)

    def named_tasks(self, names: str | Sequence[str] | None) -> list[str]:
        """Returns names of tasks as a list; None stands for the task of the user's own file.

        Raises:
            UserError: There is no such file.
        """
        if names is not None:
            return [names] if isinstance(names, str) else list(names)
        if self.task_file.task_name is None:
            raise UserError(
                "no task is given; set MIXTURE_OR_TASK_NAME to a task or mixture (CACHE_TASKS for "
                "the command cache), or TASK_FILE to a file with data of your own"
            )
        return [self.task_file.task_name]

    def open_task_file(
        self, names: Sequence[str], vocabulary: Vocabulary, console: Console
    ) -> CachedTask | None:
        """Reads and tokenises the user's own file, if there is one, and prints what it holds.

        Raises:
            UserError: The file is not sound, or its task is not among the names of the run.
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
        """Returns tasks and mixtures where all are tokenised; fetches and tokenises none for it.

        What the user's own file holds is tokenised in memory, and printed.

        Raises:
            UserError: As `open_task_file`.
        """
        planned = self.planned_model
        if planned is not None:
            self._preview_task_file(names, planned, console)
            return None
        vocabulary = open_vocabulary(self.open_backbone())
        of_file = self.open_task_file(names, vocabulary, console)
        tasks: dict[str, MixtureOrTask] = {}
        if of_file is not None:
            tasks[of_file.name] = of_file
        for name in set(names) - set(tasks):
            task = find_cached(self._open_cache(vocabulary), name)
            if task is None:
                return None
            tasks[name] = task
        return self._prefixed(tasks, vocabulary)

    def _preview_task_file(
        self, names: Sequence[str], planned: ModelConfig, console: Console
    ) -> None:
        """Prints what the user's own file holds, if there is one, for a model that is elsewhere."""
        if self.task_file.task_name is None:
            return
        if (path := self._fetch_vocabulary()) is not None:
            extra_ids = check_vocabulary(path, planned.vocab_size, None)
            self.open_task_file(names, Vocabulary(path, extra_ids), console)
        else:
            self._read_task_file(names)
            console.print("TASK_FILE is sound; what it holds is shown once the model is here")

    def _fetch_vocabulary(self) -> Path | None:
        """Returns the vocabulary file that is set, on this machine; None for the model's own."""
        if self.vocabulary_file is None:
            return None
        return fetch_vocabulary(self.vocabulary_file, self.cache_path / "vocabularies")

    def _read_task_file(self, names: Sequence[str]) -> "FileTask":
        name = self.task_file.task_name
        if name not in names:
            raise UserError(
                f"TASK_FILE makes the task '{name}', but the run is of {', '.join(names)}; name it "
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
        """Opens tasks and mixtures by name; those not yet in the cache are tokenised first.

        Raises:
            UserError: There is no such task or module, or a task cannot be tokenised.
        """
        names = list(dict.fromkeys(names))
        of_file = self.open_task_file(names, vocabulary, console)
        opened: dict[str, MixtureOrTask] = {}
        if of_file is not None:
            opened[of_file.name] = of_file
        others = [name for name in names if name not in opened]
        if others:
            self._check_modules()
            cached = ensure_cached(
                self._open_cache(vocabulary, tfds_data_dir),
                others,
                report=lambda text: console.print(text, highlight=False, markup=False),
            )
            opened |= zip(others, cached, strict=True)
        return self._prefixed({name: opened[name] for name in names}, vocabulary)

    def _prefixed(
        self, tasks: dict[str, MixtureOrTask], vocabulary: Vocabulary
    ) -> dict[str, MixtureOrTask]:
        """Returns the tasks with the prefix of all targets, if there is one."""
        if not self.target_prefix:
            return tasks
        from prompt_tuning.data.target_prefix import with_target_prefix

        return {
            name: with_target_prefix(task, self.target_prefix, vocabulary)
            for name, task in tasks.items()
        }

    def _check_modules(self) -> None:
        for module in self.task_modules:
            # Importing it is left to tokenising; here a mistake is found though all is cached.
            top = module.partition(".")[0]
            if not top or importlib.util.find_spec(top) is None:
                raise UserError(
                    f"cannot import the task module '{module}' (MIXTURE_OR_TASK_MODULE); "
                    "install it or put its directory on PYTHONPATH"
                )

    def _open_cache(self, vocabulary: Vocabulary, tfds_data_dir: str | None = None) -> Cache:
        """Returns the cache of tokenized tasks, of which each `DATA_DIR` has its own."""
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
        # The validation split tells how long the examples of a streamed one are, but for the most.
        splits += [
            in_memory([[0] * part.lengths["inputs"]], [[0] * part.lengths["targets"]])
            for task in tasks.values()
            for part in task.tasks
            if part.stream is not None
        ]
        return self.shapes_of(splits)

    def shapes_of(self, splits: Sequence[CachedSplit]) -> list[Shape]:
        """Chooses the padded shapes (T, L) for splits."""
        return choose_shapes(splits, self.shape_count, MULTIPLE)

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
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def open_vocabulary(backbone: Backbone) -> Vocabulary:
    """Opens a model's vocabulary."""
    return Vocabulary(backbone.vocabulary_file, backbone.extra_ids)
