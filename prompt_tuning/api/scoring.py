"""Scoring tasks and answering texts with prompts that are tuned."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, overload

from prompt_tuning.api.model import Model, check_setup, configuration_of, warn
from prompt_tuning.api.task import Task, checked_texts, tokenized
from prompt_tuning.cli import gin_config
from prompt_tuning.cli.commands import COMMANDS
from prompt_tuning.cli.prompts import OpenPrompts, PromptSettings, join_prompts
from prompt_tuning.data.cached_task import labels_of
from prompt_tuning.models.decoding import Decoder
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.usage import check_labels
from prompt_tuning.types import UserError


@overload
def score(
    model: Model,
    prompts: Prompt,
    task: Task,
    *,
    split: str | None = None,
    decoder: Decoder | None = None,
    **settings: Any,
) -> float: ...


@overload
def score(
    model: Model,
    prompts: Sequence[Prompt],
    task: Task,
    *,
    split: str | None = None,
    decoder: Decoder | None = None,
    **settings: Any,
) -> list[float]: ...


def score(
    model: Model,
    prompts: Prompt | Sequence[Prompt],
    task: Task,
    *,
    split: str | None = None,
    decoder: Decoder | None = None,
    **settings: Any,
) -> float | list[float]:
    """Scores prompts on a task, all in the same batches.

    Args:
        model: The model that they were tuned on.
        prompts: Prompt, or several of one length.
        task: The task; another than their own gives their zero-shot transfer.
        split: `validation` or `test`; None for test where there is one.
        decoder: How answers are read off the model; None as the gin files have it.
        settings: Any other setting of the command `eval` by its name in gin files.

    Returns:
        The score, 0-100: the mean of the task's metrics. A list of them for several prompts.

    Raises:
        UserError: A prompt is not for this model or these labels, prompts differ in length or in
            how they are used, or there is no such split.
    """
    settings |= {"MODEL_DIR": "unused", "PROMPT_FILES": (), "SPLIT": split}
    _, opened = _join(model, prompts, "eval", settings, decoder)
    cached = tokenized(model, task, opened.setup.target_prefix or "")
    for prompt in opened.prompts:
        check_labels(prompt, cached.name, labels_of(cached))
    evaluator = opened.evaluator(model.setup.choose_shapes({cached.name: cached}))
    items = [(i, cached.tasks) for i in range(len(opened.prompts))]
    scores = [metrics["score"] for metrics in evaluator.score(opened.bank, items, split)]
    return scores[0] if isinstance(prompts, Prompt) else scores


@overload
def answer(
    model: Model,
    prompts: Prompt,
    texts: Sequence[str],
    *,
    decoder: Decoder | None = None,
    **settings: Any,
) -> list[str]: ...


@overload
def answer(
    model: Model,
    prompts: Sequence[Prompt],
    texts: Sequence[str],
    *,
    decoder: Decoder | None = None,
    **settings: Any,
) -> list[list[str]]: ...


def answer(
    model: Model,
    prompts: Prompt | Sequence[Prompt],
    texts: Sequence[str],
    *,
    decoder: Decoder | None = None,
    **settings: Any,
) -> list[str] | list[list[str]]:
    """Answers texts with prompts, all in the same batches.

    Args:
        model: The model that the prompts were tuned on.
        prompts: Prompt, or several of one length.
        texts: Inputs, as the task of the prompts has them.
        decoder: How answers are read off the model; None as the gin files have it. `Rank()` of
            `prompt_tuning.models.scoring` chooses among the label words of a prompt.
        settings: Any other setting of the command `infer` by its name in gin files.

    Returns:
        The answer to each text. A list of these lists for several prompts.

    Raises:
        UserError: A text is empty, a prompt is not for this model, or prompts differ in length or
            in how they are used.
    """
    texts = checked_texts("answer: texts", texts)
    settings |= {"INPUT_FILE": "unused", "OUTPUT_FILE": "unused", "PROMPT_FILES": ()}
    arguments, opened = _join(model, prompts, "infer", settings, decoder)
    answers, cut = opened.answer(
        [(text, i) for i in range(len(opened.prompts)) for text in texts],
        words=opened.label_words(arguments["labels"]),
        most_tokens=arguments["max_target_tokens"],
    )
    if cut:
        longest = opened.setup.feature_lengths["inputs"]
        warn(f"{cut} inputs are cut to {longest} tokens (TASK_FEATURE_LENGTHS)")
    if isinstance(prompts, Prompt):
        return answers
    return [answers[start : start + len(texts)] for start in range(0, len(answers), len(texts))]


def _join(
    model: Model,
    prompts: Prompt | Sequence[Prompt],
    command: str,
    settings: Mapping[str, Any],
    decoder: Decoder | None,
) -> tuple[dict[str, Any], OpenPrompts]:
    """Returns the arguments of a command, and prompts joined to be used by it."""
    several = [prompts] if isinstance(prompts, Prompt) else list(prompts)
    if not several:
        raise UserError("there are no prompts; give one, or several")
    config = configuration_of(command, model.gin_files, {**model.settings, **settings})
    arguments = gin_config.build_arguments_alone(config, COMMANDS[command].function)
    how: PromptSettings = arguments["prompts"]
    check_setup(model, how.setup)
    how = dataclasses.replace(how, setup=model.setup, decoder=decoder or how.decoder)
    opened = join_prompts([prompt.name for prompt in several], several, how, model.opened)
    for line in opened.remarks:
        warn(line)
    return arguments, opened
