"""A network learns to say of a photograph, however it is turned, what it says of it on average."""
