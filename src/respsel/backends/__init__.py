"""What runs a model. One file per engine; each imports its engine only when a model is opened."""
