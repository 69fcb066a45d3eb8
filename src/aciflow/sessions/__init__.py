"""
Sessions in a container: a command run to its end, its terminal, its output.

ACI's exec gives the stream of a terminal, takes one word as its command and tells no exit status. So a
command goes through a shell of the container where there is one. :mod:`~aciflow.sessions.shell` and
:mod:`~aciflow.sessions.talk` are pure; :mod:`~aciflow.sessions.sync` and :mod:`~aciflow.sessions.aio` do
what they ask for, and :mod:`~aciflow.sessions.wire` knows the WebSocket.
"""
