"""What is measured of a response.

One file per family; `contract` says what a metric is, `registry` which there are.
"""

# Raised when scores are gathered differently; each metric has a version of its own, too.
VERSION = 2
