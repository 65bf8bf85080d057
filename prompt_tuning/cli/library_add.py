"""`prompt-tuning library add`: prompt files and the best prompts of runs, put into a library."""

from collections.abc import Iterator, Sequence
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

DIRECTORY is made where it is not there. A PATH is a prompt file, or the MODEL_DIR of a run: then
the best prompt of each of its finished rows is added. A prompt that is there already is not added
again.

flags:
  --embedding_step=STEP  the rows' prompts after STEP steps are what they will be found by
  --help                 this text"""


def add(words: Sequence[str]) -> None:
    """Puts prompts into a library.

    Args:
        words: The library's directory, paths of prompt files and runs, and flags.

    Raises:
        UserError: A path leads to no prompt, or a prompt cannot be read or written; then nothing is
            added.
    """
    parser = Parser("library add")
    parser.add_argument("directory", nargs="?")
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--embedding_step", type=int, metavar="STEP")
    flags = parser.flags(words)
    if flags.help:
        print(_HELP)
        return
    if not flags.paths:
        raise UserError(
            "library add needs a library and a prompt; see prompt-tuning library add --help"
        )
    prompts = [
        prompt for path in flags.paths for prompt in _prompts(Path(path), flags.embedding_step)
    ]
    library = Library.create(flags.directory)
    before = {entry.name for entry in library.entries()}
    added = [entry.name for entry in library.add(prompts)]
    for name in dict.fromkeys(added):
        print(f"{name}{' is there already' if name in before else ''}")
    print(f"{library.path}: {len(library.entries())} prompts")


def _prompts(path: Path, embedding_step: int | None) -> Iterator[files.Prompt]:
    """Yields the prompt of a file, or those of a run's finished rows."""
    if not path.is_dir():
        prompt = files.load(path)
        if not prompt.metadata.get("name"):
            raise UserError(f"prompt file {path}: it does not say what it is")
        yield prompt
        return
    rows = sorted(path.glob("prompts/*/row.json"))
    if not rows:
        raise UserError(f"{path}: it has no finished prompt; give the MODEL_DIR of a run")
    for row in rows:
        prompt = files.load(row.with_name("best.safetensors"))
        if embedding_step is not None:
            early = row.with_name(f"step_{embedding_step}.safetensors")
            prompt = prompt.embedded(files.load(early).array, embedding_step)
        yield prompt
