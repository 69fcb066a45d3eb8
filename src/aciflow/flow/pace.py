"""
When to read ARM, and when to probe.

ARM reads are budgeted (a token bucket per principal and region: 250, refilled at 25 a second, see
https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling) and
ACI never sends Retry-After, so the reads of a launch are planned instead of repeated at a fixed interval.

Let starts have the density f, the survival function S and the hazard h = f / S. Reading with density n(t)
costs E[reads] = ∫ n S dt, and being late costs E[lateness] = ∫ f / (2 n) dt. For any budget the best n is
proportional to sqrt(h): read often while the start is likely now given that it has not happened yet. The
starts of ACI follow a log-logistic distribution well (a peak, then a tail of stuck pulls), whose hazard is
simple: it rises to a peak and falls like 1 / t. Only its two parameters come from data.
"""

from __future__ import annotations

from math import sqrt

from attrs import evolve, frozen


__all__ = ["AZURE", "LOCAL", "LogLogistic", "Pace"]


# No start is that quick: a share of the median.
EARLIEST = 0.1


@frozen
class LogLogistic:
    """
    The distribution of the seconds from an accepted PUT to a started container.

    Attributes:
        median: Seconds.
        shape: The larger, the narrower; above 1.
    """

    median: float
    shape: float

    def hazard(self, t: float) -> float:
        """Starts per second at ``t``, given that there was none before."""
        ratio = t / self.median
        return float(self.shape / self.median * ratio ** (self.shape - 1) / (1 + ratio**self.shape))


@frozen(kw_only=True)
class Pace:
    """
    How often to ask whom.

    Attributes:
        first_read: Seconds from the accepted PUT to the first read.
        starts: What is expected; ``None`` where reads cost nothing and only ``least`` matters.
        scale: The price of lateness against reads: intervals are ``scale / sqrt(hazard)`` seconds.
        least: The shortest interval between reads while ARM is what tells, seconds.
        most: The longest.
        watch_least: The shortest interval while probes tell and ARM only reports failures.
        watch_growth: Each such read comes after this share of the time that has passed.
        watch_most: The longest of these.
        probe: Seconds between the beginnings of two probes.
        inside: Seconds between two commands in the container, which are requests to ARM; also how long
            a container must have run before the first that was not asked for.
        final_read: Whether to read once more when ready, to complete the timeline.
        lines: Seconds between two reads of a log that is followed.
        gone: Seconds between two looks whether what was deleted is gone.
    """

    first_read: float
    starts: LogLogistic | None
    scale: float
    least: float
    most: float
    watch_least: float
    watch_growth: float
    watch_most: float
    probe: float
    inside: float
    final_read: bool
    lines: float
    gone: float

    def sped_up(self, factor: float) -> Pace:
        """The same for a service whose time runs ``factor`` times as fast."""
        starts = self.starts and LogLogistic(self.starts.median / factor, self.starts.shape)
        # Intervals are scale / sqrt(hazard), and the hazard is `factor` times as high.
        seconds = {
            name: getattr(self, name) / factor
            for name in (
                "first_read", "least", "most", "watch_least", "watch_most", "probe", "inside",
                "lines", "gone",
            )
        }  # fmt: skip
        return evolve(self, starts=starts, scale=self.scale / sqrt(factor), **seconds)

    def read_interval(self, since_accepted: float) -> float:
        """Seconds until the next read, while only ARM can tell."""
        if self.starts is None:
            return min(self.most, self.least + 0.02 * since_accepted)
        # The hazard in the middle of the interval, found in two steps. It is 0 at first, when nobody looks.
        earliest = max(self.first_read, self.starts.median * EARLIEST)
        interval = self.scale / sqrt(self.starts.hazard(max(since_accepted, earliest)))
        middle = since_accepted + interval / 2
        interval = self.scale / sqrt(self.starts.hazard(max(middle, earliest)))
        return min(self.most, max(self.least, interval))

    def watch_interval(self, since_accepted: float) -> float:
        """Seconds until the next read, while the container itself is being probed."""
        return min(self.watch_most, max(self.watch_least, self.watch_growth * since_accepted))


# The maximum-likelihood fit of 90 recorded starts (2018 to 2023, test accounts, small images); the scale
# is chosen for about 15 reads. `aciflow bench detection` measures what comes of it.
AZURE = Pace(
    first_read=3.5,
    starts=LogLogistic(median=15.6, shape=2.7),
    scale=0.33,
    least=0.4,
    most=15.0,
    watch_least=3.0,
    watch_growth=0.35,
    watch_most=30.0,
    probe=0.25,
    inside=5.0,
    final_read=False,
    lines=2.0,
    gone=2.0,
)

# A local endpoint has no read budget and starts containers in a fraction of a second.
LOCAL = Pace(
    first_read=0.0,
    starts=None,
    scale=0.0,
    least=0.01,
    most=0.25,
    watch_least=0.25,
    watch_growth=0.0,
    watch_most=0.25,
    probe=0.02,
    inside=0.5,
    final_read=True,
    lines=0.2,
    gone=0.05,
)
