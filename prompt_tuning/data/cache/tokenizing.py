"""Tokenizes tasks in a subprocess, so that this process imports neither TensorFlow nor SeqIO."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence

from prompt_tuning.data.cache import worker, writer
from prompt_tuning.data.cache.entry import Cache
from prompt_tuning.types import UserError

BUILDER = "prompt_tuning.data.cache.build"


def tokenize_in_subprocess(
    cache: Cache, names: Sequence[str], report: Callable[[str], None]
) -> None:
    """Tokenizes tasks and mixtures into a cache.

    Args:
        cache: The cache.
        names: SeqIO tasks and mixtures.
        report: Receives one line of text for the user at a time.

    Raises:
        UserError: A task or module is unknown, a task fails, or the directory cannot be written.
    """
    writer.check_writable(cache.directory)
    request = {
        "cache_dir": os.path.abspath(cache.directory),
        "names": list(names),
        "vocabulary": os.path.abspath(cache.vocabulary.path),
        "extra_ids": cache.vocabulary.extra_ids,
        "lengths": dict(cache.lengths),
        "modules": list(cache.modules),
        "data_dir": cache.data_dir,
        "tfds_data_dir": cache.tfds_data_dir,
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
    """Reports the builder's messages; returns its error, if any."""
    problem = None
    for line in lines:
        message = json.loads(line)
        if "error" in message:
            problem = message["error"]
        else:
            report(message["message"])
    return problem
