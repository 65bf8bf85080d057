"""The subcommands of `prompt-tuning library`, each a function of its flags."""

import argparse
import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.cli import library_lines
from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.formats import forms, peft
from prompt_tuning.transfer.library.entry import Entry, entry_of, placements
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.library.provenance import provenance
from prompt_tuning.types import UserError, nearest

METRIC = "validation"
"""The metric shown by default."""

_FACTS = ("name", "task", "backbone")  # metadata that flags of `import` set


def add_prompts(flags: argparse.Namespace) -> None:
    """Adds prompt files, and the best prompts of runs, to a library.

    Raises:
        UserError: A path has no prompt, or a prompt cannot be read; then nothing is added. Or a
            prompt cannot be written; then those before it are added.
    """
    paths = [file for path in flags.paths for file in _prompt_files(Path(path).expanduser())]
    _add(flags.directory, [_load(path, flags.embedding_step) for path in paths], "added")


def import_prompts(flags: argparse.Namespace) -> None:
    """Adds prompts in any format to a library.

    Raises:
        UserError: As `add_prompts`, or the flags contradict a prompt's metadata.
    """
    paths, others = _find_prompts([Path(path).expanduser() for path in flags.paths])
    if flags.name and len(paths) > 1:
        raise UserError(f"--name={flags.name} is for one prompt, and there are {len(paths)}")
    _add(flags.directory, [_convert(path, flags) for path in paths], "imported", others)


def export_prompt(flags: argparse.Namespace) -> None:
    """Writes a prompt of a library in another format.

    Raises:
        UserError: There is no such library, prompt or format, the path exists, or it cannot be
            written.
    """
    library = Library(flags.directory)
    entry = library.find(flags.name)
    prompt = library.load(entry)
    if flags.base_model:
        if flags.format != "peft":
            raise UserError(f"--base_model has no effect on --format={flags.format}; leave it out")
        metadata = {**prompt.metadata, peft.BASE_MODEL: flags.base_model}
        prompt = dataclasses.replace(prompt, metadata=metadata)
    path = Path(flags.to).expanduser()
    forms.write(path, prompt, flags.format)
    print(f"{entry.name} is in {path} as {flags.format}")


def list_prompts(flags: argparse.Namespace) -> None:
    """Prints the prompts of a library that match the flags.

    Raises:
        UserError: There is no such library or no such prompt.
    """
    library = Library(flags.directory)
    entries = [entry for entry in _select(library, flags) if library.has(entry)]
    if flags.json:
        library_lines.print_json(library_lines.as_json(entry) for entry in entries)
    else:
        library_lines.print_table(entries, flags.metric or METRIC)


def search_prompts(flags: argparse.Namespace) -> None:
    """Prints the prompts of a library that are most similar to a given one.

    Raises:
        UserError: There is no such library or prompt, or prompts are of different backbones.
    """
    if flags.top < 1:
        raise UserError(f"--top={flags.top}: give 1 or more")
    library = Library(flags.directory)
    entries = _select(library, flags)
    path = Path(flags.like).expanduser()
    like = files.load(path) if path.is_file() else library.load(library.find(flags.like))
    itself = entry_of(like, library.path, 0).content
    others = [entry for entry in entries if entry.content != itself]
    if not others:
        raise UserError(f"library {library.path} has no prompt to compare with '{flags.like}'")
    ranking = library.search(like, others, flags.similarity)
    first = list(itertools.islice((pair for pair in ranking if library.has(pair[0])), flags.top))
    if not first:
        raise UserError(f"library {library.path}: all other prompts are damaged or missing")
    if flags.json:
        library_lines.print_json(
            library_lines.as_json(entry, similarity=value) for entry, value in first
        )
    else:
        entries, values = zip(*first, strict=True)
        library_lines.print_table(entries, flags.metric or METRIC, values)


def show_prompt(flags: argparse.Namespace) -> None:
    """Prints a prompt's metadata and its provenance.

    Raises:
        UserError: There is no such library or prompt.
    """
    library = Library(flags.directory)
    entry = library.find(flags.name)
    if not library.has(entry):
        raise UserError(f"prompt file {entry.path}: it is damaged; add the prompt again")
    chain = provenance(entry, library.entries())
    if flags.json:
        sources = [source.name for source in chain.sources]
        value = {"sources": sources, "start": chain.start, "end": chain.end}
        library_lines.print_json([library_lines.as_json(entry, provenance=value)])
    else:
        library_lines.print_prompt(entry, chain)


def verify_library(flags: argparse.Namespace) -> None:
    """Checks a library and prints its problems.

    Raises:
        UserError: There is no such library, or it has problems.
    """
    library = Library(flags.directory)
    problems = library.verify()
    for problem in problems:
        print(problem)
    if problems:
        raise UserError(
            f"library {library.path}: {len(problems)} problem{'s' * (len(problems) > 1)}, named "
            "above; the other prompts are whole"
        )
    entries = library.entries()
    print(f"{library.path}: {len(entries)} prompts, all whole{placements(entries)}")


def _select(library: Library, flags: argparse.Namespace) -> list[Entry]:
    """Returns the prompts that match the flags, by name, or best first with --metric.

    Raises:
        UserError: There are none.
    """
    metric = flags.metric or (METRIC if flags.at_least is not None else None)
    entries = library.select(
        task=flags.task, backbone=flags.backbone, metric=metric, at_least=flags.at_least
    )
    if not entries:
        raise UserError(_no_match(library, flags, metric))
    if flags.metric:
        entries.sort(key=lambda entry: -entry.metrics[flags.metric])
    return entries


def _no_match(library: Library, flags: argparse.Namespace, metric: str | None) -> str:
    """Returns why no prompt matches the flags."""
    path, entries = library.path, library.entries()
    if not entries:
        return f"library {path} has no prompts; prompt-tuning library add {path} PATH adds some"
    known = {
        "task": (flags.task, {entry.task for entry in entries}),
        "backbone": (flags.backbone, {entry.backbone for entry in entries}),
        "metric": (metric, {name for entry in entries for name in entry.metrics}),
    }
    for kind, (wanted, names) in known.items():
        if not library.select(**{kind: wanted}):
            return (
                f"library {path} has no prompt with the {kind} '{wanted}'{nearest(wanted, names)}"
            )
    return f"library {path} has no prompt that matches all flags; leave some out"


def _add(directory: str, prompts: Sequence[Prompt], done: str, others: Sequence[Path] = ()) -> None:
    """Adds prompts to a library and prints a line for each; makes the library if need be.

    Args:
        directory: The library's directory.
        prompts: The prompts.
        done: What to print before the name of a new prompt.
        others: Files that are not prompts, to print.

    Raises:
        UserError: A prompt or the library cannot be written.
    """
    library = Library.create(directory)
    before = {entry.name for entry in library.entries()}
    names = list(dict.fromkeys(entry.name for entry in library.add(prompts)))
    for name in names:
        print(f"{'there already' if name in before else done}  {name}")
    for path in others:
        print(f"not a prompt  {path}")
    new = len([name for name in names if name not in before])
    print(f"{library.path}: {len(library.entries())} prompts, {new} of them new")


def _prompt_files(path: Path) -> list[Path]:
    """Returns a file, or the best prompts of a run's finished rows."""
    if not path.is_dir():
        return [path]
    rows = sorted(path.glob("prompts/*/row.json"))
    if not rows and any(path.glob("prompts/*.safetensors")):
        raise UserError(
            f"{path}: it is a library; give its files, {path / 'prompts'}/*.safetensors"
        )
    if not rows:
        raise UserError(
            f"{path}: no row of a run has finished here; give a MODEL_DIR, or prompt files"
        )
    return [row.with_name("best.safetensors") for row in rows]


def _load(path: Path, embedding_step: int | None) -> Prompt:
    """Reads a prompt file, with that of its row after `embedding_step` steps as its embedding."""
    prompt = files.load(path)
    if not prompt.metadata.get("name"):
        raise UserError(
            f"prompt file {path}: it does not record its name, task and backbone; "
            "use prompt-tuning library import"
        )
    if embedding_step is None:
        return prompt
    early_path = path.with_name(f"step_{embedding_step}.safetensors")
    if not early_path.exists():
        raise UserError(
            f"prompt file {early_path}: it does not exist; give a step of train.save_steps"
        )
    early = files.load(early_path)
    same_row = early.metadata.get("name") == prompt.metadata["name"]
    if not same_row or early.array.shape != prompt.array.shape:
        raise UserError(f"prompt file {early_path}: it is not of the same row as {path.name}")
    return prompt.embedded(early.array, embedding_step)


def _find_prompts(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Returns the prompts at some paths, in any format, and the other files there."""
    prompts, others = [], []
    for path in paths:
        if any(path.glob("prompts/*/row.json")):
            raise UserError(
                f"{path}: it is the directory of a run, with prompts of many steps; use "
                "prompt-tuning library add, which takes the best ones"
            )
        if (path / "index.safetensors").is_file() and (path / "prompts").is_dir():
            raise UserError(
                f"{path}: it is a library; use prompt-tuning library add with its files, "
                f"{path / 'prompts'}/*.safetensors"
            )
        prompts_there, others_there = forms.find(path)
        if not prompts_there:
            raise UserError(
                f"{path}: there is no prompt in this directory; see prompt-tuning library import "
                "--help for the formats"
            )
        prompts += prompts_there
        others += others_there
    return prompts, others


def _convert(path: Path, flags: argparse.Namespace) -> Prompt:
    """Reads a prompt in any format, with the metadata that the flags give."""
    prompt = forms.read(path)
    given = {fact: value for fact in _FACTS if (value := getattr(flags, fact))}
    if forms.IMPORTED_FROM not in prompt.metadata:  # A file of this project, with metadata.
        for fact, value in given.items():
            if prompt.metadata.get(fact, value) != value:
                raise UserError(
                    f"prompt file {path}: its {fact} is {prompt.metadata[fact]}; leave out "
                    f"--{fact}={value}"
                )
    name = prompt.metadata.get("name") or path.stem
    return dataclasses.replace(prompt, metadata={**prompt.metadata, "name": name, **given})
