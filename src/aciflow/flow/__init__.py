"""
Launch, wait, delete, run: generators that say what they need next and are sent what came of it.

Nothing in this package does I/O, sleeps, or looks at a clock or at a source of randomness of its own;
:mod:`aciflow.flow.effects` has the words it uses to ask for them.
"""
