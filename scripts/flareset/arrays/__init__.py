"""Arrays to train on: exposure, degradation, a box around the flare, fewer pixels."""
