"""The formats of stored backbones: opening and writing them."""
