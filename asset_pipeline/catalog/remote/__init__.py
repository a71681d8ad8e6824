"""Photographs that feeds name by URL: fetched politely, from public hosts alone, and kept like any other."""
