"""A first config for a model: what `watchgate init` looks at, and what it writes."""
