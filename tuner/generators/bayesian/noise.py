"""What is believed of the noise beforehand: its variance in shares of the signal's, as a logarithm."""

import math
from dataclasses import dataclass

__all__ = ["SMOOTH", "UNKNOWN", "USUAL", "NoisePrior"]


@dataclass(frozen=True)
class NoisePrior:
    """A mixture of normal distributions, one for each kind of loss there may be.

    Attributes:
        center: location of one normal distribution as wide as all, which draws are proposed from.
        spread: its scale.
        kinds: of each its share, location and scale.
        least: the least share there may be, > 0; no logarithm.
    """

    center: float
    spread: float
    kinds: tuple[tuple[float, float, float], ...]
    least: float = 1e-7

    @property
    def jitter(self) -> float:
        """Added to the noise, so that the covariance of points that coincide can still be factored."""
        return self.least / 10

    def correction(self, noise: float) -> tuple[float, float]:
        """The log density of the mixture over that of the one distribution, and the slope of this."""
        if self.kinds == ((1.0, self.center, self.spread),):
            return 0.0, 0.0
        logs = [
            math.log(share * self.spread / scale) - _half(noise, at, scale) for share, at, scale in self.kinds
        ]
        most = max(logs)
        parts = [math.exp(log - most) for log in logs]
        pulls = [(at - noise) / scale**2 for _, at, scale in self.kinds]
        pull = sum(part * pull for part, pull in zip(parts, pulls, strict=True)) / sum(parts)
        value = most + math.log(sum(parts)) + _half(noise, self.center, self.spread)
        return value, pull + (noise - self.center) / self.spread**2


def _half(noise: float, location: float, scale: float) -> float:
    return ((noise - location) / scale) ** 2 / 2


USUAL = NoisePrior(-6.0, 1.5, ((1.0, -6.0, 1.5),))
"""A quarter of a percent, give or take a factor of 4.5."""

UNKNOWN = NoisePrior(-4.0, 2.0, ((1.0, -4.0, 2.0),))
"""Two percent, give or take a factor of 7: for a report, which must not take noise for what mattered.

A search may take noise at its word, since it measures next what that promises.
"""

SMOOTH = NoisePrior(-11.0, 5.0, ((0.1, -6.0, 1.5), (0.9, -14.0, 3.0)), least=1e-10)
"""Next to none, most likely: for losses that bend without a step. A tenth keeps to the usual.

A bowl is best learned with long length scales, of a variance far above what was seen of it, beside which the
usual noise blurs the bottom. And a noisy loss is not taken at its word.
"""
