"""Words that a text model writes from templates' drafts: optional, cached by content, each answer a fact."""
