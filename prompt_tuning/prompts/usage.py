"""Settings that prompt files record and that scores depend on.

With another placement or target prefix than it was tuned with, a prompt still gives answers, only
worse ones. So commands take these settings from the files.
"""

from collections.abc import Mapping, Sequence

from prompt_tuning.prompts.files import Prompt, lengths_text
from prompt_tuning.types import UserError


def agreed_setting(
    paths: Sequence[str], prompts: Sequence[Prompt], key: str, *, chosen: str | None, default: str
) -> str:
    """Returns the value of a setting on which all prompts agree.

    Args:
        paths: The prompts' files.
        prompts: The prompts.
        key: The setting's name in their metadata.
        chosen: The user's value, or None for the value in the files.
        default: The value of a prompt that does not record the setting, if the user chose none.

    Raises:
        UserError: A file differs from the user's value, or two files differ; the message has both
            values.
    """
    what = key.replace("_", " ")
    fallback = default if chosen is None else chosen
    values = [prompt.metadata.get(key, fallback) for prompt in prompts]
    for path, value in zip(paths, values, strict=True):
        if chosen is not None and value != chosen:
            raise UserError(
                f"{path}: the prompt was tuned with the {what} {value!r}, but {chosen!r} is set; "
                "remove the setting"
            )
        if value != values[0]:
            raise UserError(
                f"the prompts differ in their {what}: {paths[0]} has {values[0]!r}, and {path} "
                f"has {value!r}; run the command once for each"
            )
    return values[0] if values else fallback


def check_labels(prompt: Prompt, task: str, labels: Sequence[str]) -> None:
    """Checks that a prompt's own task still has one of the label words it was tuned with.

    Args:
        prompt: The prompt.
        task: The task that it is scored on.
        labels: The label words of that task.

    Raises:
        UserError: No answer that the prompt was tuned to give can be right.
    """
    known = prompt.label_words
    if prompt.metadata.get("task") == task and known and labels and not set(known) & set(labels):
        raise UserError(
            f"prompt {prompt.name} was tuned to answer {task} with {', '.join(known)}, but the "
            f"task has {', '.join(labels)}; set TaskFile.label_words as its run did"
        )


def task_data_changed(
    prompt: Prompt, task: str, digest: str, feature_lengths: Mapping[str, int]
) -> bool:
    """Returns whether the examples or splits of a prompt's own task changed since it was tuned.

    False if unknown: other feature lengths alone change the digest, since they truncate texts
    elsewhere.

    Args:
        prompt: The prompt.
        task: The task that it is scored on.
        digest: The digest of that task.
        feature_lengths: Tokens kept of its inputs and targets.
    """
    current = {"task": task, "feature_lengths": lengths_text(feature_lengths)}
    same = all(prompt.metadata.get(key) == value for key, value in current.items())
    return same and prompt.metadata.get("task_digest", digest) != digest


def remarks(paths: Sequence[str], prompts: Sequence[Prompt], here: Mapping[str, str]) -> list[str]:
    """Returns a line for each setting that differs from the prompts' runs and may change scores.

    Args:
        paths: The prompts' files.
        prompts: The prompts.
        here: The current settings by their names in metadata.
    """
    lines = []
    for key, value in here.items():
        other = [
            (path, recorded)
            for path, prompt in zip(paths, prompts, strict=True)
            if (recorded := prompt.metadata.get(key, value)) != value
        ]
        if other:
            path, recorded = other[0]
            more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
            lines.append(
                f"{key.replace('_', ' ')}: {value} here, {recorded} when {path}{more} was tuned; "
                "scores may differ"
            )
    return lines
