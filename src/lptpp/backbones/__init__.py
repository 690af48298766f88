"""Frozen pretrained towers: two bundled towers, timm models, open_clip models, and files with a card."""
