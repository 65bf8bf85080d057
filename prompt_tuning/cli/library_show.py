"""`prompt-tuning library show`: all that a library knows of a prompt."""

from collections.abc import Sequence

from prompt_tuning.analysis.table import MISSING, Column, Line, Table, rendered
from prompt_tuning.cli.flags import Parser
from prompt_tuning.cli.library_lines import as_json, console, print_json, printable
from prompt_tuning.transfer.library import Library
from prompt_tuning.transfer.library_entry import Entry
from prompt_tuning.transfer.provenance import Provenance, provenance
from prompt_tuning.types import UserError

_HELP = """\
prompt-tuning library show: shows all that is known of a prompt, and what it was tuned from

usage: prompt-tuning library show DIRECTORY NAME [--json]

example:
  prompt-tuning library show prompts mini_sst2.class_labels.seed0

NAME is the prompt's name, or its id or digest, or the beginning of one.

flags:
  --json  one JSON object
  --help  this text"""


def show(words: Sequence[str]) -> None:
    """Prints a prompt's metadata and its provenance.

    Args:
        words: The library's directory, the prompt's name, and flags.

    Raises:
        UserError: A flag is wrong, or there is no such library or prompt.
    """
    parser = Parser("library show")
    parser.add_argument("directory")
    parser.add_argument("name")
    parser.add_argument("--json", action="store_true")
    flags = parser.flags(words)
    if flags.help:
        print(_HELP)
        return
    library = Library(flags.directory)
    entry = library.find(flags.name)
    if not library.has(entry):
        raise UserError(f"prompt file {entry.path}: it is damaged; put it there again")
    chain = provenance(entry, library.entries())
    if flags.json:
        sources = [source.name for source in chain.sources]
        value = {"sources": sources, "start": chain.start, "end": chain.end}
        print_json([as_json(entry, provenance=value)])
        return
    screen = console()
    screen.print(rendered(_metadata_table(entry)))
    screen.print()
    screen.print(rendered(_chain_table(entry, chain)))


def _metadata_table(entry: Entry) -> Table:
    metrics = [f"{name} {value:g}" for name, value in entry.metrics.items()]
    step = entry.metadata.get("embedding_step", "unknown")
    facts = {
        "id": entry.name,
        "path": str(entry.path),
        "digest": entry.digest,
        **dict(sorted(entry.metadata.items())),
        "metrics": ", ".join(metrics) or MISSING,
        "embedding": f"after step {step}" if entry.has_embedding else "none: found by itself",
    }
    lines = [Line((printable(name), printable(value))) for name, value in facts.items()]
    return Table([Column("prompt"), Column(printable(entry.label))], lines)


def _chain_table(entry: Entry, chain: Provenance) -> Table:
    lines = []
    for each in (entry, *chain.sources):
        texts = (each.name, each.task, each.metadata.get("step", MISSING))
        lines.append(Line([printable(text) for text in texts]))
    columns = [Column("provenance"), Column("task"), Column("step", numeric=True)]
    return Table(columns, lines, note=_beginning(chain))


def _beginning(chain: Provenance) -> str:
    """Returns how the last prompt of a chain began."""
    start = printable(chain.start) or "unknown"
    ends = {
        "initializer": "",
        "absent": ", which is not in this library",
        "circle": ", which is above: somebody changed the metadata",
    }
    return f"The last one began as: {start}{ends[chain.end]}."
