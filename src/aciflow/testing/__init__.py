"""
For tests of what is built on aciflow or on Azure Container Instances, and of aciflow itself.

:mod:`aciflow.testing.plugin` is a plugin of pytest: its fixture ``aci`` is an endpoint of each test's own.
:mod:`aciflow.local.faults` says what can go wrong there.

:mod:`aciflow.testing.simulator` runs whole launches against a simulated ACI on a virtual clock, with faults
if asked for: hours of Azure in a second, the same from the same seed.
"""
