"""What the subcommands of `prompt-tuning library` do, each by its flags."""

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
"""The metric that is shown where none is asked for."""

_FACTS = ("name", "task", "backbone")  # what a prompt may be said to have when it is imported


def add(flags: argparse.Namespace) -> None:
    """Puts prompt files, and the best prompts of runs, into a library.

    Raises:
        UserError: A path leads to no prompt, or a prompt cannot be read; then nothing is added. Or
            one cannot be written; those before it are there, each of them whole.
    """
    paths = [file for path in flags.paths for file in _prompt_files(Path(path).expanduser())]
    _put(flags.directory, [_own(path, flags.embedding_step) for path in paths], "added")


def import_prompts(flags: argparse.Namespace) -> None:
    """Puts prompts in any form into a library.

    Raises:
        UserError: As `add`, or a prompt says of itself something other than the flags.
    """
    paths, others = _forms_at([Path(path).expanduser() for path in flags.paths])
    if flags.name and len(paths) > 1:
        raise UserError(f"--name={flags.name} is for one prompt, and there are {len(paths)}")
    _put(flags.directory, [_foreign(path, flags) for path in paths], "imported", others)


def export(flags: argparse.Namespace) -> None:
    """Writes a prompt of a library in another form.

    Raises:
        UserError: There is no such library, prompt or form, something is at the path already, or it
            cannot be written.
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
    """Prints the prompts of a library that the flags choose.

    Raises:
        UserError: There is no such library or no such prompt.
    """
    library = Library(flags.directory)
    entries = [entry for entry in _chosen(library, flags) if library.has(entry)]
    if flags.json:
        library_lines.print_json(library_lines.as_json(entry) for entry in entries)
    else:
        library_lines.print_table(entries, flags.metric or METRIC)


def search(flags: argparse.Namespace) -> None:
    """Prints the prompts of a library that are most similar to one.

    Raises:
        UserError: There is no such library or prompt, or prompts are of different backbones.
    """
    if flags.top < 1:
        raise UserError(f"--top={flags.top}: give 1 or more")
    library = Library(flags.directory)
    entries = _chosen(library, flags)
    path = Path(flags.like).expanduser()
    like = files.load(path) if path.is_file() else library.load(library.find(flags.like))
    itself = entry_of(like, library.path, 0).content
    others = [entry for entry in entries if entry.content != itself]
    if not others:
        raise UserError(f"library {library.path} has no prompt but '{flags.like}' to compare with")
    ranking = library.search(like, others, flags.similarity)
    first = list(itertools.islice((pair for pair in ranking if library.has(pair[0])), flags.top))
    if not first:
        raise UserError(f"library {library.path}: all other prompts are damaged, or gone")
    if flags.json:
        library_lines.print_json(
            library_lines.as_json(entry, similarity=value) for entry, value in first
        )
    else:
        entries, values = zip(*first, strict=True)
        library_lines.print_table(entries, flags.metric or METRIC, values)


def show(flags: argparse.Namespace) -> None:
    """Prints a prompt's metadata and its provenance.

    Raises:
        UserError: There is no such library or prompt.
    """
    library = Library(flags.directory)
    entry = library.find(flags.name)
    if not library.has(entry):
        raise UserError(f"prompt file {entry.path}: it is damaged; put it there again")
    chain = provenance(entry, library.entries())
    if flags.json:
        sources = [source.name for source in chain.sources]
        value = {"sources": sources, "start": chain.start, "end": chain.end}
        library_lines.print_json([library_lines.as_json(entry, provenance=value)])
    else:
        library_lines.print_prompt(entry, chain)


def verify(flags: argparse.Namespace) -> None:
    """Prints what is wrong with a library.

    Raises:
        UserError: There is no such library, or something is wrong with it.
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


def _chosen(library: Library, flags: argparse.Namespace) -> list[Entry]:
    """Returns the prompts that the flags choose, by name or, where a metric is given, by that.

    Raises:
        UserError: There are none.
    """
    metric = flags.metric or (METRIC if flags.at_least is not None else None)
    entries = library.select(
        task=flags.task, backbone=flags.backbone, metric=metric, at_least=flags.at_least
    )
    if not entries:
        raise UserError(_nothing(library, flags, metric))
    if flags.metric:
        entries.sort(key=lambda entry: -entry.metrics[flags.metric])
    return entries


def _nothing(library: Library, flags: argparse.Namespace, metric: str | None) -> str:
    """Returns why no prompt is chosen."""
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
    return f"library {path} has no prompt that fits all of the flags; leave some out"


def _put(directory: str, prompts: Sequence[Prompt], done: str, others: Sequence[Path] = ()) -> None:
    """Puts prompts into a library, and prints what is new; makes the library where it is not there.

    Args:
        directory: The library's.
        prompts: The prompts.
        done: What is said of a new one.
        others: Files that were left alone, which are named too.

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
    """Returns a file itself, or the best prompts of a run's finished rows."""
    if not path.is_dir():
        return [path]
    rows = sorted(path.glob("prompts/*/row.json"))
    if not rows and any(path.glob("prompts/*.safetensors")):
        raise UserError(
            f"{path}: it is a library; give the files in it, {path / 'prompts'}/*.safetensors"
        )
    if not rows:
        raise UserError(
            f"{path}: no row of a run has finished here; give a MODEL_DIR, or prompt files"
        )
    return [row.with_name("best.safetensors") for row in rows]


def _own(path: Path, embedding_step: int | None) -> Prompt:
    """Reads a prompt of ours, with the one after `embedding_step` steps as its embedding."""
    prompt = files.load(path)
    if not prompt.metadata.get("name"):
        raise UserError(
            f"prompt file {path}: it does not tell its name, task and backbone; "
            "prompt-tuning library import takes such files"
        )
    if embedding_step is None:
        return prompt
    early_path = path.with_name(f"step_{embedding_step}.safetensors")
    if not early_path.exists():
        raise UserError(
            f"prompt file {early_path}: cannot read it, as it is not there; give a step that "
            "train.save_steps kept"
        )
    early = files.load(early_path)
    same_row = early.metadata.get("name") == prompt.metadata["name"]
    if not same_row or early.array.shape != prompt.array.shape:
        raise UserError(f"prompt file {early_path}: it is not of the same row as {path.name}")
    return prompt.embedded(early.array, embedding_step)


def _forms_at(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Returns the prompts at some paths, in any form, and what else there is."""
    prompts, others = [], []
    for path in paths:
        if any(path.glob("prompts/*/row.json")):
            raise UserError(
                f"{path}: it is a run's directory, with prompts of many steps; prompt-tuning "
                "library add takes the best ones"
            )
        if (path / "index.safetensors").is_file() and (path / "prompts").is_dir():
            raise UserError(
                f"{path}: it is a library; prompt-tuning library add takes the files in it, "
                f"{path / 'prompts'}/*.safetensors"
            )
        of_path, other = forms.find(path)
        if not of_path:
            raise UserError(
                f"{path}: there is no prompt in this directory; see prompt-tuning library import "
                "--help for what prompts are"
            )
        prompts += of_path
        others += other
    return prompts, others


def _foreign(path: Path, flags: argparse.Namespace) -> Prompt:
    """Reads a prompt in any form, with what the flags say of it."""
    prompt = forms.read(path)
    said = {fact: value for fact in _FACTS if (value := getattr(flags, fact))}
    if forms.IMPORTED_FROM not in prompt.metadata:  # This project's own files know what they are.
        for fact, value in said.items():
            if prompt.metadata.get(fact, value) != value:
                raise UserError(
                    f"prompt file {path}: its {fact} is {prompt.metadata[fact]}; leave out "
                    f"--{fact}={value}"
                )
    name = prompt.metadata.get("name") or path.stem
    return dataclasses.replace(prompt, metadata={**prompt.metadata, "name": name, **said})
