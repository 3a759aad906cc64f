"""How fast a fleet may change: waves that grow, stacks at once, pauses. Rules only: no clock, no calls, no chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["LATER", "Backoff", "Looks", "Pace", "Waves"]

T = TypeVar("T")


@dataclass(frozen=True)
class Waves:
    """Each wave is begun when the one before it is through. The last of `sizes` is that of all further waves.

    >>> [len(wave) for wave in Waves().cut(range(1_000))]
    [1, 5, 25, 100, 400, 400, 69]
    """

    sizes: tuple[int, ...] = (1, 5, 25, 100, 400)
    tolerated: float = 0.1
    """Share of a wave that may fail; one of several always may: a tenant's own fault is no sign of a fleet's."""

    def cut(self, items: Sequence[T]) -> Iterator[Sequence[T]]:
        begin = number = 0
        while begin < len(items):
            size = self.sizes[min(number, len(self.sizes) - 1)]
            yield items[begin : begin + size]
            begin, number = begin + size, number + 1

    def tolerates(self, failures: int, size: int) -> bool:
        """Whether a wave of `size` goes on, and others after it, with so many failures; of one stack, none."""
        return failures <= (max(1, int(size * self.tolerated)) if size > 1 else 0)


LATER = Waves(sizes=(1, 25, 400))
"""In cells after the first, which has shown the change to be sound."""


@dataclass
class Pace:
    """How many stacks may be in work at once: more while the service takes them, fewer when it refuses one.

    Until the first refusal each success adds one, which doubles the limit per round; after it, a quarter of one.
    Refusals within `quiet` seconds, a third of the time that a stack takes, are of the same overload and count once.
    The numbers are those with which the simulation of a fleet (`benchmarks.waves`) is fastest and fails no stack.
    """

    limit: float = 8.0
    least: float = 1.0
    most: float = 40.0
    gap: float = 0.25
    """Seconds between two beginnings: many at once would empty the buckets of every service below."""
    quiet: float = 30.0
    slower: float = 0.75
    faster: float = 0.25
    refused_at: float | None = None

    @property
    def at_once(self) -> int:
        return int(self.limit)

    def succeeded(self) -> None:
        self.limit = min(self.most, self.limit + (1.0 if self.refused_at is None else self.faster))

    def refused(self, now: float) -> None:
        if self.refused_at is None or now - self.refused_at >= self.quiet:
            self.limit, self.refused_at = max(self.least, self.limit * self.slower), now


@dataclass(frozen=True)
class Backoff:
    """Pauses before a refused call is made again: anything up to a bound that doubles, so that callers spread out."""

    first: float = 0.5
    longest: float = 30.0
    tries: int = 10

    def pause(self, refusals: int, draw: float) -> float:
        """Seconds after so many refusals (from 1) of one call; `draw` is even in [0, 1)."""
        return float(draw * min(self.longest, self.first * 2**refusals))


@dataclass(frozen=True)
class Looks:
    """Pauses between two looks at a stack: longer the longer it takes, and the more stacks are looked at."""

    first: float = 0.05
    longest: float = 5.0
    growth: float = 1.5
    per_second: float = 3.0
    """Looks of all stacks together, at most."""

    def pause(self, number: int, in_work: int) -> float:
        """Seconds after look `number` (from 0) while `in_work` stacks are looked at."""
        return max(in_work / self.per_second, min(self.longest, self.first * self.growth ** min(number, 50)))
