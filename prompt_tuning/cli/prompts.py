"""Prompt files opened together as a bank on their frozen model."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import gin
import numpy as np

from prompt_tuning.data.cached_task import in_memory
from prompt_tuning.data.postprocessors import without_prefix
from prompt_tuning.data.user_task.reading import chosen_template
from prompt_tuning.models.beam import Beam
from prompt_tuning.models.decoding import EOS, Decoder, Nucleus
from prompt_tuning.models.scoring import Rank
from prompt_tuning.prompts import files
from prompt_tuning.prompts.bank import PromptBank, no_prompt
from prompt_tuning.prompts.files import PREFIX
from prompt_tuning.prompts.placement import find_placement
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
        return self.model.evaluator(
            self.settings.placement or PREFIX,
            self.settings.decoder,
            batch_size=self.settings.batch_size,
            shapes=shapes,
        )

    def label_words(self, labels: Sequence[str] | None) -> list[tuple[str, ...]]:
        """Returns the labels that the decoder may choose among, for each prompt.

        Args:
            labels: Label strings; None for those that each prompt records.

        Raises:
            UserError: Labels are to be ranked, and a prompt has none.
        """
        words = [tuple(labels or prompt.label_words) for prompt in self.prompts]
        if isinstance(self.settings.decoder, Rank) and not all(words):
            raise UserError(
                "@Rank() chooses among labels, and there are none in the file of prompt "
                f"{self.names[words.index(())]}; set CLASS_LABELS"
            )
        return words

    def answer(
        self,
        requests: Sequence[tuple[str, int]],
        *,
        words: Sequence[tuple[str, ...]],
        most_tokens: int,
    ) -> tuple[list[str], int]:
        """Answers texts, those of different prompts in the same batches.

        Args:
            requests: Texts, each with the number of the prompt that answers it.
            words: For each prompt the labels that the decoder may choose among.
            most_tokens: Tokens of an answer at most, end of sequence included.

        Returns:
            The answers, and how many texts were too long for the model's setup and were cut.
        """
        longest = self.setup.feature_lengths["inputs"]
        tokens = [self.model.vocabulary.encode(text) for text, _ in requests]
        inputs = [[*ids[: longest - 1], EOS] for ids in tokens]
        of_prompt = [
            [i for i, (_, wanted) in enumerate(requests) if wanted == prompt]
            for prompt in range(len(self.names))
        ]
        splits = [
            in_memory([inputs[i] for i in members], [[EOS] * most_tokens for _ in members])
            for members in of_prompt
        ]
        used = [prompt for prompt, members in enumerate(of_prompt) if members]
        shapes = self.setup.shapes_of([splits[prompt] for prompt in used])
        evaluator = self.evaluator(shapes)
        prefix = self.setup.target_prefix or ""
        answers = evaluator.predict(
            self.bank,
            [(prompt, splits[prompt]) for prompt in used],
            [
                tuple(f"{prefix} {label}" if prefix else label for label in words[prompt])
                for prompt in used
            ],
        )
        texts = [""] * len(requests)
        for prompt, of_split in zip(used, answers, strict=True):
            for i, text in zip(of_prompt[prompt], of_split, strict=True):
                texts[i] = without_prefix(text, prefix)
        return texts, sum(len(ids) + 1 > longest for ids in tokens)


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
        UserError: A file is missing or damaged, or as `join_prompts`.
    """
    paths = [settings.files] if isinstance(settings.files, str) else list(settings.files)
    if not paths:
        raise UserError("no prompt files are given; set PROMPT_FILES")
    return join_prompts(paths, [files.load(path) for path in paths], settings)


def join_prompts(
    paths: Sequence[str],
    prompts: Sequence[files.Prompt],
    settings: PromptSettings,
    model: OpenModel | None = None,
) -> OpenPrompts:
    """Joins prompts in a bank, and opens their frozen model.

    Args:
        paths: Where the prompts are from, for messages.
        prompts: The prompts, all of one length.
        settings: How they are used.
        model: The frozen model, where it is open already.

    Raises:
        UserError: A prompt is for another model, length or width, or was tuned with other settings
            than another one or than are set.
    """
    placement = agreed(paths, prompts, "placement", chosen=settings.placement, default=PREFIX)
    try:
        find_placement(placement)
    except UserError as error:
        raise UserError(f"{paths[0]}: {error}") from None
    setup = _as_tuned(settings.setup, paths, prompts)
    partitioning.use_cpu_cores(len(paths))
    setup.keep_compiled_programs()
    model = model or setup.open_model()
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
