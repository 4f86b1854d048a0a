"""Why a model that fits its training data also fits what it has not seen, and when it does not."""
