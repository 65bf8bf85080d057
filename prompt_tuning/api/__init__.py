"""The package from Python: open a model, tune prompts, score, answer, save and load.

These functions do what the commands do, with the same objects. What is not given is as the gin
files have it: those of `configs/`, read as the command reads them, so that a model brings its own
prompt length and the like. Every other setting can be given by its name there, as in
`tune(model, task, DROPOUT_RATE=0.1)`.
"""
