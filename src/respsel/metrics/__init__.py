"""What is measured of a response. One file per family; `base` has the contract and the registry."""
