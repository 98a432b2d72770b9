"""Training of world models from pixels: encoder, predictor on cached latents, decoder and probe."""
