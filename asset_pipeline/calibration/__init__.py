"""Room 6: what people's decisions make of scores: when a gate may decide alone, and when no longer."""
