"""Tokenizes SeqIO tasks into the cache: the one module that runs tf.data. Run as a module.

`python -m prompt_tuning.data.cache.build` reads a JSON request from standard input and writes
messages, and at most one error, to standard output as JSON lines. `tokenizing` starts it.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import seqio

from prompt_tuning.data import declarations, references
from prompt_tuning.data.cache import entry, preprocess, sources, writer
from prompt_tuning.data.cache.entry import Cache
from prompt_tuning.data.cache.opening import find_cached
from prompt_tuning.data.cache.preprocess import TRAINING_SPLIT
from prompt_tuning.data.cache.writer import Origin
from prompt_tuning.data.datasets.source import DIRECTORIES, DatasetSource
from prompt_tuning.data.references import Scoring
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError, nearest


def tokenize_missing(cache: Cache, names: Sequence[str], report: Callable[[str], None]) -> None:
    """Tokenizes the tasks, and the tasks of mixtures, that a cache lacks.

    Args:
        cache: The cache.
        names: SeqIO tasks and mixtures.
        report: Receives one line of text for the user at a time.

    Raises:
        UserError: A name or module is unknown, a task fails, or the directory cannot be written.
    """
    DIRECTORIES.data_dir, DIRECTORIES.tfds_data_dir = cache.data_dir, cache.tfds_data_dir
    if cache.tfds_data_dir is not None:
        seqio.set_tfds_data_dir_override(cache.tfds_data_dir)
    registered = _import_modules([*dict.fromkeys(declarations.REGISTRARS.values()), *cache.modules])
    providers = [_provider(name) for name in names]
    tasks = {
        task.name: task
        for provider in providers
        for task in (provider.tasks if isinstance(provider, seqio.Mixture) else [provider])
    }
    absent = [name for name in tasks if find_cached(cache, name) is None]
    scorings = {name: _scoring(tasks[name]) for name in absent}
    origins = {name: _task_origin(tasks[name], registered) for name in absent}
    for name in absent:
        if origins[name].declared_in is None:
            writer.update_scoring(cache, name, scorings[name], origins[name])
    missing = [tasks[name] for name in absent if find_cached(cache, name) is None]
    awaited = [task.name for task in missing if _awaits_download(task)]
    if awaited:
        report(f"TensorFlow Datasets fetches {entry.listed(awaited)} first")
    start = time.monotonic()
    tokenized = preprocess.run_preprocessors(missing, cache) if missing else {}
    for task in missing:
        writer.write_task(
            cache,
            task.name,
            splits=tokenized[task.name],
            scoring=scorings[task.name],
            origin=origins[task.name],
            stream=None if TRAINING_SPLIT in tokenized[task.name] else _stream_origin(task),
        )
    for provider in providers:
        if isinstance(provider, seqio.Mixture):
            _write_mixture(cache, provider, registered)
    if missing:
        seconds = time.monotonic() - start
        report(f"tokenized {entry.listed([task.name for task in missing])} in {seconds:.1f} s")


def main() -> int:
    """Serves one request; returns the exit status."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # Keeps what a task prints out of the messages.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(kind: str, text: str) -> None:
        out.write(json.dumps({kind: " ".join(text.split())}) + "\n")
        out.flush()

    request = json.load(sys.stdin)
    try:
        cache = Cache(
            Path(request["cache_dir"]),
            Vocabulary(request["vocabulary"], request["extra_ids"]),
            request["lengths"],
            modules=request["modules"],
            data_dir=request["data_dir"],
            tfds_data_dir=request["tfds_data_dir"],
        )
        tokenize_missing(cache, request["names"], lambda text: send("message", text))
    except UserError as error:
        send("error", str(error))
        return 2
    return 0


def _awaits_download(task: seqio.Task) -> bool:
    return isinstance(task.source, DatasetSource) and task.source.awaits_download


def _import_modules(modules: Sequence[str]) -> dict[str, str]:
    """Imports modules; returns the module that registered each task and mixture."""
    registered: dict[str, str] = {}
    for module in modules:
        with preprocess.one_line_errors(f"task module {module}"):
            _import_module(module)
        for name in (*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()):
            registered.setdefault(name, module)
    return registered


def _import_module(module: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module exists, but imports one that does not
        raise UserError(
            f"no task module {module}; give an importable name such as my_package.my_tasks "
            "and put its directory on PYTHONPATH"
        ) from error


def _provider(name: str) -> seqio.Task | seqio.Mixture:
    tasks, mixtures = seqio.TaskRegistry.names(), seqio.MixtureRegistry.names()
    if name in mixtures:
        return seqio.MixtureRegistry.get(name)
    if name in tasks:
        return seqio.TaskRegistry.get(name)
    raise UserError(
        f"no task or mixture {name!r}{nearest(name, {*tasks, *mixtures})}; "
        "name a registered one, or add the module that registers it to the task modules"
    )


def _scoring(task: seqio.Task) -> Scoring:
    owner = f"task {task.name}"
    with preprocess.one_line_errors(owner):
        if task.metric_objs and not task.metric_fns:
            raise UserError(
                f"{owner} has metric objects alone; give it metric_fns of (targets, predictions)"
            )
        return references.refer_scoring(task.metric_fns, task.postprocessor, owner)


def _stream_origin(task: seqio.Task) -> str | None:
    """Identifies the data behind a streamed training split; None if the split is not streamed."""
    if not isinstance(task.source, DatasetSource) or not task.source.dataset.streamed:
        return None
    files = [(os.path.basename(path), os.path.getsize(path)) for path in task.source.files]
    return json.dumps(sorted(files)) if files else task.source.dataset.tfds


def _write_mixture(cache: Cache, mixture: seqio.Mixture, registered: Mapping[str, str]) -> None:
    with preprocess.one_line_errors(f"mixture {mixture.name}"):
        rates = {task.name: mixture.get_rate(task) for task in mixture.tasks}
    origin = _declared_origin(mixture.name) or Origin(
        token_modules=_digests({registered.get(mixture.name)}, registered)
    )
    writer.write_mixture(cache, mixture.name, rates, origin)


def _task_origin(task: seqio.Task, registered: Mapping[str, str]) -> Origin:
    """Returns the present origin of a task."""
    origin = _declared_origin(task.name)
    if origin is None:
        version = getattr(task.source, "version", None)
        scoring = [*task.metric_fns, task.postprocessor]
        makers = [*task.preprocessors, getattr(task.source, "_dataset_fn", None)]
        if isinstance(task.source, DatasetSource):
            makers.append(task.source.dataset.format)
        modules = {registered.get(task.name), type(task.source).__module__, *map(_module, makers)}
        origin = Origin(
            version=None if version is None else str(version),
            token_modules=_digests(modules, registered),
            scoring_modules=_digests({*map(_module, scoring)} - modules, registered),
        )
    return origin._replace(data_files=_data_files(task))


def _declared_origin(name: str) -> Origin | None:
    """Returns the origin of a task or mixture of the package, or None for any other."""
    module = declarations.declaring_module(name)
    declared = declarations.declaration(module, name) if module is not None else None
    return None if declared is None else Origin(module, declared.version)


def _digests(modules: Iterable[str | None], registered: Mapping[str, str]) -> dict[str, str]:
    packages = {module.partition(".")[0] for module in registered.values()}
    return sources.digests(filter(None, modules), packages)


def _module(function: Any) -> str | None:
    return getattr(getattr(function, "func", function), "__module__", None)


def _data_files(task: seqio.Task) -> list[entry.DataFile]:
    files: Iterable[str] = ()
    if isinstance(task.source, DatasetSource):
        files = task.source.possible_files
    elif isinstance(task.source, seqio.FileDataSource):
        files = {file for split in task.splits for file in task.source.list_shards(split)}
    return [entry.data_file_record(file) for file in sorted(files)]


if __name__ == "__main__":
    sys.exit(main())
