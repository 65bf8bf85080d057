"""`prompt-tuning library verify`: whether a library still holds what was put in."""

from collections.abc import Sequence

from prompt_tuning.cli.flags import Parser
from prompt_tuning.transfer.library import Library
from prompt_tuning.types import UserError

_HELP = """\
prompt-tuning library verify: reads every prompt and compares it with its digest

usage: prompt-tuning library verify DIRECTORY

example:
  prompt-tuning library verify prompts

Nothing is deleted. Adding a damaged prompt again mends it. The index is made anew.

flags:
  --help  this text"""


def verify(words: Sequence[str]) -> None:
    """Prints what is wrong with a library.

    Args:
        words: The library's directory, and flags.

    Raises:
        UserError: A flag is wrong, there is no such library, or something is wrong with it.
    """
    parser = Parser("library verify")
    parser.add_argument("directory")
    flags = parser.flags(words)
    if flags.help:
        print(_HELP)
        return
    library = Library(flags.directory)
    problems = library.verify()
    for problem in problems:
        print(problem)
    if problems:
        raise UserError(
            f"library {library.path}: {len(problems)} problem{'s' * (len(problems) > 1)}, named "
            "above; the other prompts are whole"
        )
    print(f"{library.path}: {len(library.entries())} prompts, all whole")
