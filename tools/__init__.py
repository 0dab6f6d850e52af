"""What the repository needs and the package does not: the documentation's reference and site."""
