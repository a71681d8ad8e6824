"""ComfyUI workflows as versioned artifacts: what a graph can be told, and which nodes it may use.

The room knows the files and the graphs; where a graph is run is a provider's business.
"""
