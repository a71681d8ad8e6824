"""Room 2: products become words, each prompt named by its content.

Takes the products a campaign selects, the brand file and the asset types' templates. Never calls a model.
"""
