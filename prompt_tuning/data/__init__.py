"""SeqIO tasks and mixtures, the tokenized cache, the input pipeline and metrics."""
