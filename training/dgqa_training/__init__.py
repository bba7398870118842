"""From pristine photographs to a trained regressor and a domain classifier. Torch lives here."""
