"""`prompt-tuning library import`: prompts of other systems, put into a library."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.cli.flags import Parser
from prompt_tuning.cli.library_add import put
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.formats import forms
from prompt_tuning.types import UserError

_HELP = """\
prompt-tuning library import: puts prompts of other systems into a library

usage: prompt-tuning library import DIRECTORY PATH [PATH ...] [flags]

examples:
  prompt-tuning library import prompts sst2_adapter --task=glue_sst2
  prompt-tuning library import prompts task_prompt_emb --backbone=t5_1_0_small

DIRECTORY is made where it is not there. What a PATH is, is found out:
{forms}
A directory that is none of these is looked through, with the directories in it. Pickles are never
run. All prompts are read before the first is put into the library.

A prompt is called as its file or directory is. Give what the files do not tell:

flags:
  --name=NAME          what to call the prompt, of which there has to be one
  --task=TASK          the task that the prompts were tuned on
  --backbone=BACKBONE  the name of the frozen model that they are for; a prompt that does not know
                       it is compared with any prompt of its width
  --help               this text"""

_FACTS = ("name", "task", "backbone")


def import_prompts(words: Sequence[str]) -> None:
    """Puts prompts in any form into a library.

    Args:
        words: The library's directory, paths of prompts, and flags.

    Raises:
        UserError: A path leads to no prompt, or a prompt cannot be read, or says of itself
            something other than the flags; then nothing is added. Or one cannot be written; those
            before it are there, each of them whole.
    """
    parser = Parser("library import")
    parser.add_argument("directory")
    parser.add_argument("paths", nargs="+", metavar="path")
    for fact in _FACTS:
        parser.add_argument(f"--{fact}")
    flags = parser.flags(words)
    if flags.help:
        print(_HELP.format(forms=_forms()))
        return
    paths, others = _found([Path(path).expanduser() for path in flags.paths])
    if flags.name and len(paths) > 1:
        raise UserError(f"--name={flags.name} is for one prompt, and there are {len(paths)}")
    put(flags.directory, [_prompt(path, flags) for path in paths], "imported", others)


def _found(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Returns the prompts at some paths, and what else there is."""
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
        found, other = forms.find(path)
        if not found:
            raise UserError(
                f"{path}: there is no prompt in this directory; see prompt-tuning library import "
                "--help for what prompts are"
            )
        prompts += found
        others += other
    return prompts, others


def _prompt(path: Path, flags: argparse.Namespace) -> Prompt:
    """Reads a prompt, with what the flags say of it."""
    prompt = forms.read(path)
    given = {fact: value for fact in _FACTS if (value := getattr(flags, fact))}
    if forms.IMPORTED_FROM not in prompt.metadata:  # This project's own files know what they are.
        for fact, value in given.items():
            if prompt.metadata.get(fact, value) != value:
                raise UserError(
                    f"prompt file {path}: its {fact} is {prompt.metadata[fact]}; leave out "
                    f"--{fact}={value}"
                )
    name = prompt.metadata.get("name") or path.stem
    return dataclasses.replace(prompt, metadata={**prompt.metadata, "name": name, **given})


def _forms() -> str:
    width = max(map(len, forms.FORMATS)) + 2
    return "\n".join(f"  {name:<{width}}{form.summary}" for name, form in forms.FORMATS.items())
