"""Models of the Hugging Face hub, fetched once into its own cache."""

import re
from pathlib import Path

from prompt_tuning.models.formats import hugging_face
from prompt_tuning.types import UserError

_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


def is_hub_name(name: str) -> bool:
    """Returns whether a text could be a model of the hub: `owner/name` or `owner/name@revision`."""
    return _NAME.fullmatch(name) is not None


def fetch_from_hub(name: str) -> Path:
    """Returns the local directory of a model's config, safetensors and vocabulary.

    Args:
        name: `owner/name`, or `owner/name@revision` for a branch, tag or commit.

    Raises:
        UserError: There is no such model, or it cannot be fetched.
    """
    import huggingface_hub

    repository, _, revision = name.partition("@")
    files = (hugging_face.CONFIG, "model*.safetensors", hugging_face.SHARDS)
    try:
        directory = huggingface_hub.snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=[*files, hugging_face.VOCABULARY, hugging_face.TOKENIZER],
        )
    except Exception as error:  # of the hub, of its HTTP client, and of the network
        reason = (str(error).splitlines() or [""])[0].strip()[:120]
        raise UserError(
            f"backbone {name}: there is no such directory, and it cannot be fetched from the "
            f"Hugging Face hub ({type(error).__name__}: {reason}); check the name and the network"
        ) from error
    if not list(Path(directory).glob("model*.safetensors")):
        raise UserError(
            f"backbone {name}: the hub has no safetensors of it, and pickled weights are not read; "
            f"give a revision that has them, as in {repository}@refs/pr/1"
        )
    return Path(directory)
