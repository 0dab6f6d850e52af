"""What a recipe may say, and what is wrong with one, in a user's words."""
