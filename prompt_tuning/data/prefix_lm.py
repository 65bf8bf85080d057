"""The prefix LM objective on running text, as a SeqIO preprocessor."""

# The type stubs of TensorFlow lack or contradict much of what the library does.
# pyright: reportArgumentType=false, reportOperatorIssue=false

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

DRAW = "draw"
"""A feature with the seed and the number of an example, which decide what is drawn for it."""

TARGET_TOKENS = "target_tokens"
"""A feature with the number of target tokens, end of sequence included."""


def prefix_lm(
    dataset: tf.data.Dataset, sequence_length: Mapping[str, int], output_features: Any
) -> tf.data.Dataset:
    """Cuts the tokens of `targets` into inputs and targets (Raffel et al. 2020, section 3.3.1).

    A text longer than the inputs is cut into chunks of that length, of which one is drawn; a chunk
    of n tokens is cut after its first 1 to n - 1, each as likely as the others. T5's own pipeline
    goes on with every chunk of a text; one for each text makes example i one of text i. Targets
    beyond their length are left out.

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
        prefix = tf.minimum(prefix, tf.maximum(size - 1, 0))  # one token is the targets'
        targets = chunk[prefix:][:kept]
        return {"inputs": chunk[:prefix], "targets": targets, TARGET_TOKENS: tf.size(targets) + 1}

    return dataset.map(cut, num_parallel_calls=tf.data.AUTOTUNE)


def _draw(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform([], seed=seed, minval=0, maxval=count, dtype=tf.int32)
