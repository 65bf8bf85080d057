"""`prompt-tuning leaderboard`: answers test sets without public labels, in their sites' format."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import gin
from rich.console import Console

from prompt_tuning.analysis.leaderboard import (
    CONSTANT,
    LEADERBOARDS,
    Answer,
    Submission,
    answers_of,
    constant_answers,
    content,
    remark,
    write_zip,
)
from prompt_tuning.analysis.leaderboard_check import faults
from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.cli.prompts import OpenPrompts, PromptSettings, open_prompts
from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.data.datasets.dataset import LEADERBOARD, UNPREFIXED
from prompt_tuning.prompts import files as prompt_files
from prompt_tuning.storage import write_file
from prompt_tuning.types import UserError, nearest

SPLIT = "test"


@gin.configurable
def leaderboard(
    *,
    benchmark: str,
    prompts: PromptSettings,
    output_file: str,
    tfds_data_dir: str | None,
) -> None:
    """Writes the zip of a submission, with every file that the site wants, and checks it.

    A diagnostic set is answered with the prompt of MNLI (GLUE) or RTE (SuperGLUE).

    Args:
        benchmark: `glue` or `super_glue`.
        prompts: How prompts are used, and which: files, or directories of training runs, or both;
            of several for one task the one with the best validation score is taken.
        output_file: The zip.
        tfds_data_dir: Where TensorFlow Datasets are kept.
    """
    console = Console()
    if benchmark not in LEADERBOARDS:
        raise UserError(
            f"LEADERBOARD {benchmark!r} is none of {', '.join(LEADERBOARDS)}"
            f"{nearest(benchmark, LEADERBOARDS)}"
        )
    wanted = LEADERBOARDS[benchmark]
    chosen = _chosen([prompts.files] if isinstance(prompts.files, str) else prompts.files, wanted)
    for task, path in chosen.items():
        console.print(f"{task}: {path}", highlight=False, soft_wrap=True)
    opened = open_prompts(dataclasses.replace(prompts, files=[*map(str, chosen.values())]))
    for line in opened.remarks:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    tasks = _tasks(opened, list(chosen), wanted)
    cached = opened.setup.open_tasks(
        [name for _, name in tasks.values()],
        opened.model.vocabulary,
        tfds_data_dir=tfds_data_dir,
        console=console,
    )
    evaluator = opened.evaluator(opened.setup.choose_shapes(cached))
    parts = {task: cached[name].tasks[0] for task, (_, name) in tasks.items()}
    texts = evaluator.predict(
        opened.bank,
        [(prompt, parts[task].split(SPLIT)) for task, (prompt, _) in tasks.items()],
        [part.choices for part in parts.values()],
    )
    answers = {
        task: _answers(part, predicted)
        for (task, part), predicted in zip(parts.items(), texts, strict=True)
    }
    _finish(Path(output_file).expanduser(), wanted, answers, console)


def _finish(
    path: Path,
    wanted: Sequence[Submission],
    answers: Mapping[str, Sequence[Answer]],
    console: Console,
) -> None:
    """Writes the zip where it is right, and says what its answers are like."""
    contents = {}
    for file in wanted:
        if file.task in answers:
            rows = answers_of(file, answers[file.task])
            note = remark(file, rows)
        else:
            rows = constant_answers(file)
            note = f"{CONSTANT[file.name]!r} throughout, for want of a prompt for {file.task}"
        contents[file.name] = content(file, rows)
        line = f"{file.name}: {len(rows):,} answers" + (f"; {note}" if note else "")
        console.print(line, highlight=False, soft_wrap=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_file(path) as file:
        write_zip(file, contents)
        file.flush()
        told = faults(Path(file.name), wanted)
        if told:
            more = f" (and {len(told) - 1} more faults)" if len(told) > 1 else ""
            raise UserError(
                f"the site would not take these files: {told[0]}{more}; check that the test sets "
                "are whole and unchanged"
            )
    console.print(f"The submission is {path}", highlight=False, soft_wrap=True)


def _chosen(paths: Sequence[str], wanted: Sequence[Submission]) -> dict[str, Path]:
    """Returns the best prompt file for each task that answers a file, by the task.

    Raises:
        UserError: There is none for some task, or a prompt does not say what task it is for.
    """
    best: dict[str, tuple[float, Path]] = {}
    needed = dict.fromkeys(file.prompted_by for file in wanted)
    for path in _prompt_paths(paths):
        prompt = prompt_files.load(path)
        task = prompt.metadata.get("task")
        if not task:
            raise UserError(f"{path}: the prompt does not say what task it is for; leave it out")
        score = _validation(prompt)
        task = task.removesuffix(UNPREFIXED)
        if task in needed and (task not in best or score > best[task][0]):
            best[task] = (score, path)
    constant = {file.prompted_by for file in wanted if file.name in CONSTANT}
    missing = [task for task in needed if task not in best and task not in constant]
    if missing:
        raise UserError(
            f"no prompt for {', '.join(missing)}: the site wants every file; add them to "
            "PROMPT_FILES (prompt files, or directories of training runs)"
        )
    return {task: best[task][1] for task in needed if task in best}


def _prompt_paths(paths: Sequence[str]) -> Iterator[Path]:
    for given in paths:
        path = Path(given).expanduser()
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.glob("prompts/*/best.safetensors"))
        if not found:
            raise UserError(
                f"PROMPT_FILES: '{given}' has no prompts/*/best.safetensors; name the MODEL_DIR of "
                "a training run, or prompt files"
            )
        yield from found


def _validation(prompt: prompt_files.Prompt) -> float:
    """Returns a prompt's score on validation; one that has none comes after all that have."""
    try:
        return float(json.loads(prompt.metadata["metrics"])["validation"])
    except (KeyError, ValueError, TypeError):
        return float("-inf")


def _tasks(
    opened: OpenPrompts, prompted: Sequence[str], wanted: Sequence[Submission]
) -> dict[str, tuple[int, str]]:
    """Returns, by task to answer, the index of its prompt and the task that gives its rows."""
    found = {}
    for file in wanted:
        if file.prompted_by in prompted:
            index = prompted.index(file.prompted_by)
            unprefixed = opened.prompts[index].metadata["task"].endswith(UNPREFIXED)
            suffix = (UNPREFIXED if unprefixed else "") + LEADERBOARD
            found[file.task] = (index, file.task + suffix)
    return found


def _answers(task: CachedTask, predicted: Sequence[str]) -> list[Answer]:
    return list(zip(task.split(SPLIT).fields, task.answers(SPLIT, predicted), strict=True))
