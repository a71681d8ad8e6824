"""What others may reach over HTTP: the receiver of providers' webhooks. Keeps facts, and decides nothing."""
