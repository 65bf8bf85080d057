"""Makes the environment of the peer, PEFT, apart from this project's.

    python -m benchmarks.peer
    python -m benchmarks.peer --peer_env /tmp/peft

pip installs the packages from its configured index. CPU-only builds of torch are much smaller.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import backbones, command
from benchmarks.cases import Case
from benchmarks.workers import Worker
from prompt_tuning.types import UserError

REQUIREMENTS = ("torch==2.13.*", "transformers>=5.23,<6", "peft==0.21.*")
DEFAULT = "~/.cache/prompt_tuning/benchmarks/peft-0.21"
_CHECK = """
from importlib.metadata import version
print(version("torch"), version("transformers"), version("peft"))
"""


def add_flags(parser: command.Parser) -> None:
    """Adds the flags that choose the peer's environment."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--peer_python", type=Path, metavar="PATH", help="a Python with PEFT")
    place.add_argument(
        "--peer_env",
        type=Path,
        default=Path(DEFAULT),
        metavar="DIRECTORY",
        help=f"PEFT's environment, made if it is missing (default {DEFAULT})",
    )
    place.add_argument("--no_peer", action="store_true", help="measure this project alone")


def find(flags: argparse.Namespace) -> Path | None:
    """Returns the peer's Python that flags choose; None with `--no_peer`.

    Raises:
        UserError: It has no PEFT, or its environment cannot be made.
    """
    if flags.no_peer:
        return None
    if flags.peer_python is None:
        return ensure(flags.peer_env.expanduser())
    if not has_peft(flags.peer_python):
        raise UserError(
            f"--peer_python {flags.peer_python} has no torch, transformers and peft 0.21; "
            "give another, or omit --peer_python to make an environment"
        )
    return flags.peer_python


def ensure(folder: Path) -> Path:
    """Returns the Python of the peer's environment, and makes it if it is missing.

    Raises:
        UserError: It cannot be made.
    """
    python = folder / "bin" / "python"
    if not has_peft(python):
        Console(stderr=True).print(f"making the environment of PEFT in {folder}", highlight=False)
        _do([sys.executable, "-m", "venv", str(folder)], folder)
        _do([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS], folder)
    return python


def has_peft(python: Path) -> bool:
    """Returns whether an interpreter has all that the peer's worker imports."""
    try:
        found = subprocess.run([python, "-c", _CHECK], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return found.returncode == 0 and found.stdout.split()[-1].startswith("0.21.")


def start(
    python: Path,
    case: Case,
    *,
    generated: int,
    answered_together: int,
    batches_file: Path | None = None,
) -> Worker:
    """Starts the peer's worker on a case.

    Args:
        python: The peer's Python.
        case: What is timed.
        generated: Examples of a generation.
        answered_together: Examples per batch of a generation.
        batches_file: Padded batches to train on; None for random ones.
    """
    shape = backbones.model_config(case)
    settings: dict[str, Any] = {
        "vocab_size": shape.vocab_size,
        "emb_dim": shape.emb_dim,
        "head_dim": shape.head_dim,
        "mlp_dim": shape.mlp_dim,
        "num_heads": shape.num_heads,
        "num_encoder_layers": shape.num_encoder_layers,
        "num_decoder_layers": shape.num_decoder_layers,
        "dtype": case.dtype,
        "dropout": case.dropout,
        "batch": case.batch,
        "prompt": case.prompt,
        "inputs": case.inputs,
        "targets": case.targets,
        "generated": generated,
        "answered_together": answered_together,
        "batches_file": None if batches_file is None else str(batches_file),
    }
    # Silences messages about hubs and devices.
    return Worker("PEFT", "benchmarks.peft_worker", settings, python=python, environment=_QUIET)


_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def _do(words: Sequence[str], folder: Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UserError(
            f"cannot make the environment of PEFT in {folder}: {said[-1] if said else 'silent'}; "
            "set --peer_env, --peer_python or --no_peer"
        )


def main(words: Sequence[str] | None = None) -> int:
    """Makes the environment and prints the path of its Python; returns the exit status."""
    parser = command.Parser("peer", __doc__)
    add_flags(parser)
    try:
        python = find(parser.parse_args(words))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
