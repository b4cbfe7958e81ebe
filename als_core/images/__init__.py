"""Floor 1, images: quality, augmentation, filters, stains, blur, volumes and radiomic features as pure functions."""
