"""Miao: super-resolved fluorescence crops, VGG16, ResNet50 and MobileNetV3."""
