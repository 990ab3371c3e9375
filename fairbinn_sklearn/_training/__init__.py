"""One training: options, network, update rules, state."""
