"""Jinja2 templates of users and models, compiled and filled within bounds of time and memory."""
