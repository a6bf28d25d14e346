"""Where verdict records and captured rows live."""
