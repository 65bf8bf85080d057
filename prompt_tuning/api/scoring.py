"""Scores tasks and answers texts with tuned prompts."""

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
    """Scores prompts on a task, mixing them in batches.

    Args:
        model: The model that they were tuned on.
        prompts: Prompt, or several of one length.
        task: The task; any but their own measures zero-shot transfer.
        split: `validation` or `test`; None for test, or validation if there is no test split.
        decoder: Decodes or ranks the answers; None for that of the gin files.
        settings: Other settings of the command `eval` by gin name.

    Returns:
        The score, 0-100: the mean of the task's metrics. A list of scores for several prompts.

    Raises:
        UserError: A prompt does not fit the model or the task's labels, prompts differ in length or
            in their settings, or there is no such split.
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
    """Answers texts with prompts, mixing them in batches.

    Args:
        model: The model that the prompts were tuned on.
        prompts: Prompt, or several of one length.
        texts: Inputs, formatted as in the prompts' task.
        decoder: Decodes or ranks the answers; None for that of the gin files. `Rank()` of
            `prompt_tuning.models.scoring` chooses among the label words of a prompt.
        settings: Other settings of the command `infer` by gin name.

    Returns:
        The answer to each text. For several prompts, a list of such lists.

    Raises:
        UserError: A text is empty, a prompt does not fit the model, or prompts differ in length or
            in their settings.
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
    """Returns the arguments of a command, and the prompts joined with its settings."""
    several = [prompts] if isinstance(prompts, Prompt) else list(prompts)
    if not several:
        raise UserError("there are no prompts; give at least one")
    config = configuration_of(command, model.gin_files, {**model.settings, **settings})
    arguments = gin_config.build_arguments_alone(config, COMMANDS[command].function)
    chosen: PromptSettings = arguments["prompts"]
    check_setup(model, chosen.setup)
    chosen = dataclasses.replace(chosen, setup=model.setup, decoder=decoder or chosen.decoder)
    opened = join_prompts([prompt.name for prompt in several], several, chosen, model.opened)
    for line in opened.remarks:
        warn(line)
    return arguments, opened
