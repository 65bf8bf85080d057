"""A world small enough to train in a second: a random T5, and a task of counting tokens."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from benchmarks.pieces import write_vocabulary
from prompt_tuning.data import ragged, references
from prompt_tuning.data.cached_task import CachedSplit, CachedTask
from prompt_tuning.data.metrics import accuracy
from prompt_tuning.models.parameters import in_memory
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.network import T5
from prompt_tuning.models.weights import Backbone
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.parameterizations.whole_model import WholeModel
from prompt_tuning.prompts.initializers import Pretrained, SampledVocab
from prompt_tuning.training.adafactor import Adafactor
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.loop import tune
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.run import Run
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.running import RunningRow
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.training.step import StepConfig
from prompt_tuning.types import Params

T5_CONFIG = T5Config(
    name="toy",
    vocab_size=32,
    emb_dim=16,
    num_heads=2,
    head_dim=8,
    mlp_dim=24,
    num_encoder_layers=1,
    num_decoder_layers=1,
    activations=("gelu", "linear"),
    tied_embeddings=False,
)
SHAPES = [(8, 2), (16, 2)]
SCHEDULE = Schedule(steps=12, batch_size=4, learning_rate=0.3, eval_period=4)
MODEL_SCHEDULE = dataclasses.replace(SCHEDULE, learning_rate=0.03)


class Digits:
    """A vocabulary whose pieces are numbers."""

    def encode(self, text: str) -> list[int]:
        return [int(word) for word in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        ids = [int(i) for i in ids]
        return " ".join(map(str, ids[: ids.index(1)] if 1 in ids else ids))


def params() -> Params:
    """Returns random weights of a T5 from a fixed seed."""
    tokens = np.ones((1, 1), np.int32)
    shapes = jax.eval_shape(T5(T5_CONFIG).init, jax.random.key(0), tokens, tokens)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape, scale=0.3).astype(np.float32), shapes
    )


def backbone(weights: Params | None = None) -> Backbone:
    """Returns a T5 with given weights, or with `params()`."""
    parameters = in_memory(weights or params())
    return Backbone(T5_CONFIG, parameters, Path("none"), 0, "float32")


def backbone_with_vocabulary(folder: Path) -> Backbone:
    """Returns the T5 with a vocabulary file, so that a model of its kind can be kept."""
    vocabulary_file = write_vocabulary(folder / "vocabulary", T5_CONFIG.vocab_size)
    return dataclasses.replace(backbone(), vocabulary_file=vocabulary_file)


def task(folder: Path, name: str = "counting") -> CachedTask:
    """Returns a task whose target is the parity of the input's length."""
    rng = np.random.default_rng(len(name))

    def split(part: str, size: int) -> CachedSplit:
        inputs = [[*rng.integers(2, 32, rng.integers(1, 15)), 1] for _ in range(size)]
        targets = [[5 + len(ids) % 2, 1] for ids in inputs]
        fields = folder / f"{name}.{part}.jsonl"
        fields.write_text(
            "".join(json.dumps({"targets_pretokenized": str(ids[0])}) + "\n" for ids in targets)
        )
        return CachedSplit(ragged.from_sequences(inputs), ragged.from_sequences(targets), fields)

    sizes = {"train": 20, "validation": 12, "test": 12}
    return CachedTask(
        name=name,
        digest=f"digest of {name}",
        splits={part: split(part, size) for part, size in sizes.items()},
        labels=("5", "6"),
        metric_functions=(references.refer(accuracy, "toy"),),
        postprocessor=None,
        lengths={"inputs": 16, "targets": 2},
    )


def config(**changes: Any) -> TuneConfig:
    """Returns settings of a run."""
    optimizer = Adafactor(
        decay_exponent=0.8,
        step_offset=0,
        clip_rms=1.0,
        weight_decay=1e-5,
        epsilon=1e-30,
        min_factored_size=128,
        parameter_scale=None,
    )
    step = StepConfig(optimizer=optimizer, dropout_rate=0.0, z_loss=1e-4)
    settings = TuneConfig(
        parameterization=PromptTable(3),
        placement="prefix",
        slots=64,
        microbatch_positions=None,
        remat=False,
        step=step,
        eval_batch_size=16,
        log_period=1,
        checkpoint_period=3,
    )
    return dataclasses.replace(settings, **changes)


def row(name: str, **changes: Any) -> Row:
    """Returns a row of twelve steps on the task."""
    settings: dict[str, Any] = {
        "task": "counting",
        "start": SampledVocab(None),
        "seed": 0,
        "schedule": SCHEDULE,
    }
    return Row(name=name, **{**settings, **changes})


def open_model(stored: Backbone | None = None) -> OpenModel:
    """Returns the open model, of `backbone()` or of another one."""
    return OpenModel(stored or backbone(), Digits())  # pyright: ignore[reportArgumentType]


def run(folder: Path, **changes: Any) -> Run:
    """Returns what rows share, in `folder / "run"`; `backbone` is of its model."""
    settings: dict[str, Any] = {
        "config": config(),
        "model": open_model(changes.pop("backbone", None)),
        "tasks": {"counting": task(folder)},
        "shapes": SHAPES,
        "directory": RunDirectory(folder / "run"),
        "save_steps": (),
        "operative_config": "",
        "console": Console(quiet=True),
    }
    return Run(**{**settings, **changes})


def train(
    rows: Sequence[Row], folder: Path, settings: TuneConfig | None = None, **changes: Any
) -> list[RowResult]:
    """Trains rows in `folder / "run"`."""
    folder.mkdir(parents=True, exist_ok=True)
    return tune(rows, run=run(folder, config=settings or config(), **changes))


def running(row: Row, progress: Progress, best: np.ndarray | None = None) -> RunningRow:
    """Returns a row in training, of which nothing but its progress and its best is looked at."""
    nothing: Any = None
    return RunningRow(
        row=row,
        tasks=(),
        progress=progress,
        batches=nothing,
        slot=nothing,
        given=(),
        best=best,
    )


def model_row(name: str, **changes: Any) -> Row:
    """Returns a row of model tuning."""
    settings = {"start": Pretrained(), "method": "model_tuning", "schedule": MODEL_SCHEDULE}
    return row(name, **{**settings, **changes})


def model_config(**changes: Any) -> TuneConfig:
    """Returns settings of a run of model tuning."""
    optimizer = dataclasses.replace(config().step.optimizer, weight_decay=0.0, parameter_scale=1e-3)
    step = dataclasses.replace(config().step, optimizer=optimizer, dropout_rate=0.1)
    return config(**{"parameterization": WholeModel(), "step": step, **changes})


def train_models(rows: Sequence[Row], folder: Path, **changes: Any) -> list[RowResult]:
    """Tunes models in `folder / "run"`."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"backbone": backbone_with_vocabulary(folder), "shapes": SHAPES[-1:]}
    return train(rows, folder, model_config(), **{**settings, **changes})


def losses(folder: Path, row: str) -> list[float]:
    """Returns the loss per token of each step of a row, in nats."""
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [e["loss_per_token"] for e in entries if (e["kind"], e["row"]) == ("train", row)]
