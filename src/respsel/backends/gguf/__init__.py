"""What a GGUF file says: its fields, and its tokenizer."""
