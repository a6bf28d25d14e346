"""Memory of queries: who asks what is alike is marked, and how principals ask is measured."""
