"""Methods of a transfer study, as named in `results.json` (Vu et al. 2022, section 4)."""

EMBEDDING = "task_embedding"
AVERAGE = "top_k_weighted_average"
MIXTURE = "top_k_multitask_mixture"
