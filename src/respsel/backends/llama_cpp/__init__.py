"""Models that llama.cpp runs."""
