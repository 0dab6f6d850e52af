"""What is measured of a response. One file per family; `base` has the contract and the registry."""

# Raised when scores are gathered otherwise; each metric has a version of its own besides.
VERSION = 2
