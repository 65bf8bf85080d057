"""This project's side of the benchmarks: training steps and decoding as in users' runs."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import cast

import jax
import numpy as np

from benchmarks import backbones, cases
from benchmarks.cases import Case
from prompt_tuning.data.batches.padding import Positions
from prompt_tuning.data.batches.pipeline import Batches, HostBatch
from prompt_tuning.data.cached_task import CachedSplit, in_memory
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.models.decoding import Greedy
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.initializers import SampledVocab
from prompt_tuning.training import partitioning
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.rows import Row
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.training.slots import DeviceSlots, Slot, make_microbatcher, make_slots
from prompt_tuning.training.step import StepMetrics
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True)
class Opened:
    """A model on its devices, with its training settings.

    Attributes:
        config: The training settings of a run.
        model: The model.
        layouts: Where forward passes run.
    """

    config: TuneConfig
    model: OpenModel
    layouts: Sequence[partitioning.Layout]


def open_case(case: Case, rows: int) -> Opened:
    """Opens a case's model to train `rows` rows at once."""
    setup, config = cases.configured(case)
    partitioning.use_cpu_cores(rows)
    setup.cache_compiled_programs()
    model = OpenModel(backbones.open_model(case), cast(Vocabulary, _Numbers()))
    return Opened(config, model, model.layouts[:rows])


def examples(case: Case, count: int, seed: int = 0) -> CachedSplit:
    """Returns random examples, all of the case's lengths."""
    random = np.random.default_rng(seed)
    top = backbones.model_config(case).vocab_size
    inputs = random.integers(3, top, (count, case.inputs - 1), np.int32)
    targets = random.integers(3, top, (count, case.targets - 1), np.int32)
    return in_memory([[*row, 1] for row in inputs], [[*row, 1] for row in targets])


class Training:
    """Rows in training, stepped as in the loop of a run.

    Args:
        opened: The model.
        case: The batch size and the prompt's length.
        shapes: The (T, L) that batches are padded to.
        rows: Rows that train at the same time.
    """

    def __init__(self, opened: Opened, case: Case, shapes: Sequence[tuple[int, int]], rows: int):
        of_run = [_row(case, number) for number in range(rows)]
        slots = make_slots(of_run, opened.model, opened.config, shapes, opened.layouts)
        self._slots: list[Slot] = []
        for number, row in enumerate(of_run):
            slot = slots.free()
            if slot is None:
                raise UserError(f"{rows} rows are more than the {len(slots)} slots of a run")
            state = slot.device.start(first_prompt(case, opened.model.width, number))
            slot.device.load(slot.number, row, state, ())
            self._slots.append(slot)

    def step(self, batches: Sequence[HostBatch]) -> list[StepMetrics]:
        """Takes a step with a batch for each row, without waiting for it."""
        by_device: dict[DeviceSlots, dict[int, HostBatch]] = {}
        for slot, batch in zip(self._slots, batches, strict=True):
            by_device.setdefault(slot.device, {})[slot.number] = batch
        return [device.step(of_device)[0] for device, of_device in by_device.items()]


def train(steps: Iterable[tuple[Training, Sequence[HostBatch]]]) -> None:
    """Takes steps, reads the metrics of each one step late, and waits for the last.

    Args:
        steps: The training and a batch per row, for each step.
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
    outline = opened.model.backbone.outline
    microbatcher = make_microbatcher(rows, outline, opened.config, shapes, layout, 1)
    return microbatcher.split({0: batch}).positions[0]


class Generation:
    """Greedy decoding of examples with one prompt, as in an evaluation.

    Args:
        opened: The model.
        case: The lengths of the prompt and the targets.
    """

    def __init__(self, opened: Opened, case: Case):
        self._evaluator = opened.model.evaluator(
            opened.config.placement_name,
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
    """Returns the accelerator's peak memory in bytes; None on a CPU."""
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
