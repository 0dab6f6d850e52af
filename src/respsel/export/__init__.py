"""A training set to files that trainers take, with a card that says where it came from."""
