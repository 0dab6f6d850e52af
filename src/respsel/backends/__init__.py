"""What runs a model: one folder per engine, which is imported when a model is opened."""
