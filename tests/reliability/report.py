"""The table that a harness prints: faults x points x losses, the seed, and how to do it again."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field


@dataclass
class Row:
    """One kind of fault at one point."""

    fault: str
    point: str
    fired: int = 0
    acknowledged: int = 0  # dispatches or records between the faults
    lost: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # until all was well again
    first: list[float] = field(default_factory=list)  # until it was noticed, where that is measured


@dataclass
class Report:
    """Rows by fault and point; ``replay`` is the command that does it all again."""

    name: str
    seed: int
    replay: str
    measure: str = "ready (s)"
    before: str = ""  # another measure, of what comes first
    decimals: int = 2  # of seconds
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def row(self, fault: str, point: str) -> Row:
        return self.rows.setdefault((fault, point), Row(fault, point))

    @property
    def wrong(self) -> list[str]:
        return [f"{row.fault} at {row.point}: {text}" for row in self.rows.values() for text in row.wrong]

    @property
    def fired(self) -> int:
        return sum(row.fired for row in self.rows.values())

    @property
    def acknowledged(self) -> int:
        return sum(row.acknowledged for row in self.rows.values())

    def seconds(self) -> list[float]:
        return sorted(s for row in self.rows.values() for s in row.seconds)

    def text(self) -> str:
        """The table as Markdown."""
        lines = [
            f"### {self.name}", "",
            f"| fault | point | fired | acknowledged | lost or wrong |{self._first(self.before)} {self.measure} p50 | max |",
            f"|---|---|--:|--:|--:|{'--:|--:|' if self.before else ''}--:|--:|",
        ]  # fmt: skip
        for row in self.rows.values():
            lines.append(
                f"| {row.fault} | {row.point} | {row.fired} | {row.acknowledged} | {len(row.wrong)} |"
                f"{self._measured(row.first)} {_median(row.seconds, self.decimals)} | {_most(row.seconds, self.decimals)} |"
            )
        every = self.seconds()
        lines.append(
            f"| **all** | | {self.fired} | {self.acknowledged} | {len(self.wrong)} |"
            f"{self._measured([s for row in self.rows.values() for s in row.first])} {_median(every, self.decimals)} | {_most(every, self.decimals)} |"
        )
        p99 = f"; {self.measure} p99 {every[int(0.99 * (len(every) - 1))]:.2f}" if every else ""
        lines += ["", f"Seed {self.seed}, {time.monotonic() - self.began:.0f} s{p99}. Again: `{self.replay}`", ""]
        lines += [f"- {text}" for text in self.wrong]
        return "\n".join(lines)

    def _first(self, name: str) -> str:
        return f" {name} p50 | max |" if name else ""

    def _measured(self, first: list[float]) -> str:
        return f" {_median(first)} | {_most(first)} |" if self.before else ""

    def check(self) -> None:
        """AssertionError with the table and the command, unless everything fired and nothing is wrong."""
        print("\n" + self.text(), flush=True)
        silent = [f"{row.fault} at {row.point} never fired" for row in self.rows.values() if not row.fired]
        assert not silent, f"{silent}\nagain: {self.replay}"
        assert not self.wrong, "\n".join([*self.wrong, f"again: {self.replay}"])


def _median(values: list[float], decimals: int = 2) -> str:
    return f"{statistics.median(values):.{decimals}f}" if values else ""


def _most(values: list[float], decimals: int = 2) -> str:
    return f"{max(values):.{decimals}f}" if values else ""
