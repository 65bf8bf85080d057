"""The prefix LM objective on running text, as a SeqIO preprocessor."""

# The type stubs of TensorFlow lack or contradict much of what the library does.
# pyright: reportArgumentType=false, reportOperatorIssue=false

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

DRAW = "draw"
"""The feature with the seed and number of an example, which seed its random choices."""

TARGET_TOKENS = "target_tokens"
"""The feature with the number of target tokens, end of sequence included."""


def prefix_lm(
    dataset: tf.data.Dataset, sequence_length: Mapping[str, int], output_features: Any
) -> tf.data.Dataset:
    """Cuts the tokens of `targets` into inputs and targets (Raffel et al. 2020, section 3.3.1).

    A text is cut into chunks of the input length, and one chunk is drawn. A chunk of n tokens is
    split after 1 to n - 1 tokens, drawn uniformly. T5's own pipeline keeps all chunks of a text;
    here example i comes from text i. Targets are truncated to their length.

    Args:
        dataset: Examples with `targets`, token ids `[n]`, and `draw`.
        sequence_length: The most tokens of each feature, end of sequence included.
        output_features: Not used.
    """
    del output_features
    most, kept = sequence_length["inputs"] - 1, sequence_length["targets"] - 1

    def cut(example: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        seeds = tf.random.split(tf.reshape(example[DRAW], [2]), 2)
        text = example["targets"]
        chunks = tf.maximum(-(-tf.size(text) // most), 1)
        start = most * _draw(chunks, seeds[0])
        chunk = text[start : start + most]
        size = tf.size(chunk)
        prefix = 1 + _draw(tf.maximum(size - 1, 1), seeds[1])
        prefix = tf.minimum(prefix, tf.maximum(size - 1, 0))  # a single token goes to the targets
        targets = chunk[prefix:][:kept]
        return {"inputs": chunk[:prefix], "targets": targets, TARGET_TOKENS: tf.size(targets) + 1}

    return dataset.map(cut, num_parallel_calls=tf.data.AUTOTUNE)


def _draw(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform([], seed=seed, minval=0, maxval=count, dtype=tf.int32)
