"""SeqIO tasks and mixtures, the tokenised cache, the input pipeline and metrics."""
