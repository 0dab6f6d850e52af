"""Running a graph: stage by stage, and the result that reads its tables."""
