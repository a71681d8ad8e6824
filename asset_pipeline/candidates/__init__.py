"""Room 3: prompts become images, each with what it cost and who made it.

The only room that spends. It owns the Provider protocol; the ways of making an image live in
``asset_pipeline.providers``.
"""
