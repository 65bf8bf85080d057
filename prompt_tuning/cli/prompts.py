"""Prompt files opened together as a bank on their frozen model."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prompt_tuning.models.decoding import Decoder
from prompt_tuning.prompts import files
from prompt_tuning.prompts.bank import PromptBank, no_prompt
from prompt_tuning.prompts.placement import find_placement
from prompt_tuning.prompts.usage import PREFIX, agreed, remarks
from prompt_tuning.training import partitioning
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.setup import Setup
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenPrompts:
    """A bank of prompts and the model they are for.

    Attributes:
        prompts: The prompt files' content.
        bank: Their prompts.
        names: A name for each prompt, all different.
        placement: Where they stand among the inputs.
        model: The model.
        setup: Frozen model and data, as the prompts were tuned with them.
        remarks: What differs from their runs and may change scores a little, in lines.
    """

    prompts: Sequence[files.Prompt]
    bank: PromptBank
    names: Sequence[str]
    placement: str
    model: OpenModel
    setup: Setup
    remarks: Sequence[str] = ()

    def evaluator(
        self, decoder: Decoder, *, batch_size: int, shapes: Sequence[tuple[int, int]]
    ) -> Evaluator:
        """Returns what answers with these prompts, `batch_size` examples padded to `shapes`.

        Raises:
            UserError: The batch size is not positive, or cannot be cut over a layout's devices.
        """
        return Evaluator(
            self.model.prompted(self.placement),
            self.model.frozen,
            self.model.layouts,
            self.model.vocabulary,
            decoder,
            batch_size=batch_size,
            shapes=shapes,
        )


def open_without_prompt(setup: Setup) -> OpenPrompts:
    """Opens a model that reads inputs alone: the bank holds one prompt without tokens."""
    setup.keep_compiled_programs()
    model = setup.open_model()
    bank = no_prompt(model.width)
    return OpenPrompts(
        prompts=[files.Prompt(np.asarray(bank.prompts)[0], {})],
        bank=bank,
        names=["no prompt"],
        placement=PREFIX,
        model=model,
        setup=setup,
    )


def open_prompts(paths: str | Sequence[str], setup: Setup, placement: str | None) -> OpenPrompts:
    """Opens prompt files and their frozen model.

    Args:
        paths: Prompt file, or several; all of one length.
        setup: Frozen model and data.
        placement: Where prompts stand among the inputs; None for where they were tuned to stand.

    Raises:
        UserError: A file is missing or damaged, is for another model, length or width, or was tuned
            with other settings than another one or than are set.
    """
    paths = [paths] if isinstance(paths, str) else list(paths)
    if not paths:
        raise UserError("no prompt files are given; set PROMPT_FILES")
    prompts = [files.load(path) for path in paths]
    placement = agreed(paths, prompts, "placement", chosen=placement, default=PREFIX)
    try:
        find_placement(placement)
    except UserError as error:
        raise UserError(f"{paths[0]}: {error}") from None
    setup = _as_tuned(setup, paths, prompts)
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
        placement=placement,
        model=model,
        setup=setup,
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
    chosen = setup.task_file.chosen_template
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
