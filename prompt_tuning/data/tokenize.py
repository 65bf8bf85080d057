"""Tokenises SeqIO tasks into the cache. The one place that runs tf.data; run as a module.

`python -m prompt_tuning.data.tokenize` reads a request as JSON from its input and writes messages
and at most one error as JSON lines to its output (`prompt_tuning.data.cache` is its caller).
"""

import importlib
import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import seqio

from prompt_tuning.data import cache_writer, entries, references, sources, task_arrays
from prompt_tuning.data.cache_writer import Origin
from prompt_tuning.data.datasets.source import DIRECTORIES, DatasetSource
from prompt_tuning.data.task_arrays import TRAINING_SPLIT
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError, nearest

OWN_TASKS = "prompt_tuning.data.tasks"


class _Where(NamedTuple):
    """What all entries of a request share."""

    cache_dir: str | Path
    vocabulary: Vocabulary
    lengths: Mapping[str, int]

    def holds(self, name: str) -> bool:
        try:
            return entries.load(self.cache_dir, name, self.vocabulary, self.lengths) is not None
        except entries.UnusableError:
            return False


class _Functions(NamedTuple):
    metrics: list[references.Reference]
    postprocessor: references.Reference | None


def build(
    cache_dir: str | Path,
    names: Sequence[str],
    vocabulary: Vocabulary,
    lengths: Mapping[str, int],
    *,
    modules: Sequence[str],
    data_dir: str | None,
    tfds_data_dir: str | None,
    report: Callable[[str], None],
) -> None:
    """Tokenises tasks, and the tasks of mixtures, that the cache does not hold.

    A task is tokenised with `vocabulary`, whatever SentencePiece vocabulary it was registered
    with, because the model knows no other.

    Args:
        cache_dir: The cache directory.
        names: SeqIO tasks and mixtures.
        vocabulary: The model's vocabulary.
        lengths: The most tokens kept, by feature.
        modules: Modules that register further tasks.
        data_dir: Where published datasets are as JSON lines, or None.
        tfds_data_dir: Where TensorFlow Datasets keeps its data, or None for its default.
        report: Takes one line of text for the user.

    Raises:
        UserError: A name or module is unknown, a task fails, or the directory cannot be written.
    """
    DIRECTORIES.data_dir, DIRECTORIES.tfds_data_dir = data_dir, tfds_data_dir
    if tfds_data_dir is not None:
        seqio.set_tfds_data_dir_override(tfds_data_dir)
    registered = _import_modules([OWN_TASKS, *modules])
    providers = [_provider(name) for name in names]
    tasks = {
        task.name: task
        for provider in providers
        for task in (provider.tasks if isinstance(provider, seqio.Mixture) else [provider])
    }
    where = _Where(cache_dir, vocabulary, lengths)
    missing = [task for task in tasks.values() if not where.holds(task.name)]
    functions = {task.name: _task_functions(task) for task in missing}
    awaited = [task.name for task in missing if _awaits_download(task)]
    if awaited:
        report(f"TensorFlow Datasets fetches {entries.listed(awaited)} first")
    start = time.monotonic()
    tokenized = task_arrays.run(missing, vocabulary, lengths) if missing else {}
    for task in missing:
        _write_task(where, task, functions[task.name], tokenized[task.name], registered)
    for provider in providers:
        if isinstance(provider, seqio.Mixture):
            _write_mixture(where, provider, registered)
    if missing:
        seconds = time.monotonic() - start
        report(f"tokenised {entries.listed([task.name for task in missing])} in {seconds:.1f} s")


def main() -> int:
    """Serves one request; returns the exit status."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a task prints is no message

    def send(kind: str, text: str) -> None:
        out.write(json.dumps({kind: " ".join(text.split())}) + "\n")
        out.flush()

    request = json.load(sys.stdin)
    try:
        build(
            request["cache_dir"],
            request["names"],
            Vocabulary(request["vocabulary"], request["extra_ids"]),
            request["lengths"],
            modules=request["modules"],
            data_dir=request["data_dir"],
            tfds_data_dir=request["tfds_data_dir"],
            report=lambda text: send("message", text),
        )
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
        with task_arrays.naming(f"task module {module}"):
            _import_module(module)
        for name in (*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()):
            registered.setdefault(name, module)
    return registered


def _import_module(module: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and imports another that is not
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


def _task_functions(task: seqio.Task) -> _Functions:
    owner = f"task {task.name}"
    with task_arrays.naming(owner):
        metrics = [_metric_reference(function, owner) for function in task.metric_fns]
        if task.metric_objs and not metrics:
            raise UserError(
                f"{owner} has metric objects alone; give it metric_fns of (targets, predictions)"
            )
    postprocessor = references.refer(task.postprocessor, owner) if task.postprocessor else None
    return _Functions(metrics, postprocessor)


def _write_task(
    where: _Where,
    task: seqio.Task,
    functions: _Functions,
    splits: Mapping[str, cache_writer.Tokenized],
    registered: Mapping[str, str],
) -> None:
    bound = functions.postprocessor["kwargs"] if functions.postprocessor else {}
    cache_writer.write_task(
        where.cache_dir,
        task.name,
        where.vocabulary,
        where.lengths,
        splits=splits,
        labels=bound.get("labels") or bound.get("label_classes") or [],
        metrics=functions.metrics,
        postprocessor=functions.postprocessor,
        origin=Origin(_digests(_modules(task, registered), registered), _data_files(task)),
        stream=None if TRAINING_SPLIT in splits else _stream_origin(task),
    )


def _stream_origin(task: seqio.Task) -> str | None:
    """Returns where the examples of a streamed training split are from; None without one."""
    if not isinstance(task.source, DatasetSource) or not task.source.dataset.streamed:
        return None
    files = [(os.path.basename(path), os.path.getsize(path)) for path in task.source.files]
    return json.dumps(sorted(files)) if files else task.source.dataset.tfds


def _write_mixture(where: _Where, mixture: seqio.Mixture, registered: Mapping[str, str]) -> None:
    modules = {module for task in mixture.tasks for module in _modules(task, registered)}
    if mixture.name in registered:
        modules.add(registered[mixture.name])
    with task_arrays.naming(f"mixture {mixture.name}"):
        rates = {task.name: mixture.get_rate(task) for task in mixture.tasks}
    cache_writer.write_mixture(
        where.cache_dir,
        mixture.name,
        where.vocabulary,
        where.lengths,
        rates=rates,
        origin=Origin(_digests(modules, registered)),
    )


def _metric_reference(function: Callable[..., Any], owner: str) -> references.Reference:
    parameters = inspect.signature(function).parameters.values()
    needed = [each.name for each in parameters if each.default is each.empty]
    if needed not in (["targets", "predictions"], ["targets", references.SCORES]):
        raise UserError(
            f"{owner} has a metric of ({', '.join(needed)}); "
            "metrics of (targets, predictions) or (targets, scores) can be used"
        )
    return references.refer(function, owner) | {"of": needed[1]}


def _modules(task: seqio.Task, registered: Mapping[str, str]) -> set[str]:
    """Returns the modules that say what a task is."""
    if isinstance(task.source, DatasetSource):
        functions = [task.source.dataset.format, *task.metric_fns, task.postprocessor]
        functions += task.preprocessors
        return {DatasetSource.__module__, *filter(None, map(_module, functions))}
    functions = [*task.preprocessors, *task.metric_fns, task.postprocessor]
    functions.append(getattr(task.source, "_dataset_fn", None))
    modules = {_module(function) for function in functions if function is not None}
    return {module for module in (*modules, registered.get(task.name)) if module}


def _digests(modules: Iterable[str], registered: Mapping[str, str]) -> dict[str, str]:
    packages = {module.partition(".")[0] for module in registered.values()}
    return sources.digests(sorted(modules), packages)


def _module(function: Any) -> str | None:
    return getattr(getattr(function, "func", function), "__module__", None)


def _data_files(task: seqio.Task) -> list[tuple[str, int, int]]:
    files: Iterable[str] = ()
    if isinstance(task.source, DatasetSource):
        files = task.source.files
    elif isinstance(task.source, seqio.FileDataSource):
        files = {file for split in task.splits for file in task.source.list_shards(split)}
    return [entries.data_file_record(file) for file in sorted(files) if os.path.exists(file)]


if __name__ == "__main__":
    sys.exit(main())
