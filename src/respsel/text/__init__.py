"""Rules for the texts of others: how they are shown, and what white space counts."""
