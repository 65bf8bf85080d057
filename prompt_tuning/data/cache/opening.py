"""Opens tasks of the tokenized cache without TensorFlow or SeqIO, tokenizing missing ones first."""

from collections.abc import Callable, Sequence

from prompt_tuning.data.cache.entry import Cache, UnusableError, listed
from prompt_tuning.data.cached_task import MixtureOrTask
from prompt_tuning.types import UserError


def find_cached(cache: Cache, name: str) -> MixtureOrTask | None:
    """Opens a task or mixture; returns None if it is missing, stale or damaged."""
    try:
        return cache.open_entry(name)
    except UnusableError:
        return None


def ensure_cached(
    cache: Cache, names: Sequence[str], report: Callable[[str], None]
) -> list[MixtureOrTask]:
    """Opens tasks and mixtures, after tokenizing those that are missing, stale or damaged.

    Args:
        cache: The cache.
        names: SeqIO tasks and mixtures.
        report: Receives one line of text for the user at a time.

    Returns:
        The tasks and mixtures, in the order of `names`.

    Raises:
        UserError: A task or module is unknown, a task fails, or the directory cannot be written.
    """
    opened: dict[str, MixtureOrTask | None] = {}
    unusable: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        try:
            opened[name] = cache.open_entry(name)
        except UnusableError as reason:
            unusable.setdefault(str(reason), []).append(name)
            opened[name] = None
    for reason, again in unusable.items():
        report(f"tokenizing {listed(again)} again: {reason}")
    missing = [name for name, task in opened.items() if task is None]
    if missing:
        from prompt_tuning.data.cache.tokenizing import tokenize_in_subprocess

        tokenize_in_subprocess(cache, missing, report)
    for name in missing:
        opened[name] = find_cached(cache, name)
    return [_present(name, opened[name]) for name in names]


def _present(name: str, task: MixtureOrTask | None) -> MixtureOrTask:
    if task is None:
        raise UserError(
            f"task {name} was tokenized, but its cache entry cannot be read; "
            "check that nothing else changes the cache directory or the task's source files"
        )
    return task
