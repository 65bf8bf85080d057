"""`prompt-tuning infer`: writes the predictions of prompts as JSON lines."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gin
from rich.console import Console

from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.cli.prompts import PromptSettings, open_prompts
from prompt_tuning.data.user_task.columns import Template, parse_template
from prompt_tuning.data.user_task.table import BadValueError, Record
from prompt_tuning.storage import write_text
from prompt_tuning.types import UserError, nearest


@gin.configurable
def infer(
    *,
    input_file: str,
    output_file: str,
    prompts: PromptSettings,
    labels: Sequence[str] | None,
    max_target_tokens: int,
) -> None:
    """Predicts an answer to each line of a file with one or several prompts.

    Args:
        input_file: JSON lines with `inputs` (text), or with the columns of the table that the
            prompt was tuned on (TASK_FILE). A line with `prompt` goes to the prompt of that name,
            any other to every prompt.
        output_file: JSON lines with `inputs`, `prompt` and `prediction`.
        prompts: The prompts, and how to use them.
        labels: Label strings, for a decoder that ranks them; None for those of each prompt's task.
        max_target_tokens: Most tokens to decode, end of sequence included.
    """
    console = Console(highlight=False)
    if max_target_tokens < 1:
        raise UserError(f"infer.max_target_tokens must be at least 1, not {max_target_tokens}")
    opened = open_prompts(prompts)
    for line in opened.remarks:
        console.out(line)
    words = opened.label_words(labels)
    templates = [
        parse_template(text) if (text := prompt.metadata.get("input_template")) else None
        for prompt in opened.prompts
    ]
    requests = _read_requests(Path(input_file), opened.names, templates)
    predictions, cut = opened.answer(requests, words=words, most_tokens=max_target_tokens)
    if cut:
        longest = opened.setup.feature_lengths["inputs"]
        console.out(f"{cut} inputs are cut to {longest} tokens (TASK_FEATURE_LENGTHS)")
    lines = [
        json.dumps({"inputs": text, "prompt": opened.names[prompt], "prediction": prediction})
        for (text, prompt), prediction in zip(requests, predictions, strict=True)
    ]
    write_text(Path(output_file), "\n".join(lines) + "\n")
    console.out(f"{len(lines)} answers are in {output_file}")


def _read_requests(
    path: Path, names: Sequence[str], templates: Sequence[Template | None]
) -> list[tuple[str, int]]:
    """Reads the texts to answer, each with the index of its prompt.

    Args:
        path: The file.
        names: The names of the prompts.
        templates: The input template of each prompt; None if it was not tuned on a table.
    """
    columns = {column for template in templates if template for column in template.columns}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise UserError(
            f"cannot read input_file '{path}': {error.strerror}; set INPUT_FILE to JSON lines"
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"input_file '{path}' is not UTF-8 text; give JSON lines") from None
    requests = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{place}: not JSON ({error.msg}); write one object a line") from None
        if not isinstance(entry, dict):
            raise UserError(f'{place}: not an object; write {{"inputs": "..."}}')
        prompt = entry.get("prompt")
        if prompt not in names and "prompt" in columns:  # A column of the training table.
            prompt = None
        if prompt is not None and prompt not in names:
            known = f"{nearest(str(prompt), names)}; the prompts are {', '.join(names)}"
            raise UserError(f"{place}: no prompt is called {prompt!r}{known}")
        wanted = range(len(names)) if prompt is None else [names.index(prompt)]
        requests += [(_text(entry, number, templates[i], place), i) for i in wanted]
    if not requests:
        raise UserError(f"input_file '{path}' has no lines to answer")
    return requests


def _text(entry: dict[str, Any], number: int, template: Template | None, place: str) -> str:
    """Returns the input of a line: its `inputs`, or its columns in the prompt's template.

    The template wins if `inputs` is one of its columns.
    """
    if template is not None and ("inputs" in template.columns or "inputs" not in entry):
        try:
            return template.fill(Record(number, entry))
        except BadValueError as error:
            raise UserError(
                f"{place}: {error}; the prompt was tuned on '{template}', so write "
                f'{", ".join(template.columns)}, or the whole text under "inputs"'
            ) from None
    if not isinstance(entry.get("inputs"), str):
        raise UserError(f'{place}: no text under "inputs"; write {{"inputs": "..."}}')
    return entry["inputs"]
