"""
For tests of what is built on aciflow, and of aciflow itself.

:mod:`aciflow.testing.simulator` runs whole launches against a simulated ACI on a virtual clock, with faults
if asked for: hours of Azure in a second, the same from the same seed.
"""
