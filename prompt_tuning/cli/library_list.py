"""`prompt-tuning library list`: the prompts of a library."""

from collections.abc import Sequence

from prompt_tuning.cli import library_selection
from prompt_tuning.cli.flags import Parser
from prompt_tuning.cli.library_lines import as_json, print_json, print_table
from prompt_tuning.transfer.library import Library

_HELP = f"""\
prompt-tuning library list: lists prompts

usage: prompt-tuning library list DIRECTORY [flags]

examples:
  prompt-tuning library list prompts --task=mini_sst2
  prompt-tuning library list prompts --metric=validation --at_least=90
  prompt-tuning library list prompts --json

flags:
{library_selection.HELP}
  --json                 one JSON object a line
  --help                 this text"""


def list_prompts(words: Sequence[str]) -> None:
    """Prints the prompts of a library.

    Args:
        words: The library's directory, and flags.

    Raises:
        UserError: A flag is wrong, or there is no such library or no such prompt.
    """
    parser = Parser("library list")
    parser.add_argument("directory")
    library_selection.add_flags(parser)
    parser.add_argument("--json", action="store_true")
    flags = parser.flags(words)
    if flags.help:
        print(_HELP)
        return
    library = Library(flags.directory)
    entries = [each for each in library_selection.selected(library, flags) if library.has(each)]
    if flags.json:
        print_json([as_json(entry) for entry in entries])
    else:
        print_table(entries, flags.metric or library_selection.METRIC)
