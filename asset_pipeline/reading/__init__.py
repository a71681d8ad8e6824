"""Words in pictures: where they are, what they say and which way up. Knows nothing of products or stores."""
