"""Between the server and the chain: bodies in, answers out, the door in front of BentoML."""
