"""`prompt-tuning infer`: writes the answers of prompts as JSON lines."""

import json
from collections.abc import Sequence
from pathlib import Path

import gin
import numpy as np
from rich.console import Console

from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.cli.prompts import open_prompts
from prompt_tuning.data.cached_task import in_memory
from prompt_tuning.data.postprocessors import without_prefix
from prompt_tuning.models.decoding import EOS
from prompt_tuning.storage import write_text
from prompt_tuning.training.decoders import Decoder, Rank
from prompt_tuning.training.setup import Setup
from prompt_tuning.types import UserError, nearest


@gin.configurable
def infer(
    *,
    input_file: str,
    output_file: str,
    prompt_files: str | Sequence[str],
    labels: Sequence[str] | None,
    decoder: Decoder,
    max_target_tokens: int,
    batch_size: int,
    placement: str,
    setup: Setup,
) -> None:
    """Answers the lines of a file with one or several prompts.

    Args:
        input_file: JSON lines, each with `inputs` (text). A line with `prompt` is answered by the
            prompt of that name, others by every prompt.
        output_file: JSON lines with `inputs`, `prompt` and `prediction`.
        prompt_files: Prompt file, or several.
        labels: Label strings, for a decoder that ranks them.
        decoder: How answers are read off the model.
        max_target_tokens: Tokens to decode at most, end of sequence included.
        batch_size: Examples decoded together, whatever their prompts.
        placement: Where prompts stand among the inputs.
        setup: Frozen model; its tasks are not used.
    """
    console = Console()
    if isinstance(decoder, Rank) and not labels:
        raise UserError("@Rank() chooses among labels, and there are none; set CLASS_LABELS")
    if max_target_tokens < 1:
        raise UserError(f"infer.max_target_tokens must be at least 1, not {max_target_tokens}")
    opened = open_prompts(prompt_files, setup, placement)
    requests = _read_requests(Path(input_file), opened.names)
    longest = setup.feature_lengths["inputs"]
    tokens = [opened.vocabulary.encode(text) for text, _ in requests]
    cut = sum(len(ids) + 1 > longest for ids in tokens)
    if cut:
        console.print(f"{cut} inputs are cut to {longest} tokens (TASK_FEATURE_LENGTHS)")
    inputs = [[*ids[: longest - 1], EOS] for ids in tokens]
    of_prompt = [
        [i for i, (_, wanted) in enumerate(requests) if wanted == prompt]
        for prompt in range(len(opened.names))
    ]
    splits = [
        in_memory([inputs[i] for i in members], [[EOS] * max_target_tokens for _ in members])
        for members in of_prompt
    ]
    used = [prompt for prompt, members in enumerate(of_prompt) if members]
    evaluator = opened.evaluator(
        decoder,
        batch_size=batch_size,
        shapes=setup.shapes_of([splits[prompt] for prompt in used]),
    )
    items = [(prompt, splits[prompt]) for prompt in used]
    prefix = setup.target_prefix
    choices = tuple(f"{prefix} {label}" if prefix else label for label in labels or ())
    answers = evaluator.predict(opened.bank, items, [choices] * len(items))
    predictions = np.empty(len(requests), object)
    for prompt, texts in zip(used, answers, strict=True):
        predictions[of_prompt[prompt]] = [without_prefix(text, prefix) for text in texts]
    lines = [
        json.dumps({"inputs": text, "prompt": opened.names[prompt], "prediction": prediction})
        for (text, prompt), prediction in zip(requests, predictions, strict=True)
    ]
    write_text(Path(output_file), "\n".join(lines) + "\n")
    console.print(f"{len(lines)} answers are in {output_file}", highlight=False)


def _read_requests(path: Path, names: Sequence[str]) -> list[tuple[str, int]]:
    """Returns each text to answer, with the index of its prompt."""
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
        if not isinstance(entry, dict) or not isinstance(entry.get("inputs"), str):
            raise UserError(f'{place}: no text under "inputs"; write {{"inputs": "..."}}')
        prompt = entry.get("prompt")
        if prompt is not None and prompt not in names:
            known = f"{nearest(str(prompt), names)}; the prompts are {', '.join(names)}"
            raise UserError(f"{place}: no prompt is called {prompt!r}{known}")
        wanted = range(len(names)) if prompt is None else [names.index(prompt)]
        requests += [(entry["inputs"], index) for index in wanted]
    if not requests:
        raise UserError(f"input_file '{path}' holds no lines to answer")
    return requests
