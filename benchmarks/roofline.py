"""Measures how much of the matrix-multiply limit a training step and an evaluation reach.

    python -m benchmarks.roofline
    python -m benchmarks.roofline --model base --dtype bfloat16

The limit is the best rate of a matrix product in JAX on this machine, over several shapes and
turns. Operations are counted from shapes (`benchmarks/operations.py`); padding counts.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp

from benchmarks import backbones, cases, command, operations, ours
from benchmarks.cases import Case
from benchmarks.report import Cell, Report, machine
from benchmarks.turns import Activity

Product = tuple[int, int, int]
"""The sizes (m, k, n) of a product of [m, k] and [k, n]."""

_SQUARES = {"cpu": (1024, 2048, 4096)}
_LARGE_SQUARES = (4096, 8192, 16384)


@dataclasses.dataclass(frozen=True)
class Limit:
    """The best rate of a matrix product, in operations per second, and the product's sizes."""

    rate: float
    product: Product


def main(words: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = command.Parser("roofline", __doc__)
    cases.add_flags(parser, "small")
    parser.number("--generated", 64, "examples of an evaluation")
    parser.seconds("--seconds", 3, "of a turn of each activity, roughly")
    parser.number("--turns", 5, "turns of every measurement")
    parser.add_argument(
        "--squares",
        type=_sizes,
        metavar="N,N",
        help="sizes of the square matrices to multiply (the default depends on the device)",
    )
    return command.run(parser, measure, words)


def measure(flags: argparse.Namespace) -> Report:
    """Measures the limits and both activities, in turns."""
    case = cases.from_flags(flags)
    opened = ours.open_case(case, 1)
    squares = flags.squares or _SQUARES.get(jax.default_backend(), _LARGE_SQUARES)
    config = backbones.model_config(case)
    sizes = operations.Sizes(case.batch, case.prompt, case.inputs, case.targets)
    work = {
        "training": operations.training(config, sizes),
        "greedy evaluation": operations.greedy(
            config, dataclasses.replace(sizes, batch=flags.generated)
        ),
    }
    run = _activities(case, opened, flags.generated)
    counts = {name: _count(activity, flags.seconds) for name, activity in run.items()}
    shapes = list(_products(squares, sizes, config.emb_dim, config.mlp_dim))
    limits: dict[str, Limit] = dict.fromkeys(cases.DTYPES, Limit(0.0, shapes[0]))
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(flags.turns):
        for dtype, limit in limits.items():
            limits[dtype] = max(limit, _limit(shapes, dtype), key=lambda each: each.rate)
        for name, activity in run.items():
            seconds[name].append(_seconds(activity, counts[name]) / counts[name])
    limit = limits[case.dtype]
    rates = {name: work[name] / statistics.median(seconds[name]) for name in work}
    lines = [_limit_line(dtype, each) for dtype, each in limits.items()]
    lines += [
        _line(name, work[name], statistics.median(seconds[name]), rates[name] / limit.rate)
        for name in work
    ]
    return Report(
        "roofline",
        machine(ours.card()),
        {**cases.described(case), "generated": flags.generated},
        lines,
        f"share: of the {case.dtype} limit, over products "
        + ", ".join("x".join(map(str, shape)) for shape in shapes),
    )


def _activities(case: Case, opened: ours.Opened, generated: int) -> dict[str, Activity]:
    shapes = [(case.inputs, case.targets)]
    training = ours.Training(opened, case, shapes, 1)
    batches = ours.batches(case, ours.examples(case, 8 * case.batch), shapes, 0)
    generation = ours.Generation(opened, case)
    prompts = ours.examples(case, generated, seed=1)

    def generate(times: int) -> None:
        for _ in range(times):
            generation.run(prompts)

    return {
        "training": lambda steps: ours.train((training, [batches.next()]) for _ in range(steps)),
        "greedy evaluation": generate,
    }


def _count(activity: Activity, seconds: float) -> int:
    """Returns how many times a warm activity fits into `seconds`."""
    activity(1)
    return max(1, round(seconds / _seconds(activity, 1)))


def _products(
    squares: Sequence[int], sizes: operations.Sizes, width: int, mlp: int
) -> Iterator[Product]:
    """Yields the products among which the limit is sought: squares, and those of the MLP."""
    yield from ((size, size, size) for size in squares)
    tokens = sizes.batch * (sizes.prompt + sizes.inputs)
    yield tokens, width, mlp
    yield tokens, mlp, width


def _limit(shapes: Sequence[Product], dtype: str) -> Limit:
    """Returns the best rate over the products, each measured once or more when warm."""
    return max((_rate(shape, dtype) for shape in shapes), key=lambda limit: limit.rate)


def _rate(shape: Product, dtype: str) -> Limit:
    m, k, n = shape
    left, right = jax.random.split(jax.random.key(0))
    a = jax.random.normal(left, (m, k), jnp.dtype(dtype))
    b = jax.random.normal(right, (k, n), jnp.dtype(dtype))
    product = jax.jit(jnp.matmul)

    def multiply(times: int) -> None:
        for _ in range(times):
            product(a, b).block_until_ready()

    repeats = min(_count(multiply, 0.1), 50)
    return Limit(max(2 * m * k * n / _seconds(multiply, 1) for _ in range(repeats)), shape)


def _seconds(activity: Activity, count: int) -> float:
    began = time.perf_counter()
    activity(count)
    return time.perf_counter() - began


def _limit_line(dtype: str, limit: Limit) -> dict[str, Cell]:
    product = "x".join(map(str, limit.product))
    m, k, n = limit.product
    return _line(f"{dtype} product {product}", 2 * m * k * n, 2 * m * k * n / limit.rate, None)


def _line(name: str, work: int, seconds: float, share: float | None) -> dict[str, Cell]:
    return {
        "activity": name,
        "GFLOP": work / 1e9,
        "seconds": seconds,
        "GFLOP/s": work / seconds / 1e9,
        "share": share,
    }


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(command.positive(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
