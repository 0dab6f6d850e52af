"""Rules for the texts of others: how they are shown, what white space and tags they have."""
