"""Models behind an endpoint that speaks the protocol of OpenAI."""
