"""Pictures as values: decoding into sRGB, encoding, thumbnails, cut-outs, contact sheets.

Pure functions of bytes and arrays. It knows nothing of products, campaigns or the store.
"""
