"""`prompt-tuning leaderboard`: predicts test sets without public labels, in the sites' formats."""

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
    """Writes and checks the zip of a submission, with every file that the site requires.

    The prompt of MNLI (GLUE) or RTE (SuperGLUE) also predicts the diagnostic sets.

    Args:
        benchmark: `glue` or `super_glue`.
        prompts: Prompt files, or directories of training runs, and how to use them. Of several
            prompts for a task, the one with the best validation score is used.
        output_file: The zip.
        tfds_data_dir: Directory of TensorFlow Datasets.
    """
    console = Console(highlight=False)
    if benchmark not in LEADERBOARDS:
        raise UserError(
            f"LEADERBOARD {benchmark!r} is none of {', '.join(LEADERBOARDS)}"
            f"{nearest(benchmark, LEADERBOARDS)}"
        )
    submissions = LEADERBOARDS[benchmark]
    paths = [prompts.files] if isinstance(prompts.files, str) else prompts.files
    chosen = _choose_prompts(paths, submissions)
    for task, path in chosen.items():
        console.out(f"{task}: {path}")
    opened = open_prompts(dataclasses.replace(prompts, files=[*map(str, chosen.values())]))
    for line in opened.remarks:
        console.out(line)
    tasks = _tasks(opened, list(chosen), submissions)
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
    _write_zip(Path(output_file).expanduser(), submissions, answers, console)


def _write_zip(
    path: Path,
    submissions: Sequence[Submission],
    answers: Mapping[str, Sequence[Answer]],
    console: Console,
) -> None:
    """Writes the zip, unless the site would reject it, and prints a line for each of its files."""
    contents = {}
    for file in submissions:
        if file.task in answers:
            rows = answers_of(file, answers[file.task])
            note = remark(file, rows)
        else:
            rows = constant_answers(file)
            note = f"all {CONSTANT[file.name]!r}, as there is no prompt for {file.task}"
        contents[file.name] = content(file, rows)
        line = f"{file.name}: {len(rows):,} answers" + (f"; {note}" if note else "")
        console.out(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_file(path) as file:
        write_zip(file, contents)
        file.flush()
        problems = faults(Path(file.name), submissions)
        if problems:
            more = f" (and {len(problems) - 1} more faults)" if len(problems) > 1 else ""
            raise UserError(
                f"the site would reject these files: {problems[0]}{more}; check that the test sets "
                "are complete and unchanged"
            )
    console.out(f"The submission is {path}")


def _choose_prompts(paths: Sequence[str], submissions: Sequence[Submission]) -> dict[str, Path]:
    """Returns the best prompt file for each task that needs one, by task.

    Raises:
        UserError: A task has no prompt, or a prompt file does not name its task.
    """
    best: dict[str, tuple[float, Path]] = {}
    needed = dict.fromkeys(file.prompted_by for file in submissions)
    for path in _prompt_paths(paths):
        prompt = prompt_files.load(path)
        task = prompt.metadata.get("task")
        if not task:
            raise UserError(f"{path}: the prompt file does not name its task; leave it out")
        score = _validation(prompt)
        task = task.removesuffix(UNPREFIXED)
        if task in needed and (task not in best or score > best[task][0]):
            best[task] = (score, path)
    constant = {file.prompted_by for file in submissions if file.name in CONSTANT}
    missing = [task for task in needed if task not in best and task not in constant]
    if missing:
        raise UserError(
            f"no prompt for {', '.join(missing)}: the site requires every file; add them to "
            "PROMPT_FILES (prompt files, or directories of training runs)"
        )
    return {task: best[task][1] for task in needed if task in best}


def _prompt_paths(paths: Sequence[str]) -> Iterator[Path]:
    """Yields prompt files, and the best prompts of training runs."""
    for given in paths:
        path = Path(given).expanduser()
        if not path.is_dir():
            yield path
            continue
        best = sorted(path.glob("prompts/*/best.safetensors"))
        if not best:
            raise UserError(
                f"PROMPT_FILES: '{given}' has no prompts/*/best.safetensors; give the MODEL_DIR of "
                "a training run, or prompt files"
            )
        yield from best


def _validation(prompt: prompt_files.Prompt) -> float:
    """Returns a prompt's validation score, minus infinity if it records none."""
    try:
        return float(json.loads(prompt.metadata["metrics"])["validation"])
    except (KeyError, ValueError, TypeError):
        return float("-inf")


def _tasks(
    opened: OpenPrompts, prompted: Sequence[str], submissions: Sequence[Submission]
) -> dict[str, tuple[int, str]]:
    """Returns the index of the prompt and the task that holds the test set, by predicted task."""
    tasks = {}
    for file in submissions:
        if file.prompted_by in prompted:
            index = prompted.index(file.prompted_by)
            unprefixed = opened.prompts[index].metadata["task"].endswith(UNPREFIXED)
            suffix = (UNPREFIXED if unprefixed else "") + LEADERBOARD
            tasks[file.task] = (index, file.task + suffix)
    return tasks


def _answers(task: CachedTask, predicted: Sequence[str]) -> list[Answer]:
    return list(zip(task.split(SPLIT).fields, task.answers(SPLIT, predicted), strict=True))
