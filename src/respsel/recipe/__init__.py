"""What a recipe may say, and how what is wrong with it is told."""
