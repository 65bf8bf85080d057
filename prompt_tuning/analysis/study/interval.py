"""Bootstrap intervals, seeded, so that the same numbers give the same interval."""

import dataclasses

import numpy as np

RESAMPLES = 2_000
CONFIDENCE = 0.95
_SEED = 20221


@dataclasses.dataclass(frozen=True)
class Interval:
    """The ends of a bootstrap interval."""

    low: float
    high: float


def generator() -> np.random.Generator:
    """Returns the random numbers of one interval."""
    return np.random.default_rng(_SEED)


def percentile_interval(values: np.ndarray, n: int) -> Interval | None:
    """Returns the interval that resampled values span; None where less than half are finite.

    Few things to resample make plain percentiles too narrow. So the ends are those at
    `Phi(-sqrt(n / (n - 1)) t)`, with t the quantile of Student's distribution that `CONFIDENCE`
    asks for, and at 1 minus that (Hesterberg 2015, the expanded percentile interval).

    Args:
        values: What each resample gave, `[R]`; NaN where it gave nothing.
        n: How many things are resampled, at least 2.
    """
    # SciPy's statistics take half a second to import, which every command would wait for.
    from scipy import stats

    finite = values[np.isfinite(values)]
    if 2 * finite.size < max(values.size, 1):
        return None
    quantile = stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)
    tail = stats.norm.cdf(-quantile * (n / (n - 1)) ** 0.5)
    low, high = np.quantile(finite, [tail, 1 - tail])
    return Interval(float(low), float(high))


def mean_interval(values: np.ndarray) -> Interval | None:
    """Returns the interval of the mean over groups of the means within them.

    Groups are resampled, and the members within each. None for fewer than two groups with values.

    Args:
        values: Groups and their members, such as targets and seeds, `[T, J]`; NaN where there is
            none.
    """
    groups = [row[np.isfinite(row)] for row in values]
    groups = [row for row in groups if row.size]
    if len(groups) < 2:
        return None
    sizes = np.array([row.size for row in groups])
    padded = np.zeros((len(groups), sizes.max()))
    for row, members in zip(padded, groups, strict=True):
        row[: members.size] = members
    rng = generator()
    drawn = rng.integers(len(groups), size=(RESAMPLES, len(groups)))
    places = rng.random((*drawn.shape, padded.shape[1])) * sizes[drawn][..., None]
    members = padded[drawn[..., None], places.astype(np.int64)]
    counted = np.arange(padded.shape[1]) < sizes[drawn][..., None]
    means = (members * counted).sum(axis=-1) / sizes[drawn]
    return percentile_interval(means.mean(axis=-1), len(groups))
