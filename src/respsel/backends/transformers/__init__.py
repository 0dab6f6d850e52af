"""Models that transformers runs: prefix trees instead of padded batches."""
