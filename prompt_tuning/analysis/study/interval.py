"""Bootstrap intervals with a fixed seed: the same numbers give the same interval."""

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
    """Returns the random number generator of one interval."""
    return np.random.default_rng(_SEED)


def percentile_interval(values: np.ndarray, n: int) -> Interval | None:
    """Returns the interval of resampled values; None where less than half of them are finite.

    With few items to resample, plain percentiles are too narrow. So the ends are the percentiles
    `Phi(-sqrt(n / (n - 1)) t)` and 1 minus that, where t is the quantile of Student's distribution
    for `CONFIDENCE` (Hesterberg 2015, the expanded percentile interval).

    Args:
        values: The statistic on each resample, `[R]`; NaN where it is undefined.
        n: Number of items that are resampled, at least 2.
    """
    # SciPy's statistics take half a second to import, which would delay every command.
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

    Resamples groups, and the members within each. None for fewer than two groups with values.

    Args:
        values: Members by group, such as seeds by target, `[T, J]`; NaN where there is none.
    """
    groups = [group[np.isfinite(group)] for group in values]
    groups = [group for group in groups if group.size]
    if len(groups) < 2:
        return None
    sizes = np.array([group.size for group in groups])
    padded = np.zeros((len(groups), sizes.max()))
    for place, group in zip(padded, groups, strict=True):
        place[: group.size] = group
    rng = generator()
    drawn = rng.integers(len(groups), size=(RESAMPLES, len(groups)))
    places = rng.random((*drawn.shape, padded.shape[1])) * sizes[drawn][..., None]
    members = padded[drawn[..., None], places.astype(np.int64)]
    counted = np.arange(padded.shape[1]) < sizes[drawn][..., None]
    means = (members * counted).sum(axis=-1) / sizes[drawn]
    return percentile_interval(means.mean(axis=-1), len(groups))
