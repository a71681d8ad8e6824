"""Room 8: what is chosen and approved becomes channel files with a manifest, delivered to targets.

Nothing that is not approved passes. It owns the Target protocol; places of delivery live in
``asset_pipeline.targets``.
"""
