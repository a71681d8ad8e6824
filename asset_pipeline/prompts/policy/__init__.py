"""What words may not say, and what else keeps a prompt from being made."""
