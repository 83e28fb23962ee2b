"""What engines cost on this machine, and what the machine is."""
