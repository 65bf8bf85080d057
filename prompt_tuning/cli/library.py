"""`prompt-tuning library`: a directory of prompts, and what can be done with it."""

import importlib
from collections.abc import Mapping, Sequence

from prompt_tuning.cli.commands import Command
from prompt_tuning.types import UserError, nearest

SUBCOMMANDS: Mapping[str, Command] = {
    "add": Command(
        "prompt_tuning.cli.library_add",
        "add",
        "puts prompt files, or the best prompts of runs, into a library",
        "prompt-tuning library add prompts /tmp/train --embedding_step=100",
    ),
    "list": Command(
        "prompt_tuning.cli.library_list",
        "list_prompts",
        "lists prompts, by task, backbone or metric",
        "prompt-tuning library list prompts --task=mini_sst2",
    ),
    "show": Command(
        "prompt_tuning.cli.library_show",
        "show",
        "shows all that is known of a prompt, and the prompts that it was tuned from",
        "prompt-tuning library show prompts mini_sst2.class_labels.seed0",
    ),
    "search": Command(
        "prompt_tuning.cli.library_search",
        "search",
        "ranks prompts by their similarity to one",
        "prompt-tuning library search prompts --like=mini_sst2.class_labels.seed0 --top=5",
    ),
    "import": Command(
        "prompt_tuning.cli.library_import",
        "import_prompts",
        "puts prompts of PEFT, torch, NumPy or the reference code into a library",
        "prompt-tuning library import prompts sst2_adapter --task=glue_sst2",
    ),
    "export": Command(
        "prompt_tuning.cli.library_export",
        "export",
        "writes a prompt in the form of another system",
        "prompt-tuning library export prompts sst2 --to=sst2_adapter --format=peft",
    ),
    "verify": Command(
        "prompt_tuning.cli.library_verify",
        "verify",
        "reads every prompt and compares it with its digest",
        "prompt-tuning library verify prompts",
    ),
    "compare": Command(
        "prompt_tuning.cli.library_compare",
        "compare",
        "relates how alike prompts are to how well they do on other tasks",
        "prompt-tuning library compare prompts --matrix=zero_shot.csv --report=report",
    ),
}
"""Subcommands; each has a function of the words that follow its name."""


def library(words: Sequence[str]) -> None:
    """Runs one subcommand.

    Args:
        words: What follows the command's name: a subcommand, its arguments and flags.

    Raises:
        UserError: There is no such subcommand, or it fails.
    """
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return
    name, *rest = words
    if name not in SUBCOMMANDS:
        raise UserError(
            f"library has no subcommand {name!r}{nearest(name, SUBCOMMANDS)}; it has "
            f"{', '.join(SUBCOMMANDS)}"
        )
    command = SUBCOMMANDS[name]
    getattr(importlib.import_module(command.module), command.function)(rest)


def _overview() -> str:
    width = max(map(len, SUBCOMMANDS)) + 2
    table = "\n".join(f"  {name:<{width}}{each.summary}" for name, each in SUBCOMMANDS.items())
    examples = "\n".join(f"  {each.example}" for each in SUBCOMMANDS.values())
    return f"""\
prompt-tuning library: keeps prompts in a directory; takes no gin file

usage: prompt-tuning library SUBCOMMAND DIRECTORY [...]

subcommands:
{table}

examples:
{examples}

A library is a directory: copy it, and it is copied. Many processes may add prompts at once.
`prompt-tuning library SUBCOMMAND --help` shows the flags of a subcommand."""
