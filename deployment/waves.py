"""How fast a fleet may change: waves that grow, stacks at once, pauses. Rules only: no clock, no calls, no chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

__all__ = ["Backoff", "Looks", "Pace", "Waves"]

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


@dataclass
class Pace:
    """How many stacks may be in work at once: more while the service takes them, half when it refuses one.

    Until the first refusal each success adds one, which doubles the limit per round; after it a whole round adds one.
    Refusals within `quiet` seconds are of the same overload and halve once.
    """

    limit: float = 8.0
    least: float = 1.0
    most: float = 64.0
    quiet: float = 5.0
    halved_at: float | None = field(default=None)

    @property
    def at_once(self) -> int:
        return int(self.limit)

    def succeeded(self) -> None:
        self.limit = min(self.most, self.limit + (1.0 if self.halved_at is None else 1.0 / self.limit))

    def refused(self, now: float) -> None:
        if self.halved_at is None or now - self.halved_at >= self.quiet:
            self.limit, self.halved_at = max(self.least, self.limit / 2), now


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
    per_second: float = 5.0
    """Looks of all stacks together, at most."""

    def pause(self, number: int, in_work: int) -> float:
        """Seconds after look `number` (from 0) while `in_work` stacks are looked at."""
        return max(in_work / self.per_second, min(self.longest, self.first * self.growth ** min(number, 50)))
