"""The process in which a user's Python function lives, inside a container.

Speaks the frames and values of ``sdk/protocol`` with the node agent. Standard library only,
Python 3.9 or newer.
"""
