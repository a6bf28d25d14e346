"""True labels that come later: what was answered is kept, labels find it, accuracy and its drift are told."""
