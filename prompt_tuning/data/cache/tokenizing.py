"""Tokenizes tasks in a process of its own: this one imports neither TensorFlow nor SeqIO."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from prompt_tuning.data.cache import worker, writer
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError

BUILDER = "prompt_tuning.data.cache.build"


def tokenize(
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
    """Tokenizes tasks and mixtures into the cache; the arguments are those of `ensure_cached`.

    Raises:
        UserError: A task or module is unknown, a task fails, or the directory cannot be written.
    """
    writer.check_writable(cache_dir)
    request = {
        "cache_dir": os.path.abspath(cache_dir),
        "names": list(names),
        "vocabulary": os.path.abspath(vocabulary.path),
        "extra_ids": vocabulary.extra_ids,
        "lengths": dict(lengths),
        "modules": list(modules),
        "data_dir": data_dir,
        "tfds_data_dir": tfds_data_dir,
    }
    _run_builder(request, report)


def _run_builder(request: Mapping[str, object], report: Callable[[str], None]) -> None:
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        subprocess.Popen(
            [sys.executable, "-m", BUILDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=worker.environment(),
            text=True,
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(request))
            process.stdin.close()
            problem = _relay(process.stdout, report)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
        if problem is None and status != 0:
            problem = f"tokenizing stopped: {worker.last_line(log, status)}"
    if problem is not None:
        raise UserError(problem)


def _relay(lines: Iterable[str], report: Callable[[str], None]) -> str | None:
    """Reports the builder's messages and returns its error, if there is one."""
    problem = None
    for line in lines:
        message = json.loads(line)
        if "error" in message:
            problem = message["error"]
        else:
            report(message["message"])
    return problem
