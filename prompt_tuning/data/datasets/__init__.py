"""The published datasets of the three papers, declared without TensorFlow."""
