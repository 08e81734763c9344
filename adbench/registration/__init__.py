"""The registration of plugins: hooks, discovery, faults, and the registry of components."""
