"""`prompt-tuning library list`: the prompts of a library."""

from collections.abc import Sequence

from prompt_tuning.cli.flags import Parser
from prompt_tuning.transfer.library import Library


def list_prompts(words: Sequence[str]) -> None:
    """Prints the prompts of a library.

    Args:
        words: The library's directory, and flags.

    Raises:
        UserError: A flag is wrong, or there is no such library.
    """
    parser = Parser("library list")
    parser.add_argument("directory")
    flags = parser.flags(words)
    for entry in Library(flags.directory).entries():
        print(entry.name)
