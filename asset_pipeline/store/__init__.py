"""The shelves: facts are appended, state is derived. Knows nothing of products or votes.

Tables hold what a materialisation wrote, events hold what happened at a moment, images hold bytes by
their hash. All three are plain files on a local disk or S3, written once and never changed, so any
number of processes write at the same time. Rooms bring their own tables and event streams.
"""
