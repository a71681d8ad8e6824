"""The sample catalog's own photographs: products as signed-distance shapes, rendered in numpy.

``python -m asset_pipeline.sample.photographs`` renders ``data/catalog`` anew. Nothing else imports this
room; the pipeline meets its pictures as any other user's.
"""
