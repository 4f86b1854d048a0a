"""How well a model does on what it has not seen, and why: gaps, memorization, curvature, landscapes, copies."""
