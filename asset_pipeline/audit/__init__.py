"""Reads every room's facts: the story of a picture, whether each link still holds, and making it again.

It writes nothing.
"""
