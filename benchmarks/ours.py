"""This project's side of the benchmarks: the step, the stepping and the decoding that users run.

What a case does not set is as `configs/` has it. All that benchmarks know of the training room is
in this module.
"""

import argparse
import dataclasses
import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import jax
import numpy as np
from sentencepiece import sentencepiece_model_pb2

from benchmarks.command import Parser, positive
from prompt_tuning.cli import gin_config
from prompt_tuning.cli.main import COMMANDS
from prompt_tuning.data.cached_task import CachedSplit, in_memory
from prompt_tuning.data.padding import Positions
from prompt_tuning.data.pipeline import Batches, HostBatch
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.models.config import T5Config
from prompt_tuning.models.formats.native import write_native
from prompt_tuning.models.parameters import Index, parameter_shapes
from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.models.t5 import T5
from prompt_tuning.models.weights import Backbone, Outline, open_backbone
from prompt_tuning.prompts.placement import find_placement
from prompt_tuning.training import partitioning
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.decoders import Greedy
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.lanes import Lane, Stepper
from prompt_tuning.training.pool import make_cutter, make_pool
from prompt_tuning.training.rows import Row
from prompt_tuning.training.running import Place
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.training.setup import Setup
from prompt_tuning.training.starts import SampledVocab
from prompt_tuning.training.state import init_state
from prompt_tuning.training.step import StepMetrics
from prompt_tuning.types import Params, UserError, nearest

_TINY = (  # for tests of the benchmarks
    "T5Config.name = 'tiny'",
    "T5Config.vocab_size = 64",
    "T5Config.emb_dim = 16",
    "T5Config.head_dim = 8",
    "T5Config.num_heads = 2",
    "T5Config.mlp_dim = 24",
    "T5Config.num_encoder_layers = 1",
    "T5Config.num_decoder_layers = 1",
)
MODELS: Mapping[str, str] = {
    "tiny": "t5_1_1_small",
    "t5_mini": "t5_mini",
    "small": "t5_1_1_small",
    "base": "t5_1_1_base",
    "large": "t5_1_1_large",
    "xl": "t5_1_1_xl",
    "xxl": "t5_1_1_xxl",
}
"""Models by the names that flags use, with their files in `configs/models/`."""
DTYPES = ("float32", "bfloat16")
_SIZES: Mapping[str, Mapping[str, int]] = {
    "": {"prompt": 100, "inputs": 128, "targets": 8},
    "t5_mini": {"prompt": 16, "inputs": 40, "targets": 4},
}
_MEANINGS = {
    "prompt": "prompt tokens",
    "inputs": "input tokens of every example",
    "targets": "target tokens of every example",
}
CACHE = "~/.cache/prompt_tuning"
"""Where runs keep compiled programs and tokenised tasks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """Says what is timed.

    Attributes:
        model: A name of `MODELS`; all but `t5_mini` have random weights.
        dtype: Of activations and frozen weights, `float32` or `bfloat16`.
        batch: Examples of an update of one row, B.
        prompt: Prompt tokens, P.
        inputs: Input tokens of every example, T, end of sequence included.
        targets: Target tokens of every example, L, end of sequence included.
        dropout: Probability of zeroing a feature in training.
        cache_dir: Where compiled programs are kept.
    """

    model: str
    dtype: str
    batch: int
    prompt: int
    inputs: int
    targets: int
    dropout: float
    cache_dir: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """Says what a worker does; see `our_worker`.

    Attributes:
        case: What is timed.
        rows: Rows that train at the same time.
        generated: Examples of a generation.
    """

    case: Case
    rows: int
    generated: int

    def to_json(self) -> dict[str, Any]:
        """Returns what the worker reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` returned, as text."""
        fields = json.loads(text)
        return cls(case=Case(**fields.pop("case")), **fields)


@dataclasses.dataclass(frozen=True)
class Opened:
    """Holds a model on its devices, with the settings of its training.

    Attributes:
        config: What a run would train with.
        model: The prompted model.
        layouts: Where forward passes run.
        frozen: The parameters on every layout, by the layout's name.
    """

    config: TuneConfig
    model: PromptedT5
    layouts: Sequence[partitioning.Layout]
    frozen: Mapping[str, Params]

    @property
    def outline(self) -> Outline:
        """The model without its weights."""
        return Outline(self.model.model.config, self.model.model.config.dtype)

    @property
    def width(self) -> int:
        """The width of the model, H."""
        return self.model.model.config.emb_dim


def add_flags(parser: Parser, model: str) -> None:
    """Adds the flags of a case, with a model by default."""
    names = ", ".join(name for name in MODELS if name != "tiny")
    parser.add_argument("--model", default=model, metavar="NAME", help=f"{names} (default {model})")
    parser.add_argument("--dtype", choices=DTYPES, default=DTYPES[0], help="of all but the prompt")
    parser.number("--batch", 16, "examples of an update")
    default, mini = _SIZES[""], _SIZES["t5_mini"]
    for name, meaning in _MEANINGS.items():
        text = f"{meaning} (default {default[name]}; t5_mini: {mini[name]})"
        parser.add_argument(f"--{name}", type=positive, metavar="N", help=text)
    parser.add_argument(
        "--dropout", type=float, default=0.0, metavar="RATE", help="in training (default 0)"
    )
    parser.add_argument(
        "--cache_dir",
        default=CACHE,
        metavar="DIRECTORY",
        help=f"where compiled programs are kept (default {CACHE})",
    )


def case(flags: argparse.Namespace) -> Case:
    """Returns the case that flags describe.

    Raises:
        UserError: There is no such model, or a number is out of range.
    """
    if flags.model not in MODELS:
        near = nearest(flags.model, MODELS)
        raise UserError(f"--model: no model {flags.model!r}{near}; use {', '.join(MODELS)}")
    if not 0.0 <= flags.dropout < 1.0:
        raise UserError(f"--dropout: {flags.dropout} is not in [0, 1)")
    sizes = _SIZES.get(flags.model, _SIZES[""])
    sizes = {name: getattr(flags, name) or size for name, size in sizes.items()}
    if min(sizes["inputs"], sizes["targets"]) < 2:
        raise UserError("--inputs, --targets: 1 leaves no token before EOS; use 2 or more")
    given: dict[str, Any] = {**vars(flags), **sizes}
    return Case(**{field.name: given[field.name] for field in dataclasses.fields(Case)})


def described(case: Case) -> dict[str, Any]:
    """Returns what a report says of a case."""
    return {name: value for name, value in dataclasses.asdict(case).items() if name != "cache_dir"}


def answered_together(case: Case) -> int:
    """Returns how many examples a run decodes together."""
    return _configured(case)[1].eval_batch_size


def shapes_of(case: Case, splits: Sequence[CachedSplit]) -> list[tuple[int, int]]:
    """Returns the shapes (T, L) that a run pads batches of these splits to."""
    return _configured(case)[0].shapes_of(splits)


def model_config(case: Case) -> T5Config:
    """Returns the shape of a case's model."""
    setup, _ = _configured(case)
    return setup.model or _backbone(case, setup).config


def save(case: Case, folder: Path) -> None:
    """Writes a case's model as a directory that a run opens, with a vocabulary of digits."""
    setup, _ = _configured(case)
    backbone = _backbone(case, setup)
    folder.mkdir()
    vocabulary = folder.with_suffix(".spm")
    _write_vocabulary(vocabulary, backbone.config.vocab_size)
    write_native(
        folder,
        config=backbone.config,
        parameters=backbone.parameters,
        vocabulary_file=vocabulary,
        extra_ids=0,
    )


def open_case(case: Case, rows: int) -> Opened:
    """Opens a case's model for the training of rows that run at the same time."""
    setup, config = _configured(case)
    partitioning.use_cpu_cores(rows)
    setup.keep_compiled_programs()
    backbone = _backbone(case, setup)
    layouts = partitioning.layouts()[:rows]
    model = PromptedT5(T5(backbone.config), find_placement(config.placement))
    return Opened(config, model, layouts, partitioning.load(backbone, layouts))


def examples(case: Case, count: int, seed: int = 0) -> CachedSplit:
    """Returns random examples, all as long as the case says."""
    random = np.random.default_rng(seed)
    top = model_config(case).vocab_size
    inputs = random.integers(3, top, (count, case.inputs - 1), np.int32)
    targets = random.integers(3, top, (count, case.targets - 1), np.int32)
    return in_memory([[*row, 1] for row in inputs], [[*row, 1] for row in targets])


class Training:
    """Rows in training, stepped as the loop of a run steps them.

    Args:
        opened: The model.
        case: The batch size and the prompt's length.
        shapes: The (T, L) that batches are padded to.
        rows: Rows that train at the same time.
    """

    def __init__(self, opened: Opened, case: Case, shapes: Sequence[tuple[int, int]], rows: int):
        stepper = Stepper(opened.model, opened.frozen, opened.config.step)
        of_run = [_row(case, number) for number in range(rows)]
        pool = make_pool(stepper, opened.layouts, of_run, opened.outline, opened.config, shapes)
        self._places: list[Place] = []
        for number, row in enumerate(of_run):
            place = pool.free()
            if place is None:
                raise UserError(f"{rows} rows are more than the {pool.slots} slots of a run")
            prompt = first_prompt(case, opened.width, number)
            place.lane.load(place.slot, row, init_state(prompt, opened.config.step.optimizer))
            self._places.append(place)

    def step(self, batches: Sequence[HostBatch]) -> list[StepMetrics]:
        """Takes a step with a batch for each row, without waiting for it."""
        by_lane: dict[Lane, dict[int, HostBatch]] = {}
        for (lane, slot), batch in zip(self._places, batches, strict=True):
            by_lane.setdefault(lane, {})[slot] = batch
        return [lane.step(of_lane)[0] for lane, of_lane in by_lane.items()]


def train(steps: Iterable[tuple[Training, Sequence[HostBatch]]]) -> None:
    """Takes steps, reads the metrics of each one step late, and waits for the last.

    Args:
        steps: For each step what to train, and a batch for each of its rows.
    """
    unread: list[StepMetrics] = []
    for training, batches in steps:
        stepped = training.step(batches)
        jax.device_get(unread)
        unread = stepped
    jax.device_get(unread)


def count(
    opened: Opened, case: Case, shapes: Sequence[tuple[int, int]], batch: HostBatch
) -> Positions:
    """Counts the encoder positions of a row's step on a batch, with these shapes to pad to."""
    (layout, *_), rows = opened.layouts, [_row(case, 0)]
    cutter = make_cutter(rows, opened.outline, opened.config, shapes, layout, 1)
    return cutter.cut({0: batch}).positions[0]


class Generation:
    """Greedy decoding of examples with one prompt, as an evaluation does it.

    Args:
        opened: The model.
        case: The prompt's length and the targets'.
        batch: Examples decoded together; None takes the default of runs.
    """

    def __init__(self, opened: Opened, case: Case, batch: int | None = None):
        self._evaluator = Evaluator(
            opened.model,
            opened.frozen,
            opened.layouts,
            cast(Vocabulary, _Numbers()),
            Greedy(),
            batch_size=batch or opened.config.eval_batch_size,
            shapes=[(case.inputs, case.targets)],
        )
        self._bank = np.asarray(first_prompt(case, opened.width, 0))[None]

    def run(self, split: CachedSplit) -> int:
        """Answers every example; returns the tokens of the longest answer."""
        [answers] = self._evaluator.predict(self._bank, [(0, split)], [()])
        return max(len(answer.split()) for answer in answers)


def batches(
    case: Case, split: CachedSplit, shapes: Sequence[tuple[int, int]], seed: int
) -> Batches:
    """Returns the training batches of a row."""
    return Batches(
        split,
        batch_size=case.batch,
        seed=seed,
        shapes=shapes,
        process_index=0,
        process_count=1,
    )


def first_prompt(case: Case, width: int, seed: int) -> jax.Array:
    """Returns a random prompt `[P, H]`."""
    random = np.random.default_rng(seed)
    return jax.numpy.asarray(random.standard_normal((case.prompt, width), np.float32))


def card() -> str | None:
    """Returns the name of the accelerator; None on a CPU."""
    device = jax.devices()[0]
    return None if device.platform == "cpu" else device.device_kind


def peak_bytes() -> int | None:
    """Returns the most memory of the accelerator in use so far; None on a CPU."""
    if card() is None:
        return None
    stats = jax.devices()[0].memory_stats()
    return stats["peak_bytes_in_use"] if stats else None


class _Numbers:
    """A vocabulary whose pieces are numbers."""

    def encode(self, text: str) -> list[int]:
        return [int(word) for word in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(str(token) for token in np.asarray(ids).tolist() if token)


@dataclasses.dataclass(frozen=True)
class _Random:
    """A parameter that is drawn when it is read: about as large as a trained one."""

    place: str
    shape: tuple[int, ...]
    dtype = np.dtype(np.float32)

    def read_into(self, index: Index, out: np.ndarray) -> None:
        del index
        seed = sum(self.place.encode())
        random = np.random.default_rng(seed)
        if self.place.endswith("scale"):
            out[...] = 1.0
            return
        deviation = 1.0 if "embedding" in self.place else self.shape[0] ** -0.5
        if "query" in self.place:
            deviation *= 0.125
        for row in out.reshape(-1, out.shape[-1]):
            row[...] = random.standard_normal(len(row), np.float32) * np.float32(deviation)

    def split(self, index: Index) -> list[Index]:
        return [index]


def _configured(case: Case) -> tuple[Setup, TuneConfig]:
    """Returns the settings of a run as gin files have them, but for what the case sets."""
    files = ["defaults.gin", f"models/{MODELS[case.model]}.gin"]
    changes = [
        *(_TINY if case.model == "tiny" else ()),
        f"COMPUTE_DTYPE = {case.dtype!r}",
        f"PARAM_DTYPE = {case.dtype!r}",
        f"PROMPT_LENGTH = {case.prompt}",
        f"DROPOUT_RATE = {case.dropout}",
        f"BATCH_SIZE = {case.batch}",
        f"CACHE_DIR = {case.cache_dir!r}",
        "MODEL_DIR = 'unused'",
        "MIXTURE_OR_TASK_NAME = 'unused'",
    ]
    for command in COMMANDS.values():  # a gin file may bind the parameters of any
        importlib.import_module(command.module)
    config = gin_config.parse([*files, "prompts/sampled_vocab.gin"], changes, [])
    arguments = gin_config.arguments(gin_config.operative_config(config, "train"), "train")
    return arguments["setup"], arguments["tuning"]


def _backbone(case: Case, setup: Setup) -> Backbone:
    if setup.model is None:
        backbone = open_backbone(
            setup.backbone, model=None, vocabulary=None, param_dtype=setup.param_dtype
        )
        config = dataclasses.replace(backbone.config, dtype=case.dtype)
        return dataclasses.replace(backbone, config=config)
    shapes = parameter_shapes(setup.model)
    return Backbone(
        config=setup.model,
        parameters={name: _Random(name, shape) for name, shape in shapes.items()},
        vocabulary_file=Path("none"),
        extra_ids=0,
        param_dtype=setup.param_dtype,
    )


def _write_vocabulary(path: Path, pieces: int) -> None:
    """Writes a SentencePiece model: padding, end, unknown, and numbers from 0 on."""
    model = sentencepiece_model_pb2.ModelProto()  # pyright: ignore[reportAttributeAccessIssue]
    special = [("<pad>", 3), ("</s>", 3), ("<unk>", 2)]  # control, control, unknown
    for name, kind in [*special, *((f"▁{i}", 1) for i in range(pieces - len(special)))]:
        model.pieces.add(piece=name, score=0.0, type=kind)
    model.trainer_spec.pad_id, model.trainer_spec.eos_id, model.trainer_spec.unk_id = 0, 1, 2
    model.trainer_spec.bos_id = -1
    path.write_bytes(model.SerializeToString())


def _row(case: Case, number: int) -> Row:
    schedule = Schedule(steps=1, batch_size=case.batch, learning_rate=0.3, eval_period=1)
    return Row(
        name=f"row{number}",
        task="random",
        start=SampledVocab(None),
        seed=number,
        schedule=schedule,
        method="prompt_tuning",
        source=None,
    )
