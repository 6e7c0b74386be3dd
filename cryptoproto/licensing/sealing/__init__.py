"""Keys, sealed boxes and signatures, and the token inside them."""
