"""Reports of benchmarks: a table with the machine under it, and the same as JSON."""

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from prompt_tuning.types import UserError

Cell = str | int | float | None
_PACKAGES = ("jax", "flax")


@dataclasses.dataclass(frozen=True)
class Machine:
    """Where a benchmark ran, and when.

    Attributes:
        processor: Model of the CPU.
        cores: Cores this process may use.
        card: The accelerator, None without one.
        date: Day of the run, as `2026-01-31`.
        versions: Of Python and of the packages of all sides.
    """

    processor: str
    cores: int
    card: str | None
    date: str
    versions: Mapping[str, str]

    def __str__(self) -> str:
        """Returns all of it in one line."""
        where = self.card or f"{self.processor}, {self.cores} cores"
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{where}; {self.date}; {versions}"


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of a benchmark.

    Attributes:
        name: The benchmark.
        machine: Where it ran.
        settings: What was measured.
        lines: Lines of the table: cells by column, the same columns in each.
        note: A line below the table.
    """

    name: str
    machine: Machine
    settings: Mapping[str, Any]
    lines: Sequence[Mapping[str, Cell]]
    note: str = ""

    def show(self, console: Console) -> None:
        """Prints the table."""
        table = Table(box=SIMPLE_HEAD, show_edge=False)
        for column, cell in self.lines[0].items():
            table.add_column(column, justify="left" if isinstance(cell, str) else "right")
        for line in self.lines:
            table.add_row(*map(_written, line.values()))
        below = [self.note] if self.note else []
        for part in (self.title, table, *below, str(self.machine)):
            console.print(part, highlight=False, markup=False, soft_wrap=isinstance(part, str))

    @property
    def title(self) -> str:
        """The benchmark and what it measured."""
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"{self.name}: {settings}"

    def write(self, path: Path) -> None:
        """Writes all of it as JSON, with unrounded numbers.

        Raises:
            UserError: The file cannot be written.
        """
        text = json.dumps(dataclasses.asdict(self), indent=2) + "\n"
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {path} ({error.strerror}); set --output") from error


def machine(card: str | None = None, versions: Mapping[str, str] | None = None) -> Machine:
    """Describes the machine of this process.

    Args:
        card: The accelerator, as a worker names it.
        versions: Of the other side's packages.
    """
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        card=card,
        date=datetime.date.today().isoformat(),
        versions={"Python": platform.python_version(), **found, **(versions or {})},
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _written(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:#.3g}".removesuffix(".")
    return f"{cell:,}" if isinstance(cell, int) else cell
