"""The lobby: what a campaign asks for, and the partitions that campaigns are.

Takes ``data/campaigns/<id>.yaml``. It knows what people may ask for, not how any of it is made.
"""
