"""Results as lines for a terminal."""
