"""Xia 2024: TDP-43 tissue images, attention, six networks."""
