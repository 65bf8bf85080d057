"""Subprocesses that run TensorFlow, so that a training process need not."""

import os
import signal
import sys
from collections.abc import Mapping
from typing import IO


def environment() -> Mapping[str, str]:
    """Returns the environment of a subprocess: the same module path, and no accelerator."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",  # TensorFlow must not take the accelerator's memory
        "JAX_PLATFORMS": "cpu",
    }


def last_line(log: IO[str], status: int) -> str:
    """Returns why a subprocess ended: the signal that killed it, or the last line of its log."""
    if status < 0:
        return f"it was ended by {signal.Signals(-status).name}; there may be too little memory"
    log.seek(0)
    lines = [line.strip() for line in log if line.strip()] or [f"exit status {status}"]
    return lines[-1]
