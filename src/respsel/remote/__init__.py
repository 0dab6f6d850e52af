"""Data from a hub or the web, kept in the store; and training sets to a hub."""
