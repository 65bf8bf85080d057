"""This project's side of the benchmarks: the step, the stepping and the decoding that users run."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import jax
import numpy as np

from benchmarks import backbones, cases
from benchmarks.cases import Case
from prompt_tuning.data.cached_task import CachedSplit, in_memory
from prompt_tuning.data.padding import Positions
from prompt_tuning.data.pipeline import Batches, HostBatch
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.family import PromptedModel, prompted
from prompt_tuning.models.weights import Outline
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.placement import find_placement
from prompt_tuning.training import partitioning
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.lanes import Lane, Stepper
from prompt_tuning.training.pool import make_cutter, make_pool
from prompt_tuning.training.rows import Row
from prompt_tuning.training.running import Place
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.training.starts import SampledVocab
from prompt_tuning.training.state import init_state
from prompt_tuning.training.step import StepMetrics
from prompt_tuning.types import Params, UserError


@dataclasses.dataclass(frozen=True)
class Opened:
    """Holds a model on its devices, with the settings of its training.

    Attributes:
        config: What a run would train with.
        outline: The model without its weights.
        model: The prompted model.
        layouts: Where forward passes run.
        frozen: The parameters on every layout, by the layout's name.
    """

    config: TuneConfig
    outline: Outline
    model: PromptedModel
    layouts: Sequence[partitioning.Layout]
    frozen: Mapping[str, Params]


def open_case(case: Case, rows: int) -> Opened:
    """Opens a case's model for the training of rows that run at the same time."""
    setup, config = cases.configured(case)
    partitioning.use_cpu_cores(rows)
    setup.keep_compiled_programs()
    backbone = backbones.open_model(case)
    layouts = partitioning.layouts()[:rows]
    model = prompted(backbone.config, find_placement(config.placed))
    frozen = partitioning.load(backbone, layouts)
    outline = Outline(backbone.config, backbone.config.dtype)
    return Opened(config, outline, model, layouts, frozen)


def examples(case: Case, count: int, seed: int = 0) -> CachedSplit:
    """Returns random examples, all as long as the case says."""
    random = np.random.default_rng(seed)
    top = backbones.model_config(case).vocab_size
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
            prompt = first_prompt(case, opened.model.width, number)
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
    """

    def __init__(self, opened: Opened, case: Case):
        self._evaluator = Evaluator(
            opened.model,
            opened.frozen,
            opened.layouts,
            cast(Vocabulary, _Numbers()),
            Greedy(),
            batch_size=opened.config.eval_batch_size,
            shapes=[(case.inputs, case.targets)],
        )
        self._bank = PromptBank(np.asarray(first_prompt(case, opened.model.width, 0))[None])

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
