"""The Python interface: open a model, tune prompts, score, answer, save and load.

These functions do what the commands do, with the same objects and the same defaults: those of the
gin files in `configs/`, where each model file may set its own, such as a prompt length. Any other
setting can be given by its gin name, as in `tune(model, task, DROPOUT_RATE=0.1)`.
"""
