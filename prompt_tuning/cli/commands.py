"""The commands of `prompt-tuning`: where each is, its summary and an example."""

import dataclasses
from collections.abc import Iterator, Mapping


@dataclasses.dataclass(frozen=True)
class Command:
    """A command: the function `function` of `module`, registered with gin under the same name.

    Gin binds the function's parameters, except those of `registry.COMMAND_LINE_PARAMETERS`. A
    function that takes neither `dry_run` nor `flags` is not called in a dry run.

    Attributes:
        module: The module to import.
        function: The function in it.
        summary: What the command does, for `--help`.
        example: A complete command line, for `--help`.
        with_library: The command to call instead if the flag `--library` is given.
    """

    module: str
    function: str
    summary: str
    example: str
    with_library: "Command | None" = None

    @property
    def defaults(self) -> str:
        """The gin file of this command in `configs/`, read after `defaults.gin`."""
        return f"commands/{self.module.rpartition('.')[2]}.gin"


_PROMPT = "/tmp/train/prompts/mini_sst2.class_labels.seed0/best.safetensors"

COMMANDS: Mapping[str, Command] = {
    "train": Command(
        "prompt_tuning.cli.train",
        "train",
        "tunes the prompts of one or many tasks on a frozen T5 or, as a baseline, the T5 itself",
        "prompt-tuning train --gin_file=runs/train_mini.gin --gin.MODEL_DIR=\"'/tmp/train'\"",
    ),
    "eval": Command(
        "prompt_tuning.cli.eval",
        "evaluate",
        "scores prompts on their tasks, many prompts in one batch",
        "prompt-tuning eval --gin_file=runs/train_mini.gin --gin.MODEL_DIR=\"'/tmp/eval'\" \\\n"
        f"    --gin.PROMPT_FILES=\"'{_PROMPT}'\"",
    ),
    "infer": Command(
        "prompt_tuning.cli.infer",
        "infer",
        "writes the predictions of prompts as JSON lines",
        "prompt-tuning infer --gin_file=runs/train_mini.gin \\\n"
        "    --gin.INPUT_FILE=\"'questions.jsonl'\" --gin.OUTPUT_FILE=\"'answers.jsonl'\" \\\n"
        f"    --gin.PROMPT_FILES=\"'{_PROMPT}'\"",
    ),
    "spot": Command(
        "prompt_tuning.cli.spot",
        "spot",
        "tunes source prompts, then target prompts with and without them; prints the table",
        "prompt-tuning spot --gin_file=runs/spot_mini.gin --gin.MODEL_DIR=\"'/tmp/spot'\"",
        with_library=Command(
            "prompt_tuning.cli.library_spot",
            "library_spot",
            "tunes one new task from the most similar prompts of a library, and without them",
            "prompt-tuning spot --library=/tmp/library --gin.TASK_FILE=\"'reviews.csv'\"",
        ),
    ),
    "study": Command(
        "prompt_tuning.cli.study",
        "study",
        "tunes every target from every source prompt; retrieval, correlations and a report page",
        "prompt-tuning study --gin_file=runs/study_mini.gin --gin.MODEL_DIR=\"'/tmp/study'\"",
    ),
    "report": Command(
        "prompt_tuning.cli.report",
        "report",
        "prints the tables of finished runs and writes them to files, with charts",
        "prompt-tuning report --gin.REPORT_DIRS=\"'/tmp/train'\"",
    ),
    "leaderboard": Command(
        "prompt_tuning.cli.leaderboard",
        "leaderboard",
        "predicts the test sets of GLUE or SuperGLUE and writes the zip to submit",
        "prompt-tuning leaderboard --gin_file=runs/train_mini.gin \\\n"
        "    --gin.LEADERBOARD=\"'super_glue'\" --gin.PROMPT_FILES=\"'/tmp/train'\" \\\n"
        "    --gin.OUTPUT_FILE=\"'/tmp/super_glue.zip'\"",
    ),
    "convert": Command(
        "prompt_tuning.cli.convert",
        "convert",
        "converts a backbone to another format: this project's, T5X's or Hugging Face's",
        "prompt-tuning convert --gin_file=defaults.gin --gin_file=models/t5_mini.gin \\\n"
        "    --gin.CONVERT_TO=\"'/tmp/t5_mini_hf'\" --gin.CONVERT_FORMAT=\"'hugging_face'\"",
    ),
    "cache": Command(
        "prompt_tuning.cli.cache",
        "cache",
        "tokenizes tasks ahead of time",
        "prompt-tuning cache --gin_file=runs/train_mini.gin --gin.CACHE_TASKS=\"'mini_sst2'\"",
    ),
}

PLAIN_COMMANDS: Mapping[str, Command] = {
    "tasks": Command(
        "prompt_tuning.cli.tasks",
        "tasks",
        "lists tasks and mixtures; takes search words, and no gin file",
        "prompt-tuning tasks glue",
    ),
    "library": Command(
        "prompt_tuning.cli.library",
        "library",
        "keeps prompts: adds, lists, shows, searches and verifies them; takes no gin file",
        "prompt-tuning library list prompts",
    ),
}
"""Commands without gin: the function takes the words of the command line."""


def with_variants(commands: Mapping[str, Command]) -> Iterator[tuple[str, Command]]:
    """Yields each command by its name, and its variant `NAME --library` if it has one."""
    for name, command in commands.items():
        yield name, command
        if command.with_library is not None:
            yield f"{name} --library", command.with_library
