"""`prompt-tuning library add`: prompt files and the best prompts of runs, put into a library."""

from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.cli.flags import Parser
from prompt_tuning.prompts import files
from prompt_tuning.transfer.library import Library
from prompt_tuning.types import UserError

_HELP = """\
prompt-tuning library add: puts prompt files, or the best prompts of runs, into a library

usage: prompt-tuning library add DIRECTORY PATH [PATH ...] [--embedding_step=STEP]

examples:
  prompt-tuning library add prompts best.safetensors
  prompt-tuning library add prompts /tmp/train --embedding_step=100

DIRECTORY is made where it is not there. A PATH is a prompt file, or the MODEL_DIR of a run, for the
best prompts of its finished rows. What is there already is not added again.

flags:
  --embedding_step=STEP  a search finds a prompt by what its row was after STEP steps, which is the
                         file step_STEP.safetensors beside it; else by the prompt itself
  --help                 this text"""


def add(words: Sequence[str]) -> None:
    """Puts prompts into a library.

    Args:
        words: The library's directory, paths of prompt files and runs, and flags.

    Raises:
        UserError: A path leads to no prompt, or a prompt cannot be read; then nothing is added. Or
            one cannot be written; those before it are there, each of them whole.
    """
    parser = Parser("library add")
    parser.add_argument("directory")
    parser.add_argument("paths", nargs="+", metavar="path")
    parser.add_argument("--embedding_step", type=int, metavar="STEP")
    flags = parser.flags(words)
    if flags.help:
        print(_HELP)
        return
    paths = [file for path in flags.paths for file in _prompt_files(Path(path).expanduser())]
    put(flags.directory, [_prompt(path, flags.embedding_step) for path in paths], "added")


def put(
    directory: str, prompts: Sequence[files.Prompt], done: str, others: Sequence[Path] = ()
) -> None:
    """Puts prompts into a library, and prints what is new; makes the library where it is not there.

    Args:
        directory: The library's.
        prompts: The prompts.
        done: What is said of a new one.
        others: Files that were left alone, which are named too.

    Raises:
        UserError: A prompt or the library cannot be written.
    """
    library = Library.create(directory)
    before = {entry.name for entry in library.entries()}
    names = list(dict.fromkeys(entry.name for entry in library.add(prompts)))
    for name in names:
        print(f"{'there already' if name in before else done}  {name}")
    for path in others:
        print(f"not a prompt  {path}")
    new = len([name for name in names if name not in before])
    print(f"{library.path}: {len(library.entries())} prompts, {new} of them new")


def _prompt_files(path: Path) -> list[Path]:
    """Returns a file itself, or the best prompts of a run's finished rows."""
    if not path.is_dir():
        return [path]
    rows = sorted(path.glob("prompts/*/row.json"))
    if not rows and any(path.glob("prompts/*.safetensors")):
        raise UserError(
            f"{path}: it is a library; give the files in it, {path / 'prompts'}/*.safetensors"
        )
    if not rows:
        raise UserError(
            f"{path}: no row of a run has finished here; give a MODEL_DIR, or prompt files"
        )
    return [row.with_name("best.safetensors") for row in rows]


def _prompt(path: Path, embedding_step: int | None) -> files.Prompt:
    """Reads a prompt, with the one after `embedding_step` steps beside it as its embedding."""
    prompt = files.load(path)
    if not prompt.metadata.get("name"):
        raise UserError(
            f"prompt file {path}: it does not tell its name, task and backbone; "
            "prompt-tuning library import takes such files"
        )
    if embedding_step is None:
        return prompt
    early_path = path.with_name(f"step_{embedding_step}.safetensors")
    if not early_path.exists():
        raise UserError(
            f"prompt file {early_path}: cannot read it, as it is not there; give a step that "
            "train.save_steps kept"
        )
    early = files.load(early_path)
    same_row = early.metadata.get("name") == prompt.metadata["name"]
    if not same_row or early.array.shape != prompt.array.shape:
        raise UserError(f"prompt file {early_path}: it is not of the same row as {path.name}")
    return prompt.embedded(early.array, embedding_step)
