"""The engine around Hugging Face diffusers: one pipeline in memory, pictures by their seed alone."""
