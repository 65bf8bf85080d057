"""Registers with gin everything that the project's gin files bind, and their directory.

import gin
import prompt_tuning.configurables

gin.parse_config_file("runs/train_mini.gin")
"""

import importlib

import gin

from prompt_tuning.cli.commands import COMMANDS, with_variants
from prompt_tuning.cli.gin_files import configs_directory

for _, command in with_variants(COMMANDS):
    importlib.import_module(command.module)

gin.add_config_file_search_path(str(configs_directory()))
