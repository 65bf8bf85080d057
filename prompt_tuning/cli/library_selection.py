"""The prompts of a library that the flags of a command choose."""

import argparse

from prompt_tuning.cli.flags import Parser
from prompt_tuning.transfer.library import Library
from prompt_tuning.transfer.library_entry import Entry
from prompt_tuning.types import UserError, nearest

METRIC = "validation"

HELP = f"""\
  --task=TASK            only prompts tuned on this task or mixture
  --backbone=BACKBONE    only prompts of this backbone: its name, or the beginning of its digest
  --metric=METRIC        only prompts with this metric, the best first; else {METRIC} is shown
  --at_least=NUMBER      only prompts with at least this value of the metric"""


def add_flags(parser: Parser) -> None:
    """Adds the flags that choose prompts."""
    parser.add_argument("--task")
    parser.add_argument("--backbone")
    parser.add_argument("--metric")
    parser.add_argument("--at_least", type=float, metavar="NUMBER")


def selected(library: Library, flags: argparse.Namespace) -> list[Entry]:
    """Returns the prompts that the flags choose, by name or, where a metric is given, by that.

    Raises:
        UserError: There are none.
    """
    metric = flags.metric or (METRIC if flags.at_least is not None else None)
    found = library.select(
        task=flags.task, backbone=flags.backbone, metric=metric, at_least=flags.at_least
    )
    if not found:
        raise UserError(_nothing(library, flags, metric))
    if flags.metric:
        found.sort(key=lambda entry: -entry.metrics[flags.metric])
    return found


def _nothing(library: Library, flags: argparse.Namespace, metric: str | None) -> str:
    """Returns why no prompt is chosen."""
    entries = library.entries()
    if not entries:
        path = library.path
        return f"library {path} has no prompts; prompt-tuning library add {path} PATH adds some"
    alone = [
        ("task", flags.task, library.select(task=flags.task), {e.task for e in entries}),
        (
            "backbone",
            flags.backbone,
            library.select(backbone=flags.backbone),
            {e.backbone for e in entries},
        ),
        ("metric", metric, library.select(metric=metric), {n for e in entries for n in e.metrics}),
    ]
    for kind, wanted, found, names in alone:
        if not found:
            return (
                f"library {library.path} has no prompt with the {kind} '{wanted}'"
                f"{nearest(wanted, names)}"
            )
    return f"library {library.path} has no prompt that fits all of the flags; leave some out"
