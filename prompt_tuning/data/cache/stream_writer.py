"""Writes the examples of a streamed split to standard output, without end. Run as a module.

`python -m prompt_tuning.data.cache.stream_writer` reads a request as one line of JSON and writes
blocks until its standard input is closed. `stream` starts it.
"""

# The type stubs of TensorFlow and SeqIO lack or contradict much of what the libraries do.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import seqio
import tensorflow as tf

from prompt_tuning.data import tasks
from prompt_tuning.data.cache import preprocess
from prompt_tuning.data.cache.entry import FEATURES
from prompt_tuning.data.cache.stream import write_block, write_failure
from prompt_tuning.data.cached_task import Block
from prompt_tuning.data.datasets.source import DIRECTORIES, DatasetSource
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError

_EXAMPLES = 128  # of a block


def blocks(request: Mapping[str, Any]) -> Iterator[Block]:
    """Yields the examples of a task's training split from example `start` on.

    Raises:
        UserError: The data cannot be read, or a preprocessor fails.
    """
    DIRECTORIES.data_dir, DIRECTORIES.tfds_data_dir = request["data_dir"], request["tfds_data_dir"]
    vocabulary = Vocabulary(request["vocabulary"], request["extra_ids"])
    task: Any = seqio.TaskRegistry.get(request["task"])
    assert isinstance(task.source, DatasetSource) and tasks.CAP
    lengths = request["lengths"]
    with preprocess.one_line_errors(f"task {task.name}"), preprocess.source_failures([task.source]):
        examples = task.source.stream(seed=request["seed"], start=request["start"])
        bound = preprocess.with_vocabulary(task, vocabulary)
        examples = preprocess.preprocessed(bound, examples, lengths)
        for batch in examples.ragged_batch(_EXAMPLES).prefetch(tf.data.AUTOTUNE):
            yield Block(*(preprocess.flat([batch[name]], lengths[name]) for name in FEATURES))


def main() -> int:
    """Serves one request; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles it
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Keeps what libraries print out of the blocks.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        for block in blocks(request):
            write_block(out, block)
    except UserError as error:
        write_failure(out, " ".join(str(error).split()))
        return 2
    return 0


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
