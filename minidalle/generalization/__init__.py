"""Why a model does well on what it has not seen: gaps, sharpness, landscapes, memory."""
