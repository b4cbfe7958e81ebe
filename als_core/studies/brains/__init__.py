"""Synthetic and real brain volumes, anatomy, atlas, 3-D networks: shared by three studies."""
