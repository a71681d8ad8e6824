"""Room 1: feeds in any known dialect become products, and a hygiene report says what was wrong by SKU.

Not partitioned: the catalog is one for all campaigns. It reads files and never changes them.
"""
