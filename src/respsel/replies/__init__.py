"""What servers answer: texts, how they ended, and what an error says."""
