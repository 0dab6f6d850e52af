"""Scores to a verdict: statistics, gaps, races, and the best response for each example."""
