"""Dividing examples into training, validation and test sets at random, by class."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence


def divide(
    inputs: Sequence[str], classes: Sequence[str], shares: Mapping[str, float], seed: int
) -> list[str]:
    """Assigns each example to `train` or to another split.

    Each class has its share of every split, rounded so that the sums over classes are right too;
    one example of a class at least is left to train on. Examples of the same input stay together.
    What decides is a hash of the input and the seed, so that an example added to the file moves
    hardly any other, and the order of the file does not matter.

    Args:
        inputs: The input text of each example.
        classes: The class of each example; one class for all where there are none.
        shares: The share of each split but `train`, each in [0, 1).
        seed: Names the division.

    Returns:
        The split of each example.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(inputs):
        groups[text].append(index)
    order = sorted(groups, key=lambda text: hashlib.sha256(f"{seed}\n{text}".encode()).digest())
    sizes = Counter(classes)
    left = Counter({name: size - 1 for name, size in sizes.items()})
    splits = ["train"] * len(inputs)
    placed: set[str] = set()
    for split, share in shares.items():
        wanted = _quotas(sizes, share, left)
        for text in order:
            needed = Counter(classes[index] for index in groups[text])
            if text not in placed and all(wanted[name] >= n for name, n in needed.items()):
                placed.add(text)
                wanted.subtract(needed)
                left.subtract(needed)
                for index in groups[text]:
                    splits[index] = split
    return splits


def _quotas(sizes: Mapping[str, int], share: float, left: Mapping[str, int]) -> Counter[str]:
    """Returns how many examples of each class a split has: shares rounded by largest remainder.

    At least one example is given out where any is left and the share is not 0.
    """
    exact = {name: share * size for name, size in sizes.items()}
    quotas = Counter({name: min(int(value), left[name]) for name, value in exact.items()})
    total = max(round(sum(exact.values())), 1 if share else 0)
    by_remainder = sorted(exact, key=lambda name: (quotas[name] - exact[name], name))
    for name in by_remainder:
        if sum(quotas.values()) < total and quotas[name] < left[name]:
            quotas[name] += 1
    return quotas
