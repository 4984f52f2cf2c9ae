"""A Compute in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from scenejobs.adapters.memory.clock import Clock, system_clock
from scenejobs.ports import Execution


@dataclass
class MemoryCompute:
    """See scenejobs.ports.Compute. Executions live until `finish` is called; `fail_with` makes the next starts fail."""

    clock: Clock = system_clock
    executions: list[Execution] = field(default_factory=list)
    starts: int = 0
    fail_with: list[Exception] = field(default_factory=list)

    def start(self) -> str:
        if self.fail_with:
            raise self.fail_with.pop(0)
        self.starts += 1
        name = f"execution-{self.starts}"
        self.executions.append(Execution(name, "Running", self.clock()))
        return name

    def live(self) -> tuple[Execution, ...]:
        return tuple(self.executions)

    def stop(self, name: str) -> None:
        self.finish(name)

    def finish(self, name: str) -> None:
        self.executions = [execution for execution in self.executions if execution.name != name]
