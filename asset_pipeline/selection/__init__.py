"""Room 7: verdicts and people's decisions become the chosen images of each prompt.

Every image that is not chosen says why. Decisions are appended by people, from the command line or the
review page; this room reads them and never makes one.
"""
