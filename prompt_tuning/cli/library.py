"""`prompt-tuning library`: a directory of prompts. Flags and help of its subcommands."""

import argparse
from collections.abc import Callable, Sequence

from prompt_tuning.cli import library_commands as commands
from prompt_tuning.cli.flags import Parser
from prompt_tuning.cli.library_compare import compare_prompts
from prompt_tuning.prompts.formats import forms
from prompt_tuning.transfer.similarity import SIMILARITIES
from prompt_tuning.types import UserError, nearest

PROGRAM = "prompt-tuning library"


def library(words: Sequence[str]) -> None:
    """Runs one subcommand.

    Args:
        words: The words after the command's name: a subcommand, its arguments and flags.

    Raises:
        UserError: There is no such subcommand, a flag is wrong, or the subcommand fails.
    """
    parser, names = build_parser()
    name = words[0] if words and words[0] != "help" else "--help"
    if name not in (*names, "-h", "--help"):
        raise UserError(
            f"library has no subcommand {name!r}{nearest(name, names)}; it has {', '.join(names)}"
        )
    flags = parser.parse_words([name, *words[1:]])
    if flags is not None:
        flags.run(flags)


def build_parser() -> tuple[Parser, list[str]]:
    """Builds the parser of all subcommands; returns their names too."""
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
        commands.add_prompts,
        "adds prompt files, or the best prompts of runs, to a library",
        examples=("prompts best.safetensors", "prompts /tmp/train --embedding_step=100"),
        more="""\
Makes the directory if it does not exist. Skips prompts that the library already has.""",
    )
    add.add_argument(
        "paths",
        nargs="+",
        metavar="path",
        help="a prompt file, or the MODEL_DIR of a run: the best prompt of each finished row",
    )
    add.add_argument(
        "--embedding_step",
        type=int,
        metavar="STEP",
        help="the step of the task embedding, which search compares: the file "
        "step_STEP.safetensors beside the prompt; without this flag, the prompt itself",
    )

    listed = subcommand(
        "list",
        commands.list_prompts,
        "lists prompts, filtered by task, backbone or metric",
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
        commands.show_prompt,
        "shows a prompt's metadata and the prompts that it was tuned from",
        examples=("prompts mini_sst2.class_labels.seed0",),
    )
    _add_name(show)
    _add_json(show)

    search = subcommand(
        "search",
        commands.search_prompts,
        "ranks prompts by their similarity to a given one",
        examples=(
            "prompts --like=mini_sst2.class_labels.seed0 --top=5",
            "prompts --like=/tmp/train/prompts/mine/step_100.safetensors",
        ),
        more="""\
Compares the task embeddings of prompts; a prompt without one is its own embedding. The given
prompt is not in the ranking.""",
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
        "--top", type=int, default=10, metavar="K", help="prompts to show (default %(default)s)"
    )
    _add_choice(search)
    _add_json(search)

    imported = subcommand(
        "import",
        commands.import_prompts,
        "adds prompts of PEFT, torch, NumPy or the reference code to a library",
        examples=(
            "prompts sst2_adapter --task=glue_sst2",
            "prompts task_prompt_emb --backbone=t5_1_0_small",
        ),
        more=f"""\
Makes the library's directory if it does not exist. Detects the format of each path:
{_table({name: form.summary for name, form in forms.FORMATS.items()})}
Any other directory is searched recursively. Pickles are never run. All prompts are read before the
first is added.

A prompt is named for its file or directory. The flags give what the files do not record.""",
    )
    imported.add_argument("paths", nargs="+", metavar="path", help="prompts in these formats")
    imported.add_argument("--name", help="the prompt's name; for a single prompt only")
    imported.add_argument("--task", help="the task that the prompts were tuned on")
    imported.add_argument(
        "--backbone",
        help="the name of the frozen model that they were tuned on; search compares a prompt of an "
        "unknown model with every prompt of its width",
    )

    export = subcommand(
        "export",
        commands.export_prompt,
        "writes a prompt in the format of another system",
        examples=(
            "prompts sst2 --to=sst2_adapter --format=peft",
            "prompts sst2 --to=sst2.npy --format=npy",
        ),
        more=f"""\
The formats are
{_table({f"{name}:": forms.FORMATS[name].summary for name in forms.WRITTEN})}
Only safetensors keeps the metadata and the task embedding; the others keep the prompt alone.""",
    )
    _add_name(export)
    export.add_argument(
        "--to", required=True, metavar="PATH", help="a path that does not exist yet"
    )
    export.add_argument("--format", required=True, metavar="FORMAT", help="a format listed above")
    export.add_argument(
        "--base_model",
        metavar="MODEL",
        help="for peft: the model that PEFT loads, a name on the Hugging Face hub or a directory; "
        "not needed for the backbones of configs/models",
    )

    subcommand(
        "verify",
        commands.verify_library,
        "reads every prompt and compares it with its digest",
        examples=("prompts",),
        more="""\
Deletes nothing, and rebuilds the index. Add a damaged prompt again to repair it.""",
    )

    compared = subcommand(
        "compare",
        compare_prompts,
        "relates the similarity of prompts to their scores on other tasks",
        examples=(
            "prompts --matrix=zero_shot.csv --report=report",
            "published t5_small --matrix=t5_small/zero_shot.csv",
        ),
        more=r"""
Needs no model. First adds the prompts at each path (files in any format that import reads, or
directories of them) to the library, and makes the library if it does not exist. A prompt that does
not record its task is taken to be of the task that its file is named for.

The matrix is a CSV file of zero-shot scores. Its first line is target\source and the names of the
sources; every other line is the name of a target and its score with the prompt of each source.
Scores are 0 to 1 or 0 to 100; leave missing ones empty. Every target must be a source too: scores
are relative to that of the target's own prompt, which is never retrieved. With several prompts of
a task, similarities are averaged."""[1:],
    )
    compared.add_argument("paths", nargs="*", metavar="path", help="prompts to add first")
    compared.add_argument("--matrix", required=True, metavar="FILE", help="the CSV file of scores")
    compared.add_argument(
        "--report",
        metavar="FOLDER",
        help="writes a page, index.html, to this folder, with tables and figures",
    )
    compared.add_argument(
        "--k",
        metavar="NUMBERS",
        help="numbers of sources to retrieve, such as 1,3; default 1,3,6,9,12,15",
    )
    compared.add_argument(
        "--targets", help="only these targets, separated by commas, such as those of one metric"
    )
    lines = "\n".join(first_examples)
    parser.epilog = f"""\
examples:
{lines}

A library is a directory that can be copied and that many processes can add prompts to at once.
`{PROGRAM} SUBCOMMAND --help` shows the flags of a subcommand."""
    return parser, list(group.choices)


def _add_choice(parser: Parser) -> None:
    """Adds the flags that filter prompts."""
    for flag, meaning in (
        ("--task", "tuned on this task or mixture"),
        ("--backbone", "of this backbone: its name, or the start of its digest"),
        ("--metric", f"with this metric, the best first; {commands.METRIC} is shown by default"),
    ):
        parser.add_argument(flag, help=f"only prompts {meaning}")
    least = "only prompts with at least this value of the metric"
    parser.add_argument("--at_least", type=float, metavar="NUMBER", help=least)


def _add_name(parser: Parser) -> None:
    parser.add_argument(
        "name", help="the prompt's name, id or digest, or the start of one of these"
    )


def _add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="prints one JSON object per line")


def _table(texts: dict[str, str]) -> str:
    width = max(map(len, texts)) + 2
    return "\n".join(f"  {name:<{width}}{text}" for name, text in texts.items())
