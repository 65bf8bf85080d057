"""`prompt-tuning library export`: a prompt of a library, written for another system."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.cli.flags import Parser
from prompt_tuning.prompts.formats import forms, peft
from prompt_tuning.transfer.library import Library
from prompt_tuning.types import UserError

_HELP = """\
prompt-tuning library export: writes a prompt of a library in the form of another system

usage: prompt-tuning library export DIRECTORY NAME --to=PATH --format=FORM [--base_model=MODEL]

examples:
  prompt-tuning library export prompts sst2 --to=sst2_adapter --format=peft
  prompt-tuning library export prompts sst2 --to=sst2.npy --format=npy

NAME is the prompt's name, or its id or digest, or the beginning of one. PATH must not be there yet.

flags:
  --format=FORM         {forms}
  --base_model=MODEL    for peft: what PEFT loads as the model, a name on the Hugging Face hub or a
                        directory; known for the backbones of configs/models
  --help                this text

Only safetensors keeps the metadata and the task embedding; other forms hold the prompt alone."""


def export(words: Sequence[str]) -> None:
    """Writes a prompt of a library in another form.

    Args:
        words: The library's directory, the prompt's name, and flags.

    Raises:
        UserError: There is no such library, prompt or form, something is at the path already, or it
            cannot be written.
    """
    parser = Parser("library export")
    parser.add_argument("directory")
    parser.add_argument("name")
    parser.add_argument("--to", required=True, metavar="PATH")
    parser.add_argument("--format", required=True, metavar="FORM")
    parser.add_argument("--base_model", metavar="MODEL")
    flags = parser.flags(words)
    if flags.help:
        print(_HELP.format(forms=_forms()))
        return
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


def _forms() -> str:
    lines = (f"{name}: {forms.FORMATS[name].summary}" for name in forms.WRITTEN)
    return f"\n{' ' * 24}".join(lines)
