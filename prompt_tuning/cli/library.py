"""`prompt-tuning library`: a directory of prompts; the flags and help of its subcommands."""

import argparse
from collections.abc import Callable, Sequence

from prompt_tuning.cli import library_commands as commands
from prompt_tuning.cli.flags import Parser
from prompt_tuning.cli.library_compare import compare
from prompt_tuning.prompts.formats import forms
from prompt_tuning.transfer.similarity import SIMILARITIES
from prompt_tuning.types import UserError, nearest

PROGRAM = "prompt-tuning library"


def library(words: Sequence[str]) -> None:
    """Runs one subcommand.

    Args:
        words: What follows the command's name: a subcommand, its arguments and flags.

    Raises:
        UserError: There is no such subcommand, a flag is wrong, or the subcommand fails.
    """
    parser, names = subcommands()
    name = words[0] if words and words[0] != "help" else "--help"
    if name not in (*names, "-h", "--help"):
        raise UserError(
            f"library has no subcommand {name!r}{nearest(name, names)}; it has {', '.join(names)}"
        )
    flags = parser.parse_words([name, *words[1:]])
    if flags is not None:
        flags.run(flags)


def subcommands() -> tuple[Parser, list[str]]:
    """Returns the parser of all subcommands, and their names."""
    parser = Parser(
        prog=PROGRAM,
        description="Keeps prompts in a directory; takes no gin file.",
    )
    group = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    first_examples = []

    def subcommand(
        name: str,
        run: Callable[[argparse.Namespace], None],
        summary: str,
        *,
        examples: Sequence[str],
        more: str = "",
    ) -> Parser:
        lines = [f"  {PROGRAM} {name} {example}" for example in examples]
        first_examples.append(lines[0])
        added = group.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.\n\n{more}".rstrip(),
            epilog="\n".join(("examples:", *lines)),
        )
        added.set_defaults(run=run)
        added.add_argument("directory", help="the library")
        return added

    add = subcommand(
        "add",
        commands.add,
        "puts prompt files, or the best prompts of runs, into a library",
        examples=("prompts best.safetensors", "prompts /tmp/train --embedding_step=100"),
        more="""\
The directory is made where it is not there. What is there already is not added again.""",
    )
    add.add_argument(
        "paths",
        nargs="+",
        metavar="path",
        help="a prompt file, or the MODEL_DIR of a run, for the best prompts of its finished rows",
    )
    add.add_argument(
        "--embedding_step",
        type=int,
        metavar="STEP",
        help="a search finds a prompt by what its row was after STEP steps, which is the file "
        "step_STEP.safetensors beside it; else by the prompt itself",
    )

    listed = subcommand(
        "list",
        commands.list_prompts,
        "lists prompts, by task, backbone or metric",
        examples=(
            "prompts --task=mini_sst2",
            "prompts --metric=validation --at_least=90",
            "prompts --json",
        ),
    )
    _add_choice(listed)
    _add_json(listed)

    show = subcommand(
        "show",
        commands.show,
        "shows all that is known of a prompt, and the prompts that it was tuned from",
        examples=("prompts mini_sst2.class_labels.seed0",),
    )
    _add_name(show)
    _add_json(show)

    search = subcommand(
        "search",
        commands.search,
        "ranks prompts by their similarity to one",
        examples=(
            "prompts --like=mini_sst2.class_labels.seed0 --top=5",
            "prompts --like=/tmp/train/prompts/mine/step_100.safetensors",
        ),
        more="""\
A prompt is compared by its task embedding, or else by itself. The prompt that the others are
compared with is not in the ranking.""",
    )
    search.add_argument(
        "--like",
        required=True,
        metavar="NAME|FILE",
        help="a prompt of the library (its name, id or digest), or a prompt file",
    )
    search.add_argument(
        "--similarity",
        default="mean_token",
        metavar="NAME",
        help=f"{' or '.join(SIMILARITIES)} (default %(default)s)",
    )
    search.add_argument(
        "--top", type=int, default=10, metavar="K", help="how many to show (default %(default)s)"
    )
    _add_choice(search)
    _add_json(search)

    imported = subcommand(
        "import",
        commands.import_prompts,
        "puts prompts of PEFT, torch, NumPy or the reference code into a library",
        examples=(
            "prompts sst2_adapter --task=glue_sst2",
            "prompts task_prompt_emb --backbone=t5_1_0_small",
        ),
        more=f"""\
The directory is made where it is not there. What a path is, is found out:
{_table({name: form.summary for name, form in forms.FORMATS.items()})}
A directory that is none of these is looked through, with the directories in it. Pickles are never
run. All prompts are read before the first is put into the library.

A prompt is called as its file or directory is. Give what the files do not tell.""",
    )
    imported.add_argument("paths", nargs="+", metavar="path", help="prompts in any of these forms")
    imported.add_argument("--name", help="what to call the prompt, of which there has to be one")
    imported.add_argument("--task", help="the task that the prompts were tuned on")
    imported.add_argument(
        "--backbone",
        help="the name of the frozen model that they are for; a prompt that does not know it is "
        "compared with any prompt of its width",
    )

    export = subcommand(
        "export",
        commands.export,
        "writes a prompt in the form of another system",
        examples=(
            "prompts sst2 --to=sst2_adapter --format=peft",
            "prompts sst2 --to=sst2.npy --format=npy",
        ),
        more=f"""\
The forms are
{_table({f"{name}:": forms.FORMATS[name].summary for name in forms.WRITTEN})}
Only safetensors keeps the metadata and the task embedding; other forms hold the prompt alone.""",
    )
    _add_name(export)
    export.add_argument("--to", required=True, metavar="PATH", help="where; nothing may be there")
    export.add_argument("--format", required=True, metavar="FORM", help="one of the forms above")
    export.add_argument(
        "--base_model",
        metavar="MODEL",
        help="for peft: what PEFT loads as the model, a name on the Hugging Face hub or a "
        "directory; known for the backbones of configs/models",
    )

    subcommand(
        "verify",
        commands.verify,
        "reads every prompt and compares it with its digest",
        examples=("prompts",),
        more="""\
Nothing is deleted. Adding a damaged prompt again mends it. The index is made anew.""",
    )

    compared = subcommand(
        "compare",
        compare,
        "relates how alike prompts are to how well they do on other tasks",
        examples=(
            "prompts --matrix=zero_shot.csv --report=report",
            "published t5_small --matrix=t5_small/zero_shot.csv",
        ),
        more=r"""
No model is needed. The prompts at each path (files in any form that import reads, or directories of
them) are put into the library first, which is made where it is not there. A prompt that does not
name its task is of the task that its file is named for.

The matrix is a CSV file of scores: its first line is target\source and the names of the sources,
each other line the name of a target and its score with the prompt of each source, used as it is.
Scores are 0 to 1 or 0 to 100; empty is a score that there is none of. Each target has to be a
source too: a score counts relative to that of the target's own prompt, which itself is never
retrieved. Of several prompts of a task, similarities are means."""[1:],
    )
    compared.add_argument("paths", nargs="*", metavar="path", help="prompts to put into it first")
    compared.add_argument("--matrix", required=True, metavar="FILE", help="the scores")
    compared.add_argument(
        "--report",
        metavar="FOLDER",
        help="writes a page, index.html, there, with its tables and pictures",
    )
    compared.add_argument(
        "--k",
        metavar="NUMBERS",
        help="how many sources to retrieve, such as 1,3, in place of 1,3,6,9,12,15",
    )
    compared.add_argument(
        "--targets", help="only these targets, such as those of one metric, with commas between"
    )
    lines = "\n".join(first_examples)
    parser.epilog = f"""\
examples:
{lines}

A library is a directory: copy it, and it is copied. Many processes may add prompts at once.
`{PROGRAM} SUBCOMMAND --help` shows the flags of a subcommand."""
    return parser, list(group.choices)


def _add_choice(parser: Parser) -> None:
    """Adds the flags that choose prompts."""
    for flag, meaning in (
        ("--task", "tuned on this task or mixture"),
        ("--backbone", "of this backbone: its name, or the beginning of its digest"),
        ("--metric", f"with this metric, the best first; else {commands.METRIC} is shown"),
    ):
        parser.add_argument(flag, help=f"only prompts {meaning}")
    least = "only prompts with at least this value of the metric"
    parser.add_argument("--at_least", type=float, metavar="NUMBER", help=least)


def _add_name(parser: Parser) -> None:
    parser.add_argument(
        "name", help="the prompt's name, or its id or digest, or the beginning of one"
    )


def _add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _table(texts: dict[str, str]) -> str:
    width = max(map(len, texts)) + 2
    return "\n".join(f"  {name:<{width}}{text}" for name, text in texts.items())
