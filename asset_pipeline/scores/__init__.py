"""Room 4: images become measurements, each a value or the reason there is none.

It owns the Scorer protocol; the ways of looking live in ``asset_pipeline.scorers``. It judges one image
at a time against its asset type's thresholds; choosing between images is the next room's business.
"""
