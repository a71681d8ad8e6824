"""Vendors on this machine: each behaves as its API is described, and keeps books of what it was paid for."""
