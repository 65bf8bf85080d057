"""What prompts are used with: settings that their files record and that scores depend on.

A prompt that stands elsewhere among the inputs than it was tuned to, or whose answers begin
otherwise, still gives answers, only worse ones. So commands take such settings from the files.
"""

from collections.abc import Mapping, Sequence

from prompt_tuning.prompts.files import Prompt, lengths_text
from prompt_tuning.types import UserError


def agreed(
    paths: Sequence[str], prompts: Sequence[Prompt], key: str, *, chosen: str | None, default: str
) -> str:
    """Returns the one value of a setting that all prompts are used with.

    Args:
        paths: Where the prompts are from.
        prompts: The prompts.
        key: The setting's name in their metadata.
        chosen: Its value where the user set it; None takes that of the files.
        default: Its value for a prompt that does not record it, where the user set none.

    Raises:
        UserError: A file records another value than the user set, or two files differ; both values
            are named.
    """
    what = key.replace("_", " ")
    fallback = default if chosen is None else chosen
    values = [prompt.metadata.get(key, fallback) for prompt in prompts]
    for path, value in zip(paths, values, strict=True):
        if chosen is not None and value != chosen:
            raise UserError(
                f"{path}: the prompt was tuned with the {what} {value!r}, but {chosen!r} is set; "
                "leave the setting out"
            )
        if value != values[0]:
            raise UserError(
                f"the prompts differ in their {what}: {paths[0]} has {values[0]!r}, and {path} "
                f"{value!r}; run the command once for each"
            )
    return values[0] if values else fallback


def check_labels(prompt: Prompt, task: str, labels: Sequence[str]) -> None:
    """Refuses to score a prompt on its own task where that has none of its label words now.

    Args:
        prompt: The prompt.
        task: The task that it is scored on.
        labels: The label words of that task.

    Raises:
        UserError: The prompt was tuned to give answers that are never right.
    """
    known = prompt.label_words
    if prompt.metadata.get("task") == task and known and labels and not set(known) & set(labels):
        raise UserError(
            f"prompt {prompt.name} was tuned to answer {task} with {', '.join(known)}, but the "
            f"task has {', '.join(labels)}; set TaskFile.label_words as its run did"
        )


def holds_other_data(
    prompt: Prompt, task: str, digest: str, feature_lengths: Mapping[str, int]
) -> bool:
    """Returns whether a prompt's own task has other examples or splits than when it was tuned.

    Texts that are cut elsewhere make other examples too, so that nothing is known of those.

    Args:
        prompt: The prompt.
        task: The task that it is scored on.
        digest: The digest of that task.
        feature_lengths: Tokens kept of its inputs and targets.
    """
    here = {
        "task": task,
        "feature_lengths": lengths_text(feature_lengths),
    }
    same = all(prompt.metadata.get(key) == value for key, value in here.items())
    return same and prompt.metadata.get("task_digest", digest) != digest


def remarks(paths: Sequence[str], prompts: Sequence[Prompt], here: Mapping[str, str]) -> list[str]:
    """Says in lines what differs from the runs of the prompts and may change scores a little.

    Args:
        paths: Where the prompts are from.
        prompts: The prompts.
        here: Settings as they are, by their names in metadata.
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
