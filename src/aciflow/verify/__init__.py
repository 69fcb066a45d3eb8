"""
The same scenarios against Azure and against the local endpoint, and what differs.

``scenarios`` lists what is done (``region``, ``life``, ``running``, ``sessions``, ``refusals``), ``arm`` does
it and remembers the traffic, ``exchange``, ``reading``, ``compare``, ``questions`` and ``report`` are pure,
``runner`` puts them together. ``aciflow verify`` is its command.
"""
