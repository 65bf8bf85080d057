"""Opens prompt files together, as one bank on their frozen model."""

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
from prompt_tuning.prompts.usage import agreed_setting, remarks
from prompt_tuning.training import partitioning
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.setup import Setup
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """The prompts that a command uses, and how; gin calls it `Prompts`.

    Attributes:
        files: Prompt file, or several.
        decoder: Decodes or ranks the answers.
        batch_size: Examples decoded together; they may have different prompts.
        placement: Where prompts stand among the inputs; None for the placement they were tuned at.
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
    """A bank of prompts, open on their frozen model.

    Attributes:
        prompts: The prompts with their metadata.
        bank: The prompts as a bank.
        names: A unique name for each prompt.
        model: The frozen model.
        settings: The settings, with the placement and target prefix that the prompts were tuned at.
        remarks: Lines about settings that differ from the prompts' runs and may change scores a
            little.
    """

    prompts: Sequence[files.Prompt]
    bank: PromptBank
    names: Sequence[str]
    model: OpenModel
    settings: PromptSettings
    remarks: Sequence[str] = ()

    @property
    def setup(self) -> Setup:
        """Frozen model and data, with the target prefix that the prompts were tuned with."""
        return self.settings.setup

    def evaluator(self, shapes: Sequence[tuple[int, int]]) -> Evaluator:
        """Returns an evaluator of these prompts, with batches padded to one of `shapes` (T, L).

        Raises:
            UserError: The batch size is not positive or not divisible among the devices.
        """
        return self.model.evaluator(
            self.settings.placement or PREFIX,
            self.settings.decoder,
            batch_size=self.settings.batch_size,
            shapes=shapes,
        )

    def label_words(self, labels: Sequence[str] | None) -> list[tuple[str, ...]]:
        """Returns the labels that the decoder may rank, for each prompt.

        Args:
            labels: Label strings for all prompts; None for those that each prompt file records.

        Raises:
            UserError: The decoder is `Rank`, and a prompt has no labels.
        """
        words = [tuple(labels or prompt.label_words) for prompt in self.prompts]
        if isinstance(self.settings.decoder, Rank) and not all(words):
            raise UserError(
                f"@Rank() needs labels, and the file of prompt {self.names[words.index(())]} "
                "records none; set CLASS_LABELS"
            )
        return words

    def answer(
        self,
        requests: Sequence[tuple[str, int]],
        *,
        words: Sequence[tuple[str, ...]],
        most_tokens: int,
    ) -> tuple[list[str], int]:
        """Predicts answers to texts, mixing prompts in batches.

        Args:
            requests: Texts, each with the index of its prompt.
            words: The labels that the decoder may rank, for each prompt.
            most_tokens: Most tokens of an answer, end of sequence included.

        Returns:
            The answers, and the number of texts that were cut to the setup's input length.
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
        shapes = self.setup.choose_split_shapes([splits[prompt] for prompt in used])
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
    """Opens a model with a bank of one prompt without tokens, so that it reads inputs alone."""
    settings.setup.cache_compiled_programs()
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
    """Opens prompt files and their frozen model.

    Raises:
        UserError: No files are given, a file is missing or damaged, or as `join_prompts`.
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
        paths: The prompts' files, for messages.
        prompts: The prompts, all of one length.
        settings: How to use them.
        model: The frozen model, if it is already open.

    Raises:
        UserError: A prompt has another model, length or width, or its tuning settings contradict
            `settings` or another prompt's.
    """
    placement = agreed_setting(
        paths, prompts, "placement", chosen=settings.placement, default=PREFIX
    )
    try:
        find_placement(placement)
    except UserError as error:
        raise UserError(f"{paths[0]}: {error}") from None
    setup = _as_tuned(settings.setup, paths, prompts)
    partitioning.use_cpu_cores(len(paths))
    setup.cache_compiled_programs()
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
    """Sets the target prefix, and the template of TASK_FILE, to those the prompts record."""
    prefix = agreed_setting(paths, prompts, "target_prefix", chosen=setup.target_prefix, default="")
    setup = dataclasses.replace(setup, target_prefix=prefix)
    name = setup.task_file.task_name
    with_template = [
        (path, prompt)
        for path, prompt in zip(paths, prompts, strict=True)
        if prompt.metadata.get("task") == name and "input_template" in prompt.metadata
    ]
    if not with_template:
        return setup
    own_paths, own_prompts = zip(*with_template, strict=True)
    chosen = chosen_template(setup.task_file)
    template = agreed_setting(own_paths, own_prompts, "input_template", chosen=chosen, default="")
    return dataclasses.replace(
        setup, task_file=dataclasses.replace(setup.task_file, template=template)
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Appends `#2`, `#3`, ... to repeated names."""
    counts: dict[str, int] = {}
    distinct = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        distinct.append(name if counts[name] == 1 else f"{name}#{counts[name]}")
    return distinct
