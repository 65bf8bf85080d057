"""Registers with gin the classes that several commands use.

The module of each command imports this one, and registers the classes that only it uses.
"""

import gin

from prompt_tuning.data.task_file import TaskFile
from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.family import FAMILIES
from prompt_tuning.models.scoring import Rank
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.parameterizations.whole_model import WholeModel
from prompt_tuning.prompts.initializers import (
    ClassLabels,
    FromFile,
    FromText,
    Pretrained,
    SampledVocab,
    Uniform,
)
from prompt_tuning.training.adafactor import Adafactor
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.schedule import Schedule, SourceStage
from prompt_tuning.training.setup import Setup
from prompt_tuning.training.step import StepConfig

for configurable in (
    Adafactor,
    ClassLabels,
    FromFile,
    FromText,
    Greedy,
    Pretrained,
    PromptTable,
    Rank,
    SampledVocab,
    Schedule,
    Setup,
    SourceStage,
    StepConfig,
    TaskFile,
    TuneConfig,
    Uniform,
    WholeModel,
    *(family.config for family in FAMILIES.values()),
):
    gin.external_configurable(configurable)
