"""How the small models that the project ships were made, from pictures to weights: one step a file."""
