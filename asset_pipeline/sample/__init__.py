"""The sample catalog's own photographs: products as signed-distance shapes, rendered in numpy.

``python -m asset_pipeline.sample.photographs`` renders the photographs of ``data/catalog`` anew. The pipeline
imports nothing of this room; it meets these pictures as it meets any other user's.

fields → shape → containers, tableware, devices, wearables → kinds: what there is to see. camera, tracing:
what is seen of it, found once. materials, labels, shading: how it looks, as often as needed. photographs: the
24 products of the sample.
"""
