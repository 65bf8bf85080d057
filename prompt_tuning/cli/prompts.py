"""Prompt files opened together as a bank on their frozen model."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import gin
import numpy as np

from prompt_tuning.data.user_task.reading import chosen_template
from prompt_tuning.models.beam import Beam
from prompt_tuning.models.decoding import Decoder, Nucleus
from prompt_tuning.prompts import files
from prompt_tuning.prompts.bank import PromptBank, no_prompt
from prompt_tuning.prompts.placement import PREFIX, find_placement
from prompt_tuning.prompts.usage import agreed, remarks
from prompt_tuning.training import partitioning
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.setup import Setup
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """Which prompts a command uses, and how; gin calls it `Prompts`.

    Attributes:
        files: Prompt file, or several.
        decoder: How answers are read off the model.
        batch_size: Examples decoded together, whatever their prompts.
        placement: Where prompts stand among the inputs; None for where they were tuned to stand.
        setup: Frozen model and data.
    """

    files: str | Sequence[str]
    decoder: Decoder
    batch_size: int
    placement: str | None
    setup: Setup


gin.external_configurable(PromptSettings, name="Prompts")
gin.external_configurable(Beam)
gin.external_configurable(Nucleus)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenPrompts:
    """A bank of prompts and the model they are for.

    Attributes:
        prompts: The prompt files' content.
        bank: Their prompts.
        names: A name for each prompt, all different.
        model: The model.
        settings: How they are used: where they stand, and with which data, as they were tuned.
        remarks: What differs from their runs and may change scores a little, in lines.
    """

    prompts: Sequence[files.Prompt]
    bank: PromptBank
    names: Sequence[str]
    model: OpenModel
    settings: PromptSettings
    remarks: Sequence[str] = ()

    @property
    def setup(self) -> Setup:
        """Frozen model and data, as the prompts were tuned with them."""
        return self.settings.setup

    def evaluator(self, shapes: Sequence[tuple[int, int]]) -> Evaluator:
        """Returns what answers with these prompts, batches padded to some `shapes` (T, L).

        Raises:
            UserError: The batch size is not positive, or cannot be cut over a layout's devices.
        """
        return Evaluator(
            self.model.prompted(self.settings.placement or PREFIX),
            self.model.frozen,
            self.model.layouts,
            self.model.vocabulary,
            self.settings.decoder,
            batch_size=self.settings.batch_size,
            shapes=shapes,
        )


def open_without_prompt(settings: PromptSettings) -> OpenPrompts:
    """Opens a model that reads inputs alone: the bank holds one prompt without tokens."""
    settings.setup.keep_compiled_programs()
    model = settings.setup.open_model()
    bank = no_prompt(model.width)
    return OpenPrompts(
        prompts=[files.Prompt(np.asarray(bank.prompts)[0], {})],
        bank=bank,
        names=["no prompt"],
        model=model,
        settings=settings,
    )


def open_prompts(settings: PromptSettings) -> OpenPrompts:
    """Opens prompt files, all of one length, and their frozen model.

    Raises:
        UserError: A file is missing or damaged, is for another model, length or width, or was tuned
            with other settings than another one or than are set.
    """
    paths = [settings.files] if isinstance(settings.files, str) else list(settings.files)
    if not paths:
        raise UserError("no prompt files are given; set PROMPT_FILES")
    prompts = [files.load(path) for path in paths]
    placement = agreed(paths, prompts, "placement", chosen=settings.placement, default=PREFIX)
    try:
        find_placement(placement)
    except UserError as error:
        raise UserError(f"{paths[0]}: {error}") from None
    setup = _as_tuned(settings.setup, paths, prompts)
    partitioning.use_cpu_cores(len(paths))
    setup.keep_compiled_programs()
    model = setup.open_model()
    for path, prompt in zip(paths, prompts, strict=True):
        try:
            files.check(
                prompt,
                backbone=model.name,
                backbone_digest=model.digest,
                prompt_length=prompts[0].array.shape[0],
                hidden_size=model.width,
            )
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    return OpenPrompts(
        prompts=prompts,
        bank=PromptBank(np.stack([prompt.array for prompt in prompts])),
        names=_distinct(
            [
                p.metadata.get("name") or Path(path).stem
                for p, path in zip(prompts, paths, strict=True)
            ]
        ),
        model=model,
        settings=dataclasses.replace(settings, placement=placement, setup=setup),
        remarks=remarks(
            paths,
            prompts,
            {
                "feature_lengths": files.lengths_text(setup.feature_lengths),
                "compute_dtype": setup.dtype,
                "param_dtype": setup.param_dtype,
            },
        ),
    )


def _as_tuned(setup: Setup, paths: Sequence[str], prompts: Sequence[files.Prompt]) -> Setup:
    """Returns a setup with the target prefix of prompts, and their template of the user's file."""
    prefix = agreed(paths, prompts, "target_prefix", chosen=setup.target_prefix, default="")
    setup = dataclasses.replace(setup, target_prefix=prefix)
    name = setup.task_file.task_name
    own = [
        (path, prompt)
        for path, prompt in zip(paths, prompts, strict=True)
        if prompt.metadata.get("task") == name and "input_template" in prompt.metadata
    ]
    if not own:
        return setup
    chosen = chosen_template(setup.task_file)
    template = agreed(
        [path for path, _ in own],
        [prompt for _, prompt in own],
        "input_template",
        chosen=chosen,
        default="",
    )
    return dataclasses.replace(
        setup, task_file=dataclasses.replace(setup.task_file, template=template)
    )


def _distinct(names: Sequence[str]) -> list[str]:
    counts: dict[str, int] = {}
    distinct = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        distinct.append(name if counts[name] == 1 else f"{name}#{counts[name]}")
    return distinct
