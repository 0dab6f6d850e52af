"""respsel: which responses should a language model be fine-tuned on, known before any fine-tuning."""

__version__ = "0.1.0"
