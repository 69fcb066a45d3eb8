"""
The same scenarios against Azure and against the local endpoint, and what differs.

``scenarios`` says what is done, ``arm`` does it and remembers the traffic, ``exchange``, ``compare``,
``questions`` and ``report`` are pure, ``runner`` puts them together. ``aciflow verify`` is its command.
"""
