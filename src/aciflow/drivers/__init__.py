"""
What drives the flows: the only place that sleeps, waits or looks at a clock.

:mod:`~aciflow.drivers.sync` (a small thread pool), :mod:`~aciflow.drivers.aio` (asyncio) and
:mod:`~aciflow.drivers.simulated` (a heap of events on a virtual clock) run the same flows.
"""
