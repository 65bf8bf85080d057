"""The commands of `prompt-tuning`, and where their functions are."""

import dataclasses
from collections.abc import Iterator, Mapping


@dataclasses.dataclass(frozen=True)
class Command:
    """A command: the function `function` of `module`, registered with gin under the same name.

    The function takes what gin binds, and those of `dry_run`, `tfds_data_dir`, `library` and
    `operative_config` (text) that it declares. A command without `dry_run` is not called in one.
    With the flag `--library`, the command `with_library` is called in its place.
    """

    module: str
    function: str
    summary: str
    example: str
    with_library: "Command | None" = None

    @property
    def defaults(self) -> str:
        """Names the file in `configs/` of what this command binds besides `defaults.gin`."""
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
        "writes the answers of prompts as JSON lines",
        "prompt-tuning infer --gin_file=runs/train_mini.gin \\\n"
        "    --gin.INPUT_FILE=\"'questions.jsonl'\" --gin.OUTPUT_FILE=\"'answers.jsonl'\" \\\n"
        f"    --gin.PROMPT_FILES=\"'{_PROMPT}'\"",
    ),
    "spot": Command(
        "prompt_tuning.cli.spot",
        "spot",
        "tunes source prompts, then target prompts from them and without them; prints the table",
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
        "prints the tables of finished runs, and writes them with charts",
        "prompt-tuning report --gin.REPORT_DIRS=\"'/tmp/train'\"",
    ),
    "leaderboard": Command(
        "prompt_tuning.cli.leaderboard",
        "leaderboard",
        "answers the test sets of GLUE or SuperGLUE and writes the zip that the site wants",
        "prompt-tuning leaderboard --gin_file=runs/train_mini.gin \\\n"
        "    --gin.LEADERBOARD=\"'super_glue'\" --gin.PROMPT_FILES=\"'/tmp/train'\" \\\n"
        "    --gin.OUTPUT_FILE=\"'/tmp/super_glue.zip'\"",
    ),
    "convert": Command(
        "prompt_tuning.cli.convert",
        "convert",
        "writes a backbone in another form: this project's, T5X's or Hugging Face's",
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
        "lists tasks and mixtures; takes words to look for, and no gin file",
        "prompt-tuning tasks glue",
    ),
    "library": Command(
        "prompt_tuning.cli.library",
        "library",
        "keeps prompts: adds, lists, shows, searches and verifies them; takes no gin file",
        "prompt-tuning library list prompts",
    ),
}
"""Commands whose function takes the words that follow, without gin."""


def functions(commands: Mapping[str, Command]) -> Iterator[tuple[str, Command]]:
    """Yields commands, and what they are with a library, by what people type."""
    for name, command in commands.items():
        yield name, command
        if command.with_library is not None:
            yield f"{name} --library", command.with_library
