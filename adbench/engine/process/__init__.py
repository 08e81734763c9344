"""What a process has: its signals, global state, scratch folders, clock and lock."""
