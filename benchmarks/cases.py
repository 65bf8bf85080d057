"""What is timed, as settings of a run.

Settings that a case does not change come from `configs/`, as for the command `train`.
"""

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from benchmarks.command import Parser, positive
from prompt_tuning.cli import command_config, gin_config, train  # noqa: F401
from prompt_tuning.cli.commands import COMMANDS
from prompt_tuning.data.cached_task import CachedSplit
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.setup import Setup
from prompt_tuning.types import UserError, nearest

_TINY = (  # for tests of the benchmarks
    "T5Config.name = 'tiny'",
    "T5Config.vocab_size = 64",
    "T5Config.emb_dim = 16",
    "T5Config.head_dim = 8",
    "T5Config.num_heads = 2",
    "T5Config.mlp_dim = 24",
    "T5Config.num_encoder_layers = 1",
    "T5Config.num_decoder_layers = 1",
)
MODELS: Mapping[str, str] = {
    "tiny": "t5_1_1_small",
    "t5_mini": "t5_mini",
    "small": "t5_1_1_small",
    "base": "t5_1_1_base",
    "large": "t5_1_1_large",
    "xl": "t5_1_1_xl",
    "xxl": "t5_1_1_xxl",
}
"""Model names that flags accept, with their files in `configs/models/`."""
DTYPES = ("float32", "bfloat16")
_SIZES: Mapping[str, Mapping[str, int]] = {
    "": {"prompt": 100, "inputs": 128, "targets": 8},
    "t5_mini": {"prompt": 16, "inputs": 40, "targets": 4},
}
_MEANINGS = {
    "prompt": "prompt tokens",
    "inputs": "input tokens of every example",
    "targets": "target tokens of every example",
}
CACHE = "~/.cache/prompt_tuning"
"""Where runs keep compiled programs and tokenized tasks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """What is timed.

    Attributes:
        model: A name of `MODELS`; all but `t5_mini` have random weights.
        dtype: Of activations and frozen weights, `float32` or `bfloat16`.
        batch: Examples of an update of one row, B.
        prompt: Prompt tokens, P.
        inputs: Input tokens of every example, T, end of sequence included.
        targets: Target tokens of every example, L, end of sequence included.
        dropout: Probability of zeroing a feature in training.
        cache_dir: Where compiled programs are kept.
    """

    model: str
    dtype: str
    batch: int
    prompt: int
    inputs: int
    targets: int
    dropout: float
    cache_dir: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """The work of a worker; see `our_worker`.

    Attributes:
        case: What is timed.
        rows: Rows that train at the same time.
        generated: Examples of a generation.
    """

    case: Case
    rows: int
    generated: int

    def to_json(self) -> dict[str, Any]:
        """Returns what the worker reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` returned, as text."""
        fields = json.loads(text)
        return cls(case=Case(**fields.pop("case")), **fields)


def add_flags(parser: Parser, model: str, sizes: Sequence[str] = tuple(_MEANINGS)) -> None:
    """Adds the flags of a case: a default model, and the sizes named in `sizes`."""
    names = ", ".join(name for name in MODELS if name != "tiny")
    parser.add_argument("--model", default=model, metavar="NAME", help=f"{names} (default {model})")
    parser.add_argument("--dtype", choices=DTYPES, default=DTYPES[0], help="of all but the prompt")
    parser.number("--batch", 16, "examples of an update")
    default, mini = _SIZES[""], _SIZES["t5_mini"]
    for name in sizes:
        text = f"{_MEANINGS[name]} (default {default[name]}; t5_mini: {mini[name]})"
        parser.add_argument(f"--{name}", type=positive, metavar="N", help=text)
    parser.add_argument(
        "--dropout", type=float, default=0.0, metavar="RATE", help="in training (default 0)"
    )
    parser.add_argument(
        "--cache_dir",
        default=CACHE,
        metavar="DIRECTORY",
        help=f"where compiled programs are kept (default {CACHE})",
    )


def from_flags(flags: argparse.Namespace) -> Case:
    """Returns the case that flags describe.

    Raises:
        UserError: There is no such model, or a number is out of range.
    """
    if flags.model not in MODELS:
        near = nearest(flags.model, MODELS)
        raise UserError(f"--model: no model {flags.model!r}{near}; use {', '.join(MODELS)}")
    if not 0.0 <= flags.dropout < 1.0:
        raise UserError(f"--dropout: {flags.dropout} is not in [0, 1)")
    sizes = _SIZES.get(flags.model, _SIZES[""])
    sizes = {name: vars(flags).get(name) or size for name, size in sizes.items()}
    if min(sizes["inputs"], sizes["targets"]) < 2:
        raise UserError("--inputs, --targets: 1 leaves no token before EOS; use 2 or more")
    given: dict[str, Any] = {**vars(flags), **sizes}
    return Case(**{field.name: given[field.name] for field in dataclasses.fields(Case)})


def described(case: Case) -> dict[str, Any]:
    """Returns a case's settings for a report."""
    return {name: value for name, value in dataclasses.asdict(case).items() if name != "cache_dir"}


def answered_together(case: Case) -> int:
    """Returns the number of examples that a run decodes together."""
    return configured(case)[1].eval_batch_size


def shapes_of(case: Case, splits: Sequence[CachedSplit]) -> list[tuple[int, int]]:
    """Returns the shapes (T, L) that a run pads batches of these splits to."""
    return configured(case)[0].choose_split_shapes(splits)


def configured(case: Case) -> tuple[Setup, TuneConfig]:
    """Returns the settings of a run from gin files, changed by the case."""
    changes = [
        *(_TINY if case.model == "tiny" else ()),
        f"COMPUTE_DTYPE = {case.dtype!r}",
        f"PARAM_DTYPE = {case.dtype!r}",
        f"PROMPT_LENGTH = {case.prompt}",
        f"DROPOUT_RATE = {case.dropout}",
        f"BATCH_SIZE = {case.batch}",
        f"CACHE_DIR = {case.cache_dir!r}",
        "MODEL_DIR = 'unused'",
        "MIXTURE_OR_TASK_NAME = 'unused'",
    ]
    files = [f"models/{MODELS[case.model]}.gin", "prompts/sampled_vocab.gin"]
    config = command_config.read_command_config("train", COMMANDS["train"], files, changes, [])
    arguments = gin_config.build_arguments(config, "train")
    return arguments["run"].setup, arguments["run"].tuning
