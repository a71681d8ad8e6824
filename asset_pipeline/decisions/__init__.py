"""Room 5: what people decided about pictures, appended and never changed.

It owns the decision and its stream of events. What follows from decisions is other rooms' business:
``calibration`` learns from them, ``selection`` obeys them.
"""
