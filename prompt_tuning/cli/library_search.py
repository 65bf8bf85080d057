"""`prompt-tuning library search`: the prompts of a library that are most similar to one."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.cli import library_selection
from prompt_tuning.cli.flags import Parser
from prompt_tuning.cli.library_lines import as_json, print_json, print_table
from prompt_tuning.prompts import files
from prompt_tuning.transfer import library_entry
from prompt_tuning.transfer.library import Library
from prompt_tuning.transfer.similarity import SIMILARITIES
from prompt_tuning.types import UserError

_SIMILARITY = "mean_token"
_TOP = 10

_HELP = f"""\
prompt-tuning library search: ranks prompts by their similarity to one

usage: prompt-tuning library search DIRECTORY --like=NAME|FILE [flags]

examples:
  prompt-tuning library search prompts --like=mini_sst2.class_labels.seed0 --top=5
  prompt-tuning library search prompts --like=/tmp/train/prompts/mine/step_100.safetensors

A prompt is compared by its task embedding, or else by itself. The prompt that the others are
compared with is not in the ranking.

flags:
  --like=NAME|FILE       a prompt of the library (its name, id or digest), or a prompt file
  --similarity=NAME      {" or ".join(SIMILARITIES)}; {_SIMILARITY} where it is left out
  --top=K                how many to show; {_TOP} where it is left out
{library_selection.HELP}
  --json                 one JSON object a line
  --help                 this text"""


def search(words: Sequence[str]) -> None:
    """Prints the prompts of a library that are most similar to one.

    Args:
        words: The library's directory, and flags.

    Raises:
        UserError: A flag is wrong, there is no such library or prompt, or prompts are of different
            backbones.
    """
    parser = Parser("library search")
    parser.add_argument("directory")
    parser.add_argument("--like", required=True, metavar="NAME|FILE")
    parser.add_argument("--similarity", default=_SIMILARITY, metavar="NAME")
    parser.add_argument("--top", type=int, default=_TOP, metavar="K")
    library_selection.add_flags(parser)
    parser.add_argument("--json", action="store_true")
    flags = parser.flags(words)
    if flags.help:
        print(_HELP)
        return
    if flags.top < 1:
        raise UserError(f"--top={flags.top}: give 1 or more")
    library = Library(flags.directory)
    entries = library_selection.selected(library, flags)
    like = _like(library, flags.like)
    itself = library_entry.of(like, library.path, 0).content
    others = [entry for entry in entries if entry.content != itself]
    if not others:
        raise UserError(f"library {library.path} has no prompt but '{flags.like}' to compare with")
    ranking = library.search(like, others, flags.similarity)
    found = list(itertools.islice((each for each in ranking if library.has(each[0])), flags.top))
    if not found:
        raise UserError(f"library {library.path}: all other prompts are damaged, or gone")
    if flags.json:
        print_json([as_json(entry, similarity=value) for entry, value in found])
    else:
        print_table(
            [entry for entry, _ in found],
            flags.metric or library_selection.METRIC,
            [value for _, value in found],
        )


def _like(library: Library, text: str) -> files.Prompt:
    """Returns the prompt that a name in the library, or else a path, means."""
    path = Path(text).expanduser()
    return files.load(path) if path.is_file() else library.load(library.find(text))
