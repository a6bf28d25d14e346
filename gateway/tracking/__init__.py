"""What is seen only over many requests: a queue beside the path, a thread that drains it, marks on principals."""
