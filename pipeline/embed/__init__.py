"""Images and texts to vectors: decode, tokenise, encode."""
