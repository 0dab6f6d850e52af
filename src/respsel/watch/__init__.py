"""How far a run is, how long the rest takes, and what other processes are told of it."""
