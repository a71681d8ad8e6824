"""An attempt at a provider: submitted once, followed, fetched and verified."""
