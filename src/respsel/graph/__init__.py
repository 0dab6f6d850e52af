"""A recipe to the graph of its steps.

A step is one operation with one output table. Its key is the digest of the operation, its version,
the parameters that change its output, and the digests of its inputs' content; so a change upstream
that leaves an output the same stops there. Builds steps, does not run them; opens no model.
"""

from respsel.graph.build import build_graph
from respsel.graph.step import STAGES, Graph, Inputs, LazyInputs, Rows, Step

__all__ = ["STAGES", "Graph", "Inputs", "LazyInputs", "Rows", "Step", "build_graph"]
