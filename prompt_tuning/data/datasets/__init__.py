"""The published datasets of the three papers, as declarations that need no TensorFlow."""
