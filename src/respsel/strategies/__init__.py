"""Ways to get a response for an example. One file per kind.

A strategy is a generator: it yields lists of requests, is sent their answers, and returns one
Response per example, in order. One that needs no model just returns.
"""

# Raised when a strategy of the same parameters would give another table of responses.
VERSION = 3
