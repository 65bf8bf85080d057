"""Models on the Hugging Face hub, downloaded once into the hub's own cache."""

from pathlib import Path

from prompt_tuning.models.formats import hugging_face
from prompt_tuning.models.formats.stored_model import StoredModel
from prompt_tuning.types import UserError


def open_from_hub(name: str) -> StoredModel:
    """Downloads a model and opens it with `open_hugging_face`.

    Args:
        name: `owner/name`, or `owner/name@revision` for a branch, tag or commit.

    Raises:
        UserError: There is no such model, or it cannot be fetched or opened.
    """
    return hugging_face.open_hugging_face(_fetch(name), name.split("@")[0].split("/")[1])


def _fetch(name: str) -> Path:
    """Returns the local directory with a model's config, safetensors and vocabulary."""
    import huggingface_hub

    repository, _, revision = name.partition("@")
    files = (hugging_face.CONFIG, "model*.safetensors", hugging_face.SHARDS)
    try:
        directory = huggingface_hub.snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=[*files, hugging_face.VOCABULARY, hugging_face.TOKENIZER],
        )
    except Exception as error:  # from the hub, its HTTP client, or the network
        reason = (str(error).splitlines() or [""])[0].strip()[:120]
        raise UserError(
            f"backbone {name}: there is no such directory, and it cannot be fetched from the "
            f"Hugging Face hub ({type(error).__name__}: {reason}); check the name and the network"
        ) from error
    if not list(Path(directory).glob("model*.safetensors")):
        raise UserError(
            f"backbone {name}: it has no safetensors on the hub, and pickled weights are not "
            f"supported; give a revision with safetensors, such as {repository}@refs/pr/1"
        )
    return Path(directory)
