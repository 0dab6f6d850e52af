"""From responses to evidence and scores."""
